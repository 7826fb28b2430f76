import { describe, expect, test } from "bun:test";

import { checkUvLock } from "../../../lib/python/lock/uv-lock.ts";
import { readPyproject } from "../../../lib/python/project/project.ts";

/** As uv 0.13.7 writes it, without what is not read. */
const LOCK = `version = 1
[[package]]
name = "my-app"
version = "1"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "click", specifier = ">=8.0,<8.2" },
    { name = "colorama", marker = "extra == 'fancy'", specifier = "!=0.4.2" },
    { name = "httpx", extras = ["socks"], marker = "python_full_version >= '3.9'", specifier = "~=0.28.0" },
    { name = "localpkg", directory = "../local" },
    { name = "rootpkg", git = "https://example.org/x?rev=v1" },
    { name = "zipp" },
]
`;
const PROJECT = {
  name: "My.App",
  version: "1",
  dependencies: [
    "click <8.2, >= 8.0",
    "httpx[socks] ~=0.28.0 ; python_version >= '3.9'",
    "localpkg",
    "rootpkg @ git+https://example.org/x@v1",
    "zipp",
  ],
  "optional-dependencies": { fancy: ["colorama!=0.4.2"] },
};
const check = (project: object, lock = LOCK) =>
  checkUvLock(
    lock,
    "uv.lock",
    readPyproject({ project: { ...PROJECT, ...project } }, "/p/pyproject.toml"),
  );
const without = (name: string) => PROJECT.dependencies.filter((line) => !line.startsWith(name));

describe("checkUvLock()", () => {
  test("the same requirements in another order and spelling are the same", () => {
    expect(() => check({})).not.toThrow();
    expect(() => check({ dependencies: PROJECT.dependencies.toReversed() })).not.toThrow();
  });
  test("what only a build knows is not compared", () => {
    expect(() => check({ dependencies: undefined, dynamic: ["dependencies"] })).not.toThrow();
  });
  test.each([
    [
      "another bound",
      { dependencies: [...without("click"), "click>=8.0,<8.1"] },
      "before the project required click>=8.0,<8.1",
    ],
    [
      "another extra",
      { dependencies: [...without("httpx"), "httpx~=0.28.0"] },
      "before the project required httpx~=0.28.0",
    ],
    [
      "a new requirement",
      { dependencies: [...PROJECT.dependencies, "rich"] },
      "before the project required rich",
    ],
    ["one that is gone", { dependencies: without("zipp") }, "when the project required zipp"],
    [
      "an extra that is gone",
      { "optional-dependencies": {} },
      "when the project required colorama",
    ],
    ["another project", { name: "other" }, "does not hold other"],
  ])("refuses %s", (_, project, words) => {
    expect(() => check(project)).toThrow(
      expect.objectContaining({ code: "LOCK_STALE", message: expect.stringContaining(words) }),
    );
  });
  test.each([
    ["LOCK_TEXT", "version ="],
    ["LOCK_FIELD", 'version = "1"'],
    ["LOCK_STALE", "version = 1"],
  ])("%s", (code, lock) => {
    expect(() => check({}, lock)).toThrow(expect.objectContaining({ code }));
  });
});
