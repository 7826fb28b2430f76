import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  type LockNode,
  type LockRequirement,
  neededNodes,
} from "../../../lib/python/lock/lock-graph.ts";
import { codeOf } from "../fixture.ts";
import { targetOf } from "../resolve/target.ts";

const need = (name: string, more: Partial<LockRequirement> = {}): LockRequirement => ({
  name,
  extras: [],
  specifiers: [],
  ...more,
});
const node = (
  name: string,
  version: string,
  requirements: LockRequirement[] = [],
  more: Partial<LockNode> = {},
): LockNode => ({
  name,
  version,
  requirements,
  extras: new Map(),
  ...more,
});
const chosen = (nodes: LockNode[], ...roots: LockRequirement[]) =>
  neededNodes(nodes, roots, targetOf(11), "x.lock").map(
    ({ name, version }) => `${name} ${version}`,
  );

describe("neededNodes()", () => {
  test("follows requirements, and circles end", () => {
    const nodes = [
      node("a", "1", [need("b")]),
      node("b", "1", [need("a"), need("b")]),
      node("c", "1"),
    ];
    expect(chosen(nodes, need("a"))).toEqual(["a 1", "b 1"]);
  });
  test("extras add requirements, also to a package that was there before", () => {
    const extra = need("c", { optional: true, marker: "extra == 'x'" });
    const nodes = [
      node("a", "1", [need("b", { extras: ["x"] })]),
      node("b", "1", [extra], { extras: new Map([["x", ["c"]]]) }),
      node("c", "1"),
    ];
    expect(chosen(nodes, need("b"))).toEqual(["b 1"]);
    expect(chosen(nodes, need("b"), need("a"))).toEqual(["a 1", "b 1", "c 1"]);
  });
  test("markers decide about edges", () => {
    const nodes = [node("a", "1", [need("b", { marker: "sys_platform == 'win32'" })])];
    expect(chosen(nodes, need("a"))).toEqual(["a 1"]);
  });
  test("of several versions the one is taken that all requirements agree with", () => {
    const nodes = [
      node("a", "1", [need("old", { specifiers: ["<2"] })]),
      node("old", "1", [need("only-old")]),
      node("old", "2", [need("only-new")]),
      node("only-old", "1"),
      node("only-new", "1"),
    ];
    expect(chosen(nodes, need("old"), need("a"))).toEqual(["a 1", "old 1", "only-old 1"]);
    expect(chosen(nodes, need("old"))).toEqual(["old 2", "only-new 1"]);
  });
  test("a version for another Python does not count", () => {
    const nodes = [
      node("a", "2", [], { requiresPython: ">=3.12" }),
      node("a", "1", [], { requiresPython: "<3.12" }),
    ];
    expect(chosen(nodes, need("a"))).toEqual(["a 1"]);
  });
  test.each([
    ["is not there", [node("a", "1", [need("b")])], /a requires b, which is not in it/],
    [
      "is another version",
      [node("a", "1", [need("b", { specifiers: [">=2", "==0"] })]), node("b", "1")],
      /a requires b >=2 or ==0, which is there only as 1/,
    ],
  ] as [string, LockNode[], RegExp][])("says who requires what %s", (_, nodes, words) => {
    expect(() => chosen(nodes, need("a"))).toThrow(words);
  });
  test("a malformed marker is an error", async () => {
    expect(await codeOf(() => chosen([node("a", "1")], need("a", { marker: "os_name" })))).toBe(
      "MARKER",
    );
  });
  test("is closed: whatever a chosen package requires is chosen", () => {
    const name = fc.integer({ min: 0, max: 12 }).map((i) => `p${i}`);
    const edges = fc.array(fc.tuple(name, name), { maxLength: 60 });
    fc.assert(
      fc.property(edges, name, (list, root) => {
        const nodes = Array.from({ length: 13 }, (_, i) =>
          node(
            `p${i}`,
            "1",
            list.filter(([from]) => from === `p${i}`).map(([, to]) => need(to)),
          ),
        );
        const found = neededNodes(nodes, [need(root)], targetOf(11), "x");
        const names = new Set(found.map((item) => item.name));
        expect(names.has(root)).toBe(true);
        for (const item of found)
          for (const { name: next } of item.requirements) expect(names.has(next)).toBe(true);
      }),
    );
  });
});
