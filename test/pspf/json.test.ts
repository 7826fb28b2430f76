/** The strict JSON reader: one document, one meaning. */
import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { JsonFault, parseJson } from "../../lib/pspf/json.ts";
import { text } from "./fixture.ts";

describe("parseJson()", () => {
  test("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (json) => {
        const expected = JSON.parse(json) as unknown;
        if (json.includes("__proto__")) return;
        expect(parseJson(text(json))).toEqual(expected);
      }),
    );
  });

  test.each([
    ['{"a":1,"a":2}', "stands twice"],
    ['{"a":1,"\\u0061":2}', "stands twice"],
    ['{"x":{"k":[{"b":1,"c":2,"b":3}]}}', "stands twice"],
    ['[{"a":{}},{"a":1,"b":{"a":1},"a":1}]', "stands twice"],
    ['{"__proto__":1}', "__proto__"],
    ["\ufeff{}", "byte order mark"],
    ['{"a":"\\ud800"}', "not Unicode"],
    ['{"\\udfff":1}', "not Unicode"],
    ["{} {}", "not JSON"],
    ["{}x", "not JSON"],
    ["{,}", "not JSON"],
    ['{"a" "b"}', "not JSON"],
    ["", "not JSON"],
    ["]", "not JSON"],
    ['{"a":1', "not JSON"],
    ['"\\x"', "not JSON"],
    ['{"\\x":1}', "wrong escape"],
    ['{"a', "no end"],
    ["[1,]", "not JSON"],
    ["NaN", "not JSON"],
    ["[".repeat(65), "deeper"],
    ["[".repeat(10_000), "deeper"],
    ['{"a":'.repeat(10_000), "deeper"],
  ])("refuses %p", (json, reason) => {
    expect(() => parseJson(text(json))).toThrow(JsonFault);
    expect(() => parseJson(text(json))).toThrow(reason);
  });

  test("refuses what is not UTF-8", () => {
    for (const bytes of [
      [0xff],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82, 0x22],
    ]) {
      expect(() => parseJson(Uint8Array.from(bytes))).toThrow("not UTF-8");
    }
  });

  test("accepts equal keys in different objects, escapes, and 64 levels", () => {
    expect(
      parseJson(text('{"a":{"a":[{"a":1},{"a":"\\"a\\":\\\\"}]},"b":"\\ud83d\\ude00"}')),
    ).toEqual({
      a: { a: [{ a: 1 }, { a: '"a":\\' }] },
      b: "😀",
    });
    expect(() => parseJson(text("[".repeat(64) + "]".repeat(64)))).not.toThrow();
  });

  test("needs time in proportion to the document", () => {
    const started = performance.now();
    parseJson(text(`["${'\\"'.repeat(1 << 20)}"]`));
    expect(() => parseJson(text(`["${"\\\\".repeat(1 << 20)}`))).toThrow(JsonFault);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
