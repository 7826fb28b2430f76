import { expect, test } from "bun:test";

import fc from "fast-check";

import { parseReady } from "../../lib/workenv/ready.ts";
import { digest } from "./fixture.ts";

const ID = digest("x");
const STORE = digest("y");
const GOOD = [
  "sealift-ready 1",
  `identity ${ID}`,
  "package report 1.4.0 beta",
  "entry 10 1700000000123456789 0755 bin/run",
  "entry 10 1700000000123456789 0755 /base/store/x/bin/python",
  `store ${STORE}`,
  "files",
  "d 0 0 0755 bin",
  "f 10 1700000000123456789 0755 bin/run",
  "l 0 0 0777 bin/link",
  "f 0 -5 0644 odd\\n name\\\\n",
  "end 4",
  "",
];

function parse(lines: string[]) {
  return parseReady(lines.join("\n"), "ready");
}

test("parseReady() reads what the launchers write", () => {
  const ready = parse(GOOD);
  expect(ready.identity).toBe(ID);
  expect(ready.package).toEqual({ name: "report", version: "1.4.0 beta" });
  expect(ready.stores).toEqual([STORE]);
  expect(ready.entries[1]?.path).toBe("/base/store/x/bin/python");
  expect(ready.files).toHaveLength(4);
  expect(ready.files[1]).toEqual({
    kind: "f",
    size: 10,
    mtime: 1700000000123456789n,
    mode: 0o755,
    path: "bin/run",
  });
  expect(ready.files[3]?.path).toBe("odd\n name\\n");
});

test("parseReady() reads the marker of a shared slot", () => {
  const ready = parse([
    "sealift-ready 1",
    `identity ${ID}`,
    "package - -",
    "slot 0000000000001b01 4096",
    "files",
    "end 0",
    "",
  ]);
  expect(ready.package).toBeUndefined();
  expect(ready.slot).toBe("0000000000001b01 4096");
});

const broken: [string, (lines: string[]) => string[]][] = [
  ["another version", (lines) => lines.with(0, "sealift-ready 2")],
  ["no last line feed", (lines) => lines.slice(0, -1)],
  ["no end", (lines) => [...lines.slice(0, -2), ""]],
  ["a wrong count", (lines) => lines.with(-2, "end 5")],
  ["a line behind the end", (lines) => [...lines.slice(0, -1), "f 0 0 0644 x", ""]],
  ["no list", (lines) => lines.toSpliced(6, 1)],
  ["no identity", (lines) => lines.toSpliced(1, 1)],
  ["a short identity", (lines) => lines.with(1, "identity abc")],
  ["two identities", (lines) => lines.toSpliced(2, 0, `identity ${STORE}`)],
  ["no package", (lines) => lines.toSpliced(2, 1)],
  ["an unknown word", (lines) => lines.toSpliced(3, 0, "extra 1")],
  ["a store that is a path", (lines) => lines.with(5, "store ../../etc")],
  ["a file that leaves the folder", (lines) => lines.with(8, "f 1 1 0644 ../../etc/passwd")],
  ["an absolute file", (lines) => lines.with(8, "f 1 1 0644 /etc/passwd")],
  ["a NUL in a name", (lines) => lines.with(8, "f 1 1 0644 a\0b")],
  ["an unknown kind", (lines) => lines.with(8, "c 1 1 0644 dev")],
  ["a size that is no number", (lines) => lines.with(8, "f x 1 0644 a")],
  ["a mode that is not octal", (lines) => lines.with(8, "f 1 1 0999 a")],
  ["a file without a name", (lines) => lines.with(8, "f 1 1 0644 ")],
  ["CRLF", (lines) => lines.map((line) => `${line}\r`)],
];
test.each(broken)("parseReady() refuses a marker with %s", (_, change) => {
  expect(() => parse(change(GOOD))).toThrow("ready: ");
  try {
    parse(change(GOOD));
  } catch (error) {
    expect(error).toMatchObject({ code: "READY" });
  }
});

test("parseReady() refuses every truncation and never crashes on any text", () => {
  const text = GOOD.join("\n");
  for (let length = 0; length < text.length; length++) {
    expect(() => parseReady(text.slice(0, length), "ready")).toThrow("ready: ");
  }
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.nat(text.length), (noise, at) => {
      try {
        parseReady(text.slice(0, at) + noise + text.slice(at), "ready");
      } catch (error) {
        expect(error).toMatchObject({ code: "READY" });
      }
    }),
    { numRuns: 300 },
  );
});
