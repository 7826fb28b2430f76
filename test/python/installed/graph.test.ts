/** Who requires what: markers of a target, extras that travel, cycles, and what is missing. */
import { describe, expect, test } from "bun:test";

import { readDistribution } from "../../../lib/python/installed/distribution.ts";
import { dependencyGraph, type Graph, pathsTo } from "../../../lib/python/installed/graph.ts";
import { markerEnvironment } from "../../../lib/python/pep/marker.ts";

const LINUX = {
  version: "3.11.7",
  minor: [3, 11] as [number, number],
  platform: "linux",
  machine: "x86_64",
};

/** `{ "a 1.0": ["b>=2", …] }` as a graph; the first one is the application. */
function graphOf(table: Record<string, string[]>, python?: (name: string) => string): Graph {
  const nodes = Object.entries(table).map(([title, requires], i) => {
    const [name = "", version = "1.0"] = title.split(" ");
    const lines = [`Metadata-Version: 2.1`, `Name: ${name}`, `Version: ${version}`];
    lines.push("Provides-Extra: Fast_IO", ...requires.map((one) => `Requires-Dist: ${one}`));
    const distribution = readDistribution(`${lines.join("\n")}\n\nBody\n`, name);
    return { distribution, isOwn: i === 0, ...(python && { python: python(title) }) };
  });
  return dependencyGraph(nodes, (wanted) =>
    markerEnvironment(wanted === "3.12" ? { ...LINUX, version: "3.12.1", minor: [3, 12] } : LINUX),
  );
}

const edges = (graph: Graph, i: number) =>
  graph.edges[i]?.map(({ requirement, to, extra, fits }) => [requirement.name, to, extra, fits]);
const ways = (graph: Graph, i: number) =>
  pathsTo(graph, i, 10).paths.map((path) => path.map(({ from }) => from));

describe("requirements for a target", () => {
  test("markers decide, and extras travel along requirements", () => {
    const graph = graphOf({
      app: ["a[fast-io]", "w; sys_platform == 'win32'", "old; python_version < '3.8'"],
      a: ["b; extra == 'Fast_IO'", "c; extra == 'other'"],
      b: ["d[x]"],
      d: ["e; extra == 'x' and sys_platform == 'linux'"],
      e: [],
    });
    expect(edges(graph, 0)).toEqual([["a", 1, undefined, true]]);
    expect(edges(graph, 1)).toEqual([["b", 2, "fast-io", true]]);
    expect(edges(graph, 3)).toEqual([["e", 4, "x", true]]);
    expect(graph.extras).toEqual([[], ["fast-io"], [], ["x"], []]);
    expect(graph.roots).toEqual([0]);
  });

  test("an extra that is asked for late, by way of a cycle, is still unfolded", () => {
    const graph = graphOf({ app: ["a"], a: ["b", "c; extra == 'late'"], b: ["a[late]"], c: [] });
    expect(edges(graph, 1)).toEqual([
      ["b", 2, undefined, true],
      ["c", 3, "late", true],
    ]);
    expect(ways(graph, 3)).toEqual([[0, 1]]);
  });

  test("missing and unfit ones are said", () => {
    const graph = graphOf({ app: ["gone>=1", "a>=2"], "a 1.5": [] });
    expect(edges(graph, 0)).toEqual([
      ["gone", undefined, undefined, false],
      ["a", 1, undefined, false],
    ]);
  });

  test("what cannot be read is a problem, not an end", () => {
    const graph = graphOf({ app: ["a; sys_platform ===== 'x'", "%%%", "b"], b: [] });
    expect(edges(graph, 0)).toEqual([["b", 1, undefined, true]]);
    expect(graph.problems).toHaveLength(2);
    expect(graph.problems.join()).toContain("app: a: ");
  });

  test("trees begin at the application, at what nothing requires, and once in each closed ring", () => {
    const graph = graphOf({ z: ["a"], a: [], q: [], "ring-1": ["ring-2"], "ring-2": ["ring-1"] });
    expect(graph.roots).toEqual([0, 2, 3]);
    expect(ways(graph, 4)).toEqual([[3]]);
    expect(graphOf({ self: ["self[x]"] }).roots).toEqual([0]);
  });

  test("two Pythons in one package: the distribution beside it is meant", () => {
    const table = {
      "app 1": ["lib"],
      "lib 1": [],
      "tool 1": ["lib; python_version >= '3.12'"],
      "lib 2": [],
    };
    const graph = graphOf(table, (title) => (/tool|lib 2/.test(title) ? "3.12" : "3.11"));
    expect([graph.edges[0]?.[0]?.to, graph.edges[2]?.[0]?.to]).toEqual([1, 3]);
  });

  test("the ways are shortest first and bounded, also where there are exponentially many", () => {
    const table: Record<string, string[]> = { app: ["l0a", "l0b"] };
    for (let i = 0; i < 20; i++) {
      for (const side of ["a", "b"])
        table[`l${i}${side}`] = i === 19 ? ["end"] : [`l${i + 1}a`, `l${i + 1}b`];
    }
    table.end = [];
    const graph = graphOf(table);
    const { paths, more } = pathsTo(graph, Object.keys(table).length - 1, 10);
    expect(more).toBe(true);
    expect(paths.length).toBeLessThanOrEqual(10);
    const diamond = graphOf({ app: ["a", "b"], a: ["c"], b: ["a"], c: [] });
    expect(ways(diamond, 3)).toEqual([
      [0, 1],
      [0, 2, 1],
    ]);
  });
});

describe("a distribution", () => {
  const read = (lines: string[]) =>
    readDistribution(`${lines.join("\n")}\n`, "x/some_name-1.0.dist-info");

  test("names its licence by expression, short text or classifier", () => {
    expect(read(["License-Expression: MIT", "License: old"]).license).toBe("MIT");
    expect(read(["License: BSD"]).license).toBe("BSD");
    const whole = [
      "License: Copyright",
      "        all rights",
      "Classifier: License :: OSI Approved :: MIT License",
    ];
    expect(read(whole).license).toBe("MIT License");
    expect(
      read(["License: UNKNOWN", "Classifier: License :: OSI Approved"]).license,
    ).toBeUndefined();
  });

  test("without a name goes by its folder", () => {
    expect(read(["Metadata-Version: 2.1"])).toMatchObject({
      name: "some_name",
      key: "some-name",
      version: "",
    });
  });
});
