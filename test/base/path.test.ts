import { describe, expect, test } from "bun:test";
import { isAbsolute, relative } from "node:path";

import fc from "fast-check";

import { checkArchivePath, confine, FormatError } from "../../lib/base/mod.ts";

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
}

describe("checkArchivePath()", () => {
  test.each([
    ["a", "a"],
    ["a/b", "a/b"],
    ["./a", "a"],
    ["a//b/", "a/b"],
    ["a/./b", "a/b"],
    [".", ""],
    ["./", ""],
    ["..a/b..", "..a/b.."],
    ["a/.sealift", "a/.sealift"],
    ["nul", "nul"],
    ["a".repeat(4096), "a".repeat(4096)],
    ["zażółć/ﬁ", "zażółć/ﬁ"],
  ])("turns %j into %j", (name, path) => {
    expect(checkArchivePath(name, { windows: false })).toBe(path);
  });

  test.each([
    ["", "PATH_EMPTY"],
    ["/", "PATH_ESCAPE"],
    ["/etc/passwd", "PATH_ESCAPE"],
    ["//server/share", "PATH_ESCAPE"],
    ["..", "PATH_ESCAPE"],
    ["../a", "PATH_ESCAPE"],
    ["a/../../b", "PATH_ESCAPE"],
    ["a/..", "PATH_ESCAPE"],
    ["C:", "PATH_ESCAPE"],
    ["c:a", "PATH_ESCAPE"],
    ["C:/a", "PATH_ESCAPE"],
    ["./C:/a", "PATH_ESCAPE"],
    ["a\\b", "PATH_ESCAPE"],
    ["\\\\?\\C:\\a", "PATH_ESCAPE"],
    ["a\0b", "PATH_ESCAPE"],
    [".sealift", "PATH_RESERVED"],
    ["./.SeaLift/ready", "PATH_RESERVED"],
    ["é".repeat(2049), "PATH_LENGTH"],
  ])("refuses %j with %s", (name, code) => {
    expect(codeOf(() => checkArchivePath(name, { windows: false }))).toBe(code);
  });

  test.each([
    "con",
    "a/NUL",
    "aux.txt",
    "COM1",
    "lpt9.log",
    "com¹",
    "ab:stream",
    "a?",
    "a.",
    "a ",
    "CON .x",
    "a\u0001",
  ])("refuses %j only by the rules of Windows", (name) => {
    expect(codeOf(() => checkArchivePath(name, { windows: true }))).toBe("PATH_ESCAPE");
    expect(codeOf(() => checkArchivePath(name, { windows: false }))).toBeUndefined();
  });

  test("keeps long names out of the message", () => {
    expect(() => checkArchivePath("/" + "x".repeat(4000))).toThrow(/^.{0,200}$/);
  });
});

describe("confine()", () => {
  test("never leaves the root, whatever the name", () => {
    const part = fc.oneof(
      fc.constantFrom("..", ".", "", "a", "C:", "\\", "\0", "~"),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const name = parts.join("/");
        if (codeOf(() => confine("/root/of/it", name)) !== undefined) return;
        const inside = relative("/root/of/it", confine("/root/of/it", name));
        expect(inside.split("/")).not.toContain("..");
        expect(isAbsolute(inside)).toBe(false);
        expect(inside).toBe(checkArchivePath(name));
        if (inside !== "") expect(checkArchivePath(inside)).toBe(inside);
      }),
      { numRuns: 2000 },
    );
  });

  test("gives the root itself for `.`", () => {
    expect(confine("/root", ".")).toBe("/root");
  });
});
