import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  poetryRequirements,
  requirementLine,
  specifiersOf,
} from "../../../lib/python/pep/poetry.ts";
import { satisfiesPython } from "../../../lib/python/pep/specifier.ts";
import { codeOf } from "../fixture.ts";

describe("specifiersOf()", () => {
  // The examples of Poetry's documentation, and what real projects write.
  test.each([
    ["^1.2.3", [">=1.2.3,<2"]],
    ["^1.2", [">=1.2,<2"]],
    ["^1", [">=1,<2"]],
    ["^0.2.3", [">=0.2.3,<0.3"]],
    ["^0.0.3", [">=0.0.3,<0.0.4"]],
    ["^0.0", [">=0.0,<0.1"]],
    ["^0", [">=0,<1"]],
    ["~1.2.3", [">=1.2.3,<1.3"]],
    ["~1.2", [">=1.2,<1.3"]],
    ["~1", [">=1,<2"]],
    ["~=1.2.3", ["~=1.2.3"]],
    ["*", []],
    ["1.*", ["==1.*"]],
    ["1.2.3", ["==1.2.3"]],
    ["= 1.2", ["==1.2"]],
    [">= 1.2.0, <1.5", [">=1.2.0,<1.5"]],
    [">=1.2 <1.5", [">=1.2,<1.5"]],
    ["<2.0 || >=3", ["<2.0", ">=3"]],
    ["^1.0|^2.0", [">=1.0,<2", ">=2.0,<3"]],
    ["^1 || *", []],
    ["^2!1.2", [">=2!1.2,<2!2"]],
    ["^1.0.0b2", [">=1.0.0b2,<2"]],
    ["!=3.0.*,!=3.1.*,>=2.7", ["!=3.0.*,!=3.1.*,>=2.7"]],
  ])("%s", (constraint, expected) => {
    expect(specifiersOf(constraint, "x")).toEqual(expected);
  });
  test.each(["", "^", "^x", ">=", "1.2 and 3", "||", ",", "^1.0;"])("refuses %p", async (text) => {
    expect(await codeOf(() => specifiersOf(text, "x"))).toBe("POETRY_REQUIREMENT");
  });
  test("a caret and a tilde admit the version itself and not the next one", () => {
    const part = fc.nat(30);
    fc.assert(
      fc.property(fc.tuple(part, part, part), ([a, b, c]) => {
        const version = `${a}.${b}.${c}`;
        const [caret = ""] = specifiersOf(`^${version}`, "x");
        const [tilde = ""] = specifiersOf(`~${version}`, "x");
        expect(satisfiesPython(version, caret)).toBe(true);
        expect(satisfiesPython(version, tilde)).toBe(true);
        expect(satisfiesPython(`${a + 1}.0.0`, caret)).toBe(false);
        expect(satisfiesPython(`${a}.${b + 1}.0`, tilde)).toBe(false);
      }),
    );
  });
});

describe("requirementLine()", () => {
  const lines = (value: unknown) =>
    poetryRequirements("My.Pkg", value, "x").map((item) => requirementLine(item, "/p", "x"));
  test.each([
    ["^1.2", "my-pkg>=1.2,<2"],
    ["*", "my-pkg"],
    [{ version: "~2", extras: ["A_b"] }, "my-pkg[a-b]>=2,<3"],
    [
      { version: "1", python: "^3.9" },
      'my-pkg==1 ; python_version >= "3.9" and python_version < "4"',
    ],
    [{ version: "1", python: ">=3.9.1" }, 'my-pkg==1 ; python_full_version >= "3.9.1"'],
    [
      { version: "1", python: "<3.8 || >=3.10", platform: "linux" },
      'my-pkg==1 ; ((python_version < "3.8") or (python_version >= "3.10")) and (sys_platform == "linux")',
    ],
    [
      { git: "https://e.org/a", tag: "v1", subdirectory: "s" },
      "my-pkg @ git+https://e.org/a@v1#subdirectory=s",
    ],
    [{ git: "git@e.org:a/b.git" }, "my-pkg @ git+ssh://git@e.org/a/b.git"],
    [{ url: "https://e.org/a.whl" }, "my-pkg @ https://e.org/a.whl"],
    [{ path: "../a b", develop: true }, "my-pkg @ file:///a%20b"],
  ])("%j", (value, line) => {
    expect(lines(value)).toEqual([line]);
  });
  test("several cases are several lines", () => {
    const cases = [
      { version: "^1", python: "<3.9" },
      { version: "^2", python: ">=3.9" },
    ];
    expect(lines(cases)).toEqual([
      'my-pkg>=1,<2 ; python_version < "3.9"',
      'my-pkg>=2,<3 ; python_version >= "3.9"',
    ]);
  });
  test.each([["^1 || ^3"], [{ version: 3 }], [3], [null]])(
    "refuses %j or keeps it whole",
    async (value) => {
      const code = await codeOf(() => lines(value));
      if (typeof value === "object" && value !== null) expect(lines(value)).toEqual(["my-pkg"]);
      else expect(code).toBe("POETRY_REQUIREMENT");
    },
  );
});
