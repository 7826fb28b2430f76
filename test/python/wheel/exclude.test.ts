/** `exclude_from_deps`: which files a glob means, and what else follows. */
import { describe, expect, test } from "bun:test";

import { withoutExcluded } from "../../../lib/python/wheel/exclude.ts";
import { siteEntries, type StagedWheel } from "../../../lib/python/wheel/site.ts";
import { codeOf } from "../fixture.ts";

const wheel = (name: string, paths: string[]): StagedWheel => ({
  name,
  version: "1.0",
  distInfo: `${name}-1.0.dist-info`,
  consoleScripts: {},
  guiScripts: {},
  file: `${name}-1.0-py3-none-any.whl`,
  key: name,
  folder: "/nowhere",
  files: paths.map((path) => ({
    scheme: "site",
    path,
    member: path,
    size: 0,
    sha256: name === "a" ? "aa".repeat(32) : "bb".repeat(32),
    executable: false,
  })),
});
const none = { folders: new Map(), skipped: new Map() };

describe("withoutExcluded()", () => {
  const paths = [
    "a/__init__.py",
    "a/types.pyi",
    "a/tests/__init__.py",
    "a/tests/data/x.json",
    "tests/top.py",
    "a/contests/y.py",
    "a-1.0.dist-info/METADATA",
    "a-1.0.dist-info/tests/x",
  ];
  const left = (...globs: string[]) =>
    withoutExcluded([wheel("a", paths)], globs).wheels[0]?.files.map(({ path }) => path);
  const without = (...gone: string[]) => paths.filter((path) => !gone.includes(path));

  test("without a slash: the name of a file or folder, anywhere", () => {
    expect(left("*.pyi")).toEqual(without("a/types.pyi"));
    const all = ["a/tests/__init__.py", "a/tests/data/x.json", "tests/top.py"];
    expect(left("tests")).toEqual(without(...all));
  });

  test("with one: the whole path; one at the end means a folder's content", () => {
    expect(left("tests/")).toEqual(without("tests/top.py"));
    expect(left("a/tests/")).toEqual(without("a/tests/__init__.py", "a/tests/data/x.json"));
    expect(left("a/*.py")).toEqual(without("a/__init__.py"));
  });

  test("never .dist-info; unused globs are named", () => {
    const { wheels, unused } = withoutExcluded([wheel("a", paths)], ["**/*", "nothing", "*.json"]);
    expect(wheels[0]?.files.map(({ path }) => path)).toEqual(paths.slice(-2));
    expect(unused).toEqual(["nothing"]);
  });

  test("cures two wheels that own one file", async () => {
    const two = [wheel("a", ["tests/x.py"]), wheel("b", ["tests/x.py"])];
    expect(await codeOf(() => siteEntries(two, none, "cpython-311", 0))).toBe("SITE_COLLISION");
    const { wheels } = withoutExcluded(two, ["tests/"]);
    const records = siteEntries(wheels, none, "cpython-311", 0).map(({ path }) => path);
    expect(records.some((path) => path.startsWith("tests/"))).toBe(false);
  });
});
