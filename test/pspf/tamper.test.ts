/** No byte of a sealed package can change, disappear or be added without a "no" (S1, S3, S5, S13). */
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";

import { CheckError, FormatError } from "../../lib/base/mod.ts";
import {
  decodedSlot,
  openPackage,
  type SlotEncryption,
  TRAILER_SIZE,
  verifyPackage,
} from "../../lib/pspf/mod.ts";
import { bytesSlot, collect, save, smallPackage, smallSlots, temporaryFolder } from "./fixture.ts";

const folder = temporaryFolder();
const KEY = new Uint8Array(32).fill(7);
const encryption: SlotEncryption = {
  keySource: "env:K",
  key: async () => ({ kind: "key", bytes: KEY }),
};

/** The small package with an compressed and encrypted slot, and a plain one. */
function damagedPackage(path: string): Promise<Uint8Array> {
  const secret = bytesSlot("secret", new Uint8Array(5000), {
    operations: ["zstd", "aes256gcm"],
    encryption,
  });
  const plain = bytesSlot("hidden", "hidden", { operations: ["aes256gcm"], encryption });
  return smallPackage(path, { slots: [...smallSlots(), secret, plain] });
}

/** "ok", "no" or the code of a typed error; anything else is a failure of the test. */
async function outcome(path: string): Promise<string> {
  try {
    const verdict = await verifyPackage(path);
    const failed = verdict.checks.find((check) => !check.ok);
    expect(verdict.ok).toBe(failed === undefined);
    return failed?.code ?? "ok";
  } catch (error) {
    if (error instanceof FormatError || error instanceof CheckError) return error.code;
    throw error;
  }
}

const CODES = [
  "PSPF_TRAILER",
  "PSPF_VERSION",
  "PSPF_CHECKSUM",
  "SEAL_METADATA",
  "SEAL_LAUNCHER",
  "SEAL_PADDING",
  "SEAL_TABLE",
  "SEAL_SLOT",
];

describe("verifyPackage()", () => {
  test("accepts the package as it was written, every byte covered", async () => {
    const path = join(folder, "whole.psp");
    await smallPackage(path);
    const verdict = await verifyPackage(path);
    expect(verdict.ok).toBe(true);
    expect(verdict.sealed).toBe(true);
    expect(verdict.coverage.covered).toBe(verdict.coverage.total);
    expect(verdict.coverage.ranges.every((range) => range.covered)).toBe(true);
    let end = 0;
    for (const range of verdict.coverage.ranges) {
      expect(range.start).toBe(end);
      end = range.end;
    }
    expect(end).toBe(verdict.coverage.total);
  });

  test("says no to a flip of any single byte", async () => {
    const path = join(folder, "flip.psp");
    const bytes = await damagedPackage(path);
    const file = openSync(path, "r+");
    const accepted: number[] = [];
    const codes = new Map<string, number>();
    for (let at = 0; at < bytes.length; at++) {
      writeSync(file, Uint8Array.of((bytes[at] as number) ^ (1 << (at % 8))), 0, 1, at);
      const code = await outcome(path);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (code === "ok") accepted.push(at);
      writeSync(file, bytes, at, 1, at);
    }
    closeSync(file);
    expect(accepted).toEqual([]);
    expect(await outcome(path)).toBe("ok");
    expect([...codes.keys()]).toEqual(expect.arrayContaining(CODES));
  }, 30_000);

  test("says no to truncation at every boundary and to anything appended", async () => {
    const path = join(folder, "cut.psp");
    const bytes = await smallPackage(path);
    const pkg = await openPackage(path);
    const { launcher, metadata, table, slots, trailer } = pkg.layout;
    await pkg.close();
    const ends = [launcher, metadata, table, ...slots, trailer].flatMap((r) => [r.start, r.end]);
    const cuts = new Set([0, 1, 3, 4, TRAILER_SIZE - 1, TRAILER_SIZE, ...ends]);
    for (const cut of [...cuts].flatMap((at) => [at - 1, at, at + 1])) {
      if (cut < 0 || cut >= bytes.length) continue;
      await save(path, bytes.subarray(0, cut));
      expect(await outcome(path)).not.toBe("ok");
    }
    for (const size of [1, 8, TRAILER_SIZE]) {
      await save(path, new Uint8Array(Buffer.concat([bytes, new Uint8Array(size)])));
      expect(await outcome(path)).toBe("PSPF_TRAILER");
    }
    // A second trailer behind the first one: the last one counts, and it is not where it says.
    await save(path, new Uint8Array(Buffer.concat([bytes, bytes.subarray(-TRAILER_SIZE)])));
    expect(await outcome(path)).toBe("PSPF_SIZE");
  });

  test("survives random damage with typed errors only, also when slots are decoded", async () => {
    const path = join(folder, "fuzz.psp");
    const bytes = await damagedPackage(path);
    const edit = fc.record({
      at: fc.oneof(
        fc.nat(bytes.length - 1),
        fc.integer({ min: bytes.length - TRAILER_SIZE, max: bytes.length - TRAILER_SIZE + 140 }),
      ),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        const changed = bytes.slice();
        for (const { at, bytes: patch } of edits) {
          changed.set(patch.subarray(0, changed.length - at), at);
        }
        await save(path, changed);
        const same = Buffer.compare(changed, bytes) === 0;
        expect((await outcome(path)) === "ok").toBe(same);
        await readLeniently(path);
      }),
      { numRuns: 300 },
    );
  }, 30_000);
});

/** What `inspect` and `extract` do with a damaged file: everything is typed, nothing hangs. */
async function readLeniently(path: string): Promise<void> {
  try {
    const pkg = await openPackage(path, { lenient: true, findKey: async () => KEY });
    try {
      for (const slot of pkg.slots) await collect(decodedSlot(pkg, slot.index));
    } finally {
      await pkg.close();
    }
  } catch (error) {
    if (!(error instanceof FormatError) && !(error instanceof CheckError)) throw error;
  }
}
