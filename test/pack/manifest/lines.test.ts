import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { lineOfKey, lineOfSyntaxError } from "../../../lib/pack/manifest/_lines.ts";

const TEXT = `# comment
title = "x"
[a."b.c"]
key = 1
other.deep = 2
[[list]]
id = "1"
[[list]]
id = "2"
text = """
id = "no key"
"""
[list.sub]
k = 1
inline = { x = 1 }
`;

describe("lineOfKey()", () => {
  test.each([
    [["title"], 2],
    [["a", "b.c", "key"], 4],
    [["a", "b.c", "other", "deep"], 5],
    [["list", 0, "id"], 7],
    [["list", 1, "id"], 9],
    [["list", 1, "sub", "k"], 14],
    [["list", 1, "sub", "inline", "x"], 15],
    [["list", 1, "missing"], 8],
    [["nothing"], undefined],
  ])("%j stands in line %p", (path, line) => expect(lineOfKey(TEXT, path)).toBe(line as number));

  test("answers for any text and any path", () => {
    const path = fc.array(fc.oneof(fc.string(), fc.nat(3)), { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."[]\"'=.a\n {},#") }),
        path,
        (text, keys) => {
          const line = lineOfKey(text, keys);
          if (line !== undefined) expect(line).toBeLessThanOrEqual(text.split("\n").length);
        },
      ),
    );
  });
});

test("lineOfSyntaxError() names the line, and nothing when there is no error", () => {
  expect(lineOfSyntaxError("a = 1\nb = = 2\nc = 3\n")).toBe(2);
  expect(lineOfSyntaxError("a = [\n1,\n=\n]\n")).toBeDefined();
  expect(lineOfSyntaxError(TEXT)).toBeUndefined();
});
