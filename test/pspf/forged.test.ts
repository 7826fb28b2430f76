/**
 * Attackers who repair what is not signed: Adler-32, the metadata's digest, the 64-bit slot checksums, the public
 * key. And files whose numbers lie. (S1, S2, S3, S5, S11)
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { gzipStored, sha256 } from "../../lib/codec/mod.ts";
import { openPackage, type Package, verifyPackage, writePackage } from "../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../lib/trust/mod.ts";
import {
  bytesSlot,
  options,
  save,
  signer,
  smallPackage,
  temporaryFolder,
  text,
  thrown,
} from "./fixture.ts";
import { adler32, upstreamPackage } from "./upstream.ts";

const folder = temporaryFolder();
const path = join(folder, "forged.psp");

/** The index block of a file's bytes. */
const indexOf = (bytes: Uint8Array) => bytes.subarray(bytes.length - 8196, bytes.length - 4);
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function repair(bytes: Uint8Array): Uint8Array {
  const index = indexOf(bytes);
  index.fill(0, 4, 8);
  viewOf(index).setUint32(4, adler32(index), true);
  return bytes;
}

/** The code of the first failed check, or of the error. */
async function verdictOf(bytes: Uint8Array): Promise<string> {
  await save(path, bytes);
  try {
    const verdict = await verifyPackage(path);
    return verdict.checks.find((check) => !check.ok)?.code ?? "ok";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function layoutOf(file: string): Promise<Package["layout"]> {
  const pkg = await openPackage(file);
  await pkg.close();
  return pkg.layout;
}

/** The bytes with other JSON in them, signed by `by` or left with the old signature. */
async function withJson(
  change: (json: string) => string,
  by?: typeof signer,
  pack: (json: Uint8Array) => Uint8Array = gzipStored,
): Promise<Uint8Array> {
  const original = await smallPackage(path);
  const { metadata, table } = await layoutOf(path);
  const pkg = await openPackage(path);
  await pkg.close();
  const json = text(change(new TextDecoder().decode(pkg.json)));
  const stored = pack(json);
  const end = metadata.start + stored.length;
  const start = Math.ceil(end / 8) * 8;
  const moved = start - table.start;
  const bytes = new Uint8Array(original.length + moved);
  bytes.set(original.subarray(0, metadata.start));
  bytes.set(stored, metadata.start);
  bytes.set(original.subarray(table.start), start);
  const index = indexOf(bytes);
  const view = viewOf(index);
  view.setBigUint64(8, BigInt(bytes.length), true);
  view.setBigUint64(32, BigInt(stored.length), true);
  view.setBigUint64(40, BigInt(start), true);
  index.set(sha256(stored), 96);
  if (by !== undefined) {
    index.set(by.publicKey, 64);
    index.set(by.sign(json), 128);
  }
  const slots = viewOf(bytes.subarray(start));
  for (let i = 0; i < view.getUint32(56, true); i++) {
    const offset = slots.getBigUint64(64 * i + 16, true);
    slots.setBigUint64(64 * i + 16, offset + BigInt(moved), true);
  }
  return repair(bytes);
}

describe("a forger who repairs checksums", () => {
  test("cannot change one byte of the index block", async () => {
    const bytes = await smallPackage(path);
    const start = bytes.length - 8196;
    const accepted: number[] = [];
    const step = (at: number) => (at < 900 ? 1 : 61);
    for (let at = 0; at < 8192; at += step(at)) {
      if (at >= 4 && at < 8) continue;
      const changed = bytes.slice();
      changed[start + at] = (changed[start + at] as number) ^ 0x10;
      if ((await verdictOf(repair(changed))) === "ok") accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  test("cannot exchange a slot and its 64-bit checksum (S3)", async () => {
    const bytes = await smallPackage(path);
    const { slots, table } = await layoutOf(path);
    const { start, end } = slots[0] as { start: number; end: number };
    const changed = bytes.slice();
    changed.fill(0x41, start, end);
    expect(await verdictOf(changed.slice())).toBe("SEAL_SLOT");
    changed.set(sha256(changed.subarray(start, end)).subarray(0, 8), table.start + 48);
    expect(await verdictOf(changed)).toBe("SEAL_TABLE");
  });

  test("cannot exchange the launcher (S1)", async () => {
    const bytes = await smallPackage(path);
    bytes.set(text("#!/bin/sh\nrm -rf everything"), 0);
    expect(await verdictOf(bytes)).not.toBe("ok");
  });

  test("cannot put another gzip encoding of the same JSON in place", async () => {
    expect(await verdictOf(await withJson((json) => json))).toBe("ok");
    expect(await verdictOf(await withJson((json) => json, undefined, gzipSync as never))).toBe(
      "PSPF_METADATA",
    );
    const timed = (json: Uint8Array) => {
      const stored = gzipStored(json);
      stored[4] = 1;
      return stored;
    };
    expect(await verdictOf(await withJson((json) => json, undefined, timed))).toBe("PSPF_METADATA");
  });

  test("cannot change the JSON without the key (S5)", async () => {
    const bytes = await withJson((json) => json.replace('"version":"1.2.3"', '"version":"6.6.6"'));
    expect(await verdictOf(bytes)).toBe("SEAL_SIGNATURE");
    await save(path, bytes);
    expect((await thrown(() => openPackage(path))).code).toBe("SEAL_SIGNATURE");
    const pkg = await openPackage(path, { lenient: true });
    expect(pkg.problems.map((problem) => problem.code)).toEqual(["SEAL_SIGNATURE"]);
    expect(pkg.signers).toEqual([]);
    await pkg.close();
  });

  test("who signs again with another key is not the signer that was asked for (S2)", async () => {
    const forger = signerFromSeed("forger");
    const bytes = await withJson(
      (json) => json.replace("demonstration", "forged document"),
      forger,
    );
    expect(await verdictOf(bytes)).toBe("ok");
    const asked = await verifyPackage(path, { key: signer.publicKey });
    expect(asked.ok).toBe(false);
    expect(asked.checks.at(-1)).toMatchObject({ name: "key", code: "TRUST_KEY" });
    const store = {
      dir: "trust.d",
      keys: [{ name: "us", path: "us.pub", publicKey: signer.publicKey }],
      revoked: [],
      pins: [],
    };
    const judged = await verifyPackage(path, { trust: store });
    expect(judged).toMatchObject({ ok: false, trusted: false });
    expect(judged.checks.at(-1)).toMatchObject({ name: "trust", code: "TRUST_UNKNOWN" });
    await smallPackage(path);
    expect(await verifyPackage(path, { trust: store })).toMatchObject({ ok: true, trusted: true });
    const revoked = { ...store, revoked: store.keys };
    expect((await verifyPackage(path, { trust: revoked })).checks.at(-1)?.code).toBe(
      "TRUST_REVOKED",
    );
  });

  test("cannot sign with a key that verifies everything", async () => {
    const bytes = await smallPackage(path);
    const index = indexOf(bytes);
    index.fill(0, 64, 96);
    index[64] = 1;
    index.fill(0, 128, 192);
    index[128] = 1;
    expect(await verdictOf(repair(bytes))).toBe("SEAL_KEY");
  });

  test("cannot take the signature away", async () => {
    const bytes = await smallPackage(path);
    indexOf(bytes).fill(0, 128, 192);
    expect(await verdictOf(repair(bytes))).toBe("SEAL_UNSIGNED");
  });
});

describe("signed metadata that is wrong", () => {
  test.each<[string, (json: string) => string, string]>([
    [
      "duplicate keys",
      (json) => json.replace('{"format"', '{"format":"x","format"'),
      "PSPF_METADATA",
    ],
    [
      "unknown seal version",
      (json) => json.replace('"seal":{"version":1', '"seal":{"version":2'),
      "PSPF_SEAL_VERSION",
    ],
    [
      "a seal that is no object",
      (json) => json.replace(/"seal":\{.*\}\}$/, '"seal":null}'),
      "PSPF_FIELD",
    ],
    ["unknown keys", (json) => json.replace('"seal":', '"extra":1,"seal":'), "PSPF_FIELD"],
    ["not an object", () => "[]", "PSPF_METADATA"],
    ["trailing data", (json) => `${json}{}`, "PSPF_METADATA"],
    [
      "a slot less",
      (json) => json.replace(/\{"slot":0.*?\},\{"slot":1/, '{"slot":1'),
      "PSPF_FIELD",
    ],
    [
      "ids that differ in case only",
      (json) => json.replace('"id":"app"', '"id":"RUN"'),
      "PSPF_FIELD",
    ],
    [
      "an escaping target",
      (json) => json.replace('"target":"bin/run"', '"target":"../run"'),
      "PSPF_FIELD",
    ],
    [
      "a reserved target",
      (json) => json.replace('"target":"bin/run"', '"target":".sealift/ready"'),
      "PSPF_FIELD",
    ],
    [
      "spelling of operations",
      (json) => json.replace('"operations":"gzip"', '"operations":"GZIP"'),
      "PSPF_FIELD",
    ],
    [
      "an unknown operation",
      (json) => json.replace('"operations":"gzip"', '"operations":"lz4"'),
      "PSPF_FIELD",
    ],
    [
      "chunks that do not add up",
      (json) => json.replace(/"chunks":\[\[\d+,3/, '"chunks":[[1,3'),
      "PSPF_FIELD",
    ],
    [
      "a size of 2^53",
      (json) => json.replace(/"size":18/, '"size":9007199254740992'),
      "PSPF_FIELD",
    ],
    [
      "another size",
      (json) => json.replace(/"original_size":18/, '"original_size":19'),
      "SEAL_TABLE",
    ],
    ["a stored size", (json) => json.replace(/"size":18/, '"size":99'), "SEAL_TABLE"],
    [
      "another lifecycle",
      (json) => json.replace('"lifecycle":"runtime"', '"lifecycle":"lazy"'),
      "SEAL_TABLE",
    ],
    ["another launcher size", (json) => json.replace(/"size":24,/, '"size":25,'), "SEAL_INDEX"],
    [
      "another licence",
      (json) => json.replace('"build_timestamp":315532800', '"license_id":"MIT"'),
      "SEAL_INDEX",
    ],
  ])("%s", async (_, change, code) => {
    const bytes = await withJson((json) => {
      const changed = change(json);
      expect(changed).not.toBe(json);
      return changed;
    }, signer);
    expect(await verdictOf(bytes)).toBe(code);
  });
});

describe("numbers that lie (S11)", () => {
  const fields: Array<[string, number, number]> = [
    ["package_size", 8, 8],
    ["launcher_size", 16, 8],
    ["metadata_offset", 24, 8],
    ["metadata_size", 32, 8],
    ["slot_table_offset", 40, 8],
    ["slot_table_size", 48, 8],
    ["slot_count", 56, 4],
  ];
  const values = [
    1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 63n,
    2n ** 64n - 1n,
    2n ** 64n - 8200n,
  ];

  test.each(fields)("%s is bounded before anything is allocated", async (_, at, size) => {
    const bytes = await smallPackage(path);
    for (const value of values) {
      const changed = bytes.slice();
      const view = viewOf(indexOf(changed));
      if (size === 8) view.setBigUint64(at, value, true);
      else view.setUint32(at, Number(value & 0xffffffffn), true);
      // A metadata region inside the file that is not the metadata fails its digest.
      const codes = [
        "PSPF_REGION",
        "PSPF_SIZE",
        ...(value === 1n ? ["SEAL_METADATA", "SEAL_INDEX"] : []),
      ];
      expect(codes).toContain(await verdictOf(repair(changed)));
    }
  });

  test("slot offsets and sizes are bounded, in order and apart", async () => {
    const slot = { operations: 0n, text: "none", stored: text("0123456789abcdef") };
    const slots = ["a", "b", "c"].map((id) => ({ ...slot, id, target: id }));
    const foreign = upstreamPackage("rust", slots);
    const ours = await smallPackage(path);
    for (const [bytes, code] of [
      [foreign, "PSPF_REGION"],
      [ours, "SEAL_TABLE"],
    ] as const) {
      await save(path, bytes);
      const { table, slots: regions } = await layoutOf(path);
      const last = BigInt(regions.at(-1)?.start as number);
      for (const field of [16, 24]) {
        for (const value of [...values.slice(1), last, BigInt(bytes.length)]) {
          const changed = bytes.slice();
          viewOf(changed).setBigUint64(table.start + field, value, true);
          expect(await verdictOf(changed)).toBe(code);
        }
      }
    }
  });

  test("65,535 slots are read and verified, 65,536 are not", async () => {
    const slot = { stored: text("0123456789abcdef"), operations: 0n, text: "none" };
    const slots = (n: number) =>
      Array.from({ length: n }, (_, i) => ({ ...slot, id: `s${i}`, target: `t${i}` }));
    expect(await verdictOf(upstreamPackage("go", slots(65_535)))).toBe("ok");
    expect(await verdictOf(upstreamPackage("go", slots(65_536)))).toBe("PSPF_REGION");
  }, 30_000);

  test("more metadata than a reader takes is not written", async () => {
    const slots = Array.from({ length: 60_000 }, (_, i) =>
      bytesSlot(`slot${i}`, "", { target: `target/${i}` }),
    );
    expect((await thrown(() => writePackage(path, options(slots)))).code).toBe("METADATA_SIZE");
  }, 30_000);

  test("metadata that expands beyond 64 MiB is refused at the bound", async () => {
    const bomb = (json: Uint8Array) =>
      gzipSync(Buffer.concat([json, Buffer.alloc(80 << 20, 0x20)]));
    const bytes = await withJson((json) => json, undefined, bomb as never);
    const before = process.memoryUsage().rss;
    expect(await verdictOf(bytes)).toBe("PSPF_METADATA");
    expect(process.memoryUsage().rss - before).toBeLessThan(400 << 20);
  });
});
