import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { quoteWords, splitWords } from "../../lib/base/mod.ts";

describe("splitWords()", () => {
  test.each([
    ["a  b\tc", ["a", "b", "c"]],
    [`a 'b c' "d e"`, ["a", "b c", "d e"]],
    [`a\\ b "c\\"d" 'e\\f'`, ["a b", 'c"d', "e\\f"]],
    [`'' "" x''y`, ["", "", "xy"]],
    [`"$HOME \\$x \\a"`, ["$HOME $x \\a"]],
    ["a\\\nb", ["ab"]],
    ["  ", []],
  ])("%j is %j", (text, words) => expect(splitWords(text)).toEqual(words));

  test.each(["'a", '"a', "a\\"])("refuses %j", (text) => {
    expect(() => splitWords(text)).toThrow(/cannot be split/);
  });

  test("undoes what the writer quotes", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) =>
        expect(splitWords(quoteWords(words))).toEqual(words),
      ),
    );
  });
});
