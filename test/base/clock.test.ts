import { expect, test } from "bun:test";

import { DEFAULT_EPOCH, isoTime, sourceDateEpoch } from "../../lib/base/mod.ts";

test.each([
  [undefined, DEFAULT_EPOCH],
  ["", DEFAULT_EPOCH],
  ["0", 0],
  ["1700000000", 1700000000],
  ["253402300799", 253402300799],
])("sourceDateEpoch() reads %j as %j", (text, seconds) => {
  expect(sourceDateEpoch({ SOURCE_DATE_EPOCH: text })).toBe(seconds);
});

test.each(["-1", "1.5", "1e3", " 1", "0x10", "now", "253402300800", "9".repeat(500)])(
  "sourceDateEpoch() refuses %j",
  (text) => {
    expect(() => sourceDateEpoch({ SOURCE_DATE_EPOCH: text })).toThrow(
      /^SOURCE_DATE_EPOCH=.{0,40} is not a time$/,
    );
  },
);

test("isoTime() has no fraction", () => {
  expect(isoTime(DEFAULT_EPOCH)).toBe("1980-01-01T00:00:00Z");
  expect(isoTime(253402300799)).toBe("9999-12-31T23:59:59Z");
});
