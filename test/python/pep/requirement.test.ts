import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  fitsRequirement,
  isRequirement,
  parseRequirement,
  requirementText,
} from "../../../lib/python/pep/requirement.ts";

describe("one requirement", () => {
  test.each([
    ["requests", { name: "requests", extras: [], specifier: "" }],
    ["Zope.Interface >= 5", { name: "zope-interface", extras: [], specifier: ">= 5" }],
    ["a[ B_c , d ]>=1,<2", { name: "a", extras: ["b-c", "d"], specifier: ">=1,<2" }],
    ["a (>=1)", { name: "a", extras: [], specifier: ">=1" }],
    [
      'a~=1.4.2 ; python_version < "3"',
      { name: "a", extras: [], specifier: "~=1.4.2", marker: 'python_version < "3"' },
    ],
    [
      "a[x] @ https://h/a.zip;v=1 ; extra == 'y'",
      {
        name: "a",
        extras: ["x"],
        specifier: "",
        url: "https://h/a.zip;v=1",
        marker: "extra == 'y'",
      },
    ],
    ["a @ file:///a.whl", { name: "a", extras: [], specifier: "", url: "file:///a.whl" }],
  ])("%s", (line, expected) => {
    expect(parseRequirement(line)).toEqual(expected);
  });

  test.each(["", "  ", "-x", "[extra]", "a b", "a @", "a $ 1"])("%p is none", (line) => {
    expect(parseRequirement(line)).toBeUndefined();
  });

  test("a line of any length is bounded", () => {
    expect(parseRequirement(`a>=${"1".repeat(20_000)}`)).toBeUndefined();
  });

  test("what it says is read again as the same", () => {
    const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?$/);
    const line = fc.tuple(
      name,
      fc.array(name, { maxLength: 3 }),
      fc.constantFrom("", ">=1", "<2,!=1.5"),
    );
    fc.assert(
      fc.property(line, ([project, extras, specifier]) => {
        const first = parseRequirement(`${project}[${extras.join(",")}]${specifier}`);
        expect(first).toBeDefined();
        if (first !== undefined) expect(parseRequirement(requirementText(first))).toEqual(first);
      }),
    );
  });

  test("what is none by its grammar", () => {
    for (const text of ["a", "a >= 1", "a>=1,<2,", "a[b] (>=1.0,<2); os_name == 'nt'", "a==1.*"])
      expect(isRequirement(text)).toBe(true);
    expect(isRequirement("a @ https://example.org/a.zip#sha256=1 ; os_name == 'nt'")).toBe(true);
    for (const text of [
      "a=>1",
      "a 1",
      "a; python_versionn < '3'",
      "a>=",
      "./a",
      "a @ ",
      "",
      "a==1 2",
    ])
      expect([text, isRequirement(text)]).toEqual([text, false]);
  });

  test("fits by PEP 440; a malformed specifier fits nothing", () => {
    const fits = (version: string, specifier: string) =>
      fitsRequirement(version, { name: "a", extras: [], specifier });
    expect(fits("1.10", ">=1.9")).toBe(true);
    expect(fits("1.10", "<1.9")).toBe(false);
    expect(fits("2.0rc1", ">=1")).toBe(true);
    expect(fits("1.0", "=>1")).toBe(false);
    expect(fits("1.0", "")).toBe(true);
  });
});
