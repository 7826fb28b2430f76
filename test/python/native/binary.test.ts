import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { parseBinary, readBinary } from "../../../lib/python/native/binary.ts";

/** A Mach-O program with one load command for each name. */
function macho(machine: number, names: string[]): Buffer {
  const commands = names.map((name) => {
    const text = Buffer.from(`${name}\0`);
    const body = Buffer.alloc(24 + Math.ceil(text.length / 8) * 8);
    body.writeUInt32LE(0xc, 0);
    body.writeUInt32LE(body.length, 4);
    body.writeUInt32LE(24, 8);
    text.copy(body, 24);
    return body;
  });
  const all = Buffer.concat(commands);
  const header = Buffer.alloc(32);
  header.writeUInt32LE(0xfeedfacf, 0);
  header.writeUInt32LE(machine, 4);
  header.writeUInt32LE(names.length, 16);
  header.writeUInt32LE(all.length, 20);
  return Buffer.concat([header, all]);
}

const [INTEL, ARM] = [0x01000007, 0x0100000c];

function universal(parts: Buffer[]): Buffer {
  const head = Buffer.alloc(8 + parts.length * 20);
  head.writeUInt32BE(0xcafebabe, 0);
  head.writeUInt32BE(parts.length, 4);
  let at = head.length;
  for (const [i, part] of parts.entries()) {
    head.writeUInt32BE(at, 8 + i * 20 + 8);
    at += part.length;
  }
  return Buffer.concat([head, ...parts]);
}

function pe(machine: number): Buffer {
  const bytes = Buffer.alloc(0x90);
  bytes.write("MZ");
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.writeUInt32BE(0x50450000, 0x80);
  bytes.writeUInt16LE(machine, 0x84);
  return bytes;
}

describe("parseBinary()", () => {
  test("tells Mach-O machines and the libraries that they load", () => {
    const library = "@executable_path/../lib/libpython3.11.dylib";
    expect(parseBinary(macho(ARM, [library, "/usr/lib/libSystem.B.dylib"]))).toEqual({
      platform: "darwin",
      machines: ["arm64"],
      loads: [library, "/usr/lib/libSystem.B.dylib"],
    });
    expect(parseBinary(universal([macho(INTEL, ["a"]), macho(ARM, ["a", "b"])]))).toEqual({
      platform: "darwin",
      machines: ["amd64", "arm64"],
      loads: ["a", "b"],
    });
  });

  test("tells PE machines", () => {
    expect(parseBinary(pe(0x8664))).toEqual({ platform: "win32", machines: ["amd64"], loads: [] });
    expect(parseBinary(pe(0xaa64))?.machines).toEqual(["arm64"]);
    expect(parseBinary(pe(0x14c))?.machines).toEqual([]);
  });

  test("tells ELF machines by the program that runs this", () => {
    if (process.platform !== "linux") return;
    const machine = process.arch === "x64" ? "amd64" : process.arch;
    expect(readBinary(process.execPath)).toEqual({
      platform: "linux",
      machines: [machine],
      loads: [],
    });
  });

  test("is undefined for anything else, and for class files, which begin like universal ones", () => {
    expect(parseBinary(Buffer.from("#!/bin/sh\n"))).toBeUndefined();
    expect(parseBinary(Buffer.from("cafebabe00000034000a", "hex"))).toBeUndefined();
    expect(parseBinary(new Uint8Array())).toBeUndefined();
  });

  test("no cut and no changed byte makes it fail or run away", () => {
    const whole = universal([macho(INTEL, ["lib/a", "lib/b"]), macho(ARM, ["lib/c"])]);
    for (let length = 0; length < whole.length; length++) {
      const cut = parseBinary(whole.subarray(0, length));
      expect(cut?.machines.length ?? 0).toBeLessThan(2);
    }
    fc.assert(
      fc.property(
        fc.constantFrom(whole, pe(0x8664), macho(ARM, ["x"])),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
        (bytes, changes) => {
          const copy = Buffer.from(bytes);
          for (const [at, value] of changes) copy[at % copy.length] = value;
          const found = parseBinary(copy);
          expect(found === undefined || found.machines.length <= 2).toBe(true);
        },
      ),
    );
  });
});
