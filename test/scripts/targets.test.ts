import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

import { executableFormat, hostTarget, outputName, TARGETS } from "../../scripts/targets.ts";

test("the running Bun has the format of the host", () => {
  const host = hostTarget();
  if (host === undefined) throw new Error("not a system that sealift is compiled for");
  expect(executableFormat(readFileSync(process.execPath).subarray(0, 4096))).toBe(host.format);
});

function header(fill: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(512);
  fill(new DataView(bytes.buffer));
  return bytes;
}

test.each([
  ["elf-arm64", header((v) => (v.setUint32(0, 0x7f454c46), v.setUint16(18, 0xb7, true)))],
  [
    "macho-x64",
    header((v) => (v.setUint32(0, 0xfeedfacf, true), v.setUint32(4, 0x01000007, true))),
  ],
  [
    "macho-arm64",
    header((v) => (v.setUint32(0, 0xfeedfacf, true), v.setUint32(4, 0x0100000c, true))),
  ],
  [
    "pe-x64",
    header((v) => {
      v.setUint16(0, 0x4d5a);
      v.setUint32(60, 128, true);
      v.setUint32(128, 0x50450000);
      v.setUint16(132, 0x8664, true);
    }),
  ],
])("executableFormat() knows %s", (format, bytes) => {
  expect(executableFormat(bytes)).toBe(format as ReturnType<typeof executableFormat>);
});

test.each([
  ["nothing", new Uint8Array(0)],
  ["zeros", new Uint8Array(512)],
  ["a script", new TextEncoder().encode("#!/bin/sh\n".padEnd(100))],
  ["another machine", header((v) => (v.setUint32(0, 0x7f454c46), v.setUint16(18, 0xf3, true)))],
  [
    "a PE header outside",
    header((v) => (v.setUint16(0, 0x4d5a), v.setUint32(60, 0xfffffff0, true))),
  ],
])("executableFormat() refuses %s", (_name, bytes) => {
  expect(executableFormat(bytes)).toBeUndefined();
});

test("every target has its own file", () => {
  expect(new Set(TARGETS.map(outputName)).size).toBe(TARGETS.length);
});
