import { describe, expect, test } from "bun:test";

import { checkExtras, checkGroups, readGroups } from "../../../lib/python/project/groups.ts";
import { codeOf } from "../fixture.ts";

const groups = (text: string) =>
  readGroups(Bun.TOML.parse(text) as Record<string, unknown>, "/p/pyproject.toml", "/p");

describe("readGroups()", () => {
  test("[dependency-groups] with groups inside groups", () => {
    const of = groups(`[dependency-groups]
Typing_Test = ["mypy", { include-group = "base" }]
base = ["a>=1"]
dev = [{ include-group = "typing-test" }, "b"]`);
    expect(of.names).toEqual(["typing-test", "base", "dev"]);
    expect(of.defaults).toEqual(["dev"]);
    expect(of.lines("dev")).toEqual(["mypy", "a>=1", "b"]);
  });
  test("Poetry's groups, optional ones apart", () => {
    const of = groups(`[tool.poetry.dev-dependencies]
c = "*"
[tool.poetry.group.dev.dependencies]
a = "^1"
[tool.poetry.group.docs]
optional = true
include-groups = ["dev"]
[tool.poetry.group.docs.dependencies]
b = { version = "^2", python = ">=3.9" }`);
    expect(of.names).toEqual(["dev", "docs"]);
    expect(of.defaults).toEqual(["dev"]);
    expect(of.lines("docs")).toEqual(["c", "a>=1,<2", 'b>=2,<3 ; python_version >= "3.9"']);
  });
  test("PDM's, with editable entries", () => {
    const of = groups(
      '[tool.pdm.dev-dependencies]\ntest = ["pytest", "-e file:///${PROJECT_ROOT}/x#egg=x"]',
    );
    expect(of.defaults).toEqual(["test"]);
    expect(of.lines("test")).toEqual(["pytest", "x @ file:///p/x"]);
  });
  test("uv's, and which of them are usual", () => {
    expect(groups('[tool.uv]\ndev-dependencies = ["a"]').lines("dev")).toEqual(["a"]);
    const two = "[dependency-groups]\ndev = []\nlint = []\n[tool.uv]\ndefault-groups = ";
    expect(groups(`${two}["lint"]`).defaults).toEqual(["lint"]);
    expect(groups(`${two}"all"`).defaults).toEqual(["dev", "lint"]);
  });

  test.each([
    [
      "a circle",
      '[dependency-groups]\na = [{ include-group = "b" }]\nb = [{ include-group = "a" }]',
    ],
    ["a group that is not there", '[dependency-groups]\na = [{ include-group = "b" }]'],
    ["another table", '[dependency-groups]\na = [{ includes = "b" }]'],
    ["no list", '[dependency-groups]\na = "b"'],
  ])("refuses %s, but only when it is wanted", async (_, text) => {
    const of = groups(text);
    expect(await codeOf(() => of.lines("a"))).toBe("GROUP");
  });
});

test("names that are not there, with the nearest one", () => {
  expect(checkGroups(["Dev", "dev"], ["dev"], "m")).toEqual(["dev"]);
  expect(() => checkGroups(["dve"], ["dev"], "m")).toThrow(
    expect.objectContaining({ code: "GROUP_UNKNOWN", hint: "Did you mean dev?" }),
  );
  expect(checkExtras(["A_B"], ["a.b"], "m")).toEqual(["a-b"]);
  expect(() => checkExtras(["zzz"], ["a"], "m")).toThrow(
    expect.objectContaining({ code: "EXTRA_UNKNOWN", hint: "It has a." }),
  );
});
