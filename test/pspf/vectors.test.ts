/** Fixed values that every implementation of the format shares. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { FormatError } from "../../lib/base/mod.ts";
import { adler32, sha256 } from "../../lib/codec/mod.ts";
import { encodeIndex, encodeSignatures, indexChecksum, parseIndex } from "../../lib/pspf/block.ts";
import { digest64, encodeDescriptor, parseDescriptor } from "../../lib/pspf/descriptor.ts";
import { sameBytes, toLength } from "../../lib/pspf/layout.ts";
import {
  formatOperations,
  type Operation,
  packChain,
  parseOperations,
  unpackChain,
} from "../../lib/pspf/mod.ts";
import { PROBLEMS } from "../../lib/pspf/problem.ts";
import { signerFromSeed } from "../../lib/trust/mod.ts";
import messages from "../conformance/messages.json";
import { smallPackage, temporaryFolder, text, thrown } from "./fixture.ts";

describe("vectors", () => {
  test("Adler-32 of the format's example", () => {
    expect(adler32(text("Hello, PSPF!\n"))).toBe(0x1d5103a5);
  });

  test("the name hash of {workenv} in the Go builder's sample", () => {
    expect(digest64(sha256(text("{workenv}")))).toBe(4782840911576006724n);
  });

  test("keys from a seed text", () => {
    expect(signerFromSeed("test123").publicKey.toHex()).toBe(
      "d27367ba3d436463c468ecc68cfd2735b4d33b6be611355d72ac03666b47335d",
    );
    expect(signerFromSeed("pretaster-0.0.1029").publicKey.toHex()).toStartWith("3811c6de");
  });

  test("the bytes of one whole package", async () => {
    const bytes = await smallPackage(join(temporaryFolder(), "golden.psp"), {
      slots: [
        {
          id: "a",
          source: "a",
          target: "a",
          operations: [],
          content: { kind: "bytes", bytes: text("hello") },
        },
      ],
    });
    expect(bytes.length).toBe(9453);
    expect(sha256(bytes).toHex()).toBe(
      "3cf509c9f2168ed0bdd6eb3f3bbb419ce0f3ffa0e499491661420a360f918f4c",
    );
  });
});

describe("operations", () => {
  test.each([
    ["", 0n],
    ["none", 0n],
    ["RAW", 0n],
    ["tar", 0x01n],
    ["gzip", 0x10n],
    ["tgz", 0x1001n],
    ["tar.gz", 0x1001n],
    ["TAR|GZIP", 0x1001n],
    ["tar,gzip", 0x1001n],
    ["tar.bz2", 0x1301n],
    ["tbz2", 0x1301n],
    ["txz", 0x1601n],
    ["tar.xz", 0x1601n],
    ["tar.zst", 0x1b01n],
    ["tzst", 0x1b01n],
    [" tar | zstd ", 0x1b01n],
    ["gzip|xz|zstd", 0x1b1610n],
  ])("%p is %p", (spelling, packed) => {
    expect(packChain(parseOperations(spelling))).toBe(packed);
    expect(packChain(unpackChain(packed))).toBe(packed);
  });

  test.each([
    "targz",
    "tar.lz",
    "lz4",
    "tar||gzip",
    "gzip|",
    "gzip tar",
    "constructor",
    "gzip|tar",
    "tar|tar",
  ])("%p is an error, never raw (B1)", (spelling) => {
    expect(() => parseOperations(spelling)).toThrow(FormatError);
  });

  for (const packed of [0x301001n, 0xffn, 0x0100n, 0x10_00_01n, 0x0110n, 0x02n, 2n ** 64n - 1n]) {
    test(`the chain 0x${packed.toString(16)} is an error, never skipped`, async () => {
      expect((await thrown(() => unpackChain(packed))).code).toBe("PSPF_OPERATION");
    });
  }

  test("more than eight operations are an error", () => {
    const nine: Operation[] = Array.from({ length: 9 }, () => "gzip");
    expect(() => packChain(nine)).toThrow(FormatError);
    expect(() => parseOperations(nine.join("|"))).toThrow(FormatError);
    expect(unpackChain(packChain(nine.slice(1)))).toHaveLength(8);
  });

  test("canonical text", () => {
    const texts = ["", "tar,gzip", "tar.zst", "gzip", "tar"]
      .map(parseOperations)
      .map(formatOperations);
    expect(texts).toEqual(["none", "tgz", "tar|zstd", "gzip", "tar"]);
  });
});

describe("index block and descriptor", () => {
  const values = {
    packageSize: 2 ** 40 + 7,
    launcherSize: 1,
    metadataOffset: 2,
    metadataSize: 3,
    tableOffset: 4,
    slotCount: 5,
    publicKey: new Uint8Array(32).fill(6),
    metadataChecksum: new Uint8Array(32).fill(7),
    signatures: encodeSignatures(new Uint8Array(64).fill(8)),
    buildTimestamp: 9,
    licenseId: "Apache-2.0",
    encrypted: false,
  };

  test("the checksum zeroes bytes 4 to 8, in files above 4 GiB too (C24)", () => {
    const bytes = encodeIndex(values);
    const zeroed = bytes.slice();
    zeroed.fill(0, 4, 8);
    expect(indexChecksum(bytes)).toBe(adler32(zeroed));
    expect(parseIndex(bytes).checksum).toBe(adler32(zeroed));
    expect(parseIndex(bytes).packageSize).toBe(2n ** 40n + 7n);
  });

  test("capabilities stand at 832, not at 840 as the Go builder has them (B3)", () => {
    const view = new DataView(encodeIndex(values).buffer);
    expect(view.getBigUint64(832, true)).toBe(128n);
    const encrypted = new DataView(encodeIndex({ ...values, encrypted: true }).buffer);
    expect(encrypted.getBigUint64(832, true)).toBe(192n);
    expect(view.getBigUint64(840, true)).toBe(0n);
    expect(view.getUint32(856, true)).toBe(0x20250001);
    expect(view.getUint32(860, true)).toBe(1);
  });

  test("descriptors keep every bit", () => {
    const bytes = new Uint8Array(64).map((_, i) => i * 7 + 3);
    expect(encodeDescriptor(parseDescriptor(bytes))).toEqual(bytes);
  });

  test("sizes beyond 2^53 become Infinity", () => {
    expect(toLength(2n ** 53n)).toBe(Infinity);
    expect(toLength(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
    expect(sameBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false);
  });
});

test("codes and sentences are those of the launchers", () => {
  for (const [code, entry] of Object.entries(PROBLEMS)) {
    const theirs = messages[code as keyof typeof messages];
    expect(entry.message).toBe(theirs.message);
    expect(entry.kind).toBe(theirs.exit === 102 ? "format" : "check");
  }
});
