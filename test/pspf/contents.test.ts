/** Signed slots whose bytes do not decode to what the signed metadata says: the publisher's mistake, or a bomb. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";

import { gzipStored, sha256, sha256Hex, tarStream } from "../../lib/codec/mod.ts";
import { encodeSignatures } from "../../lib/pspf/block.ts";
import { deriveIndex, deriveLayout, deriveTable } from "../../lib/pspf/derive.ts";
import type { SealedMetadata } from "../../lib/pspf/metadata.ts";
import { decodedSlot, extractSlot, openPackage, verifyPackage } from "../../lib/pspf/mod.ts";
import {
  collect,
  EPOCH,
  save,
  signer,
  smallPackage,
  temporaryFolder,
  text,
  thrown,
} from "./fixture.ts";

const folder = temporaryFolder();
const path = join(folder, "lying.psp");
type Slot = SealedMetadata["slots"][number];

/** A sealed package, honest in every byte, with one slot whose metadata is `change`d before it is signed. */
async function lying(stored: Uint8Array, change: Partial<Slot>): Promise<string> {
  await smallPackage(path);
  const pkg = await openPackage(path);
  await pkg.close();
  const metadata = structuredClone(pkg.metadata.document) as unknown as SealedMetadata;
  const slot: Slot = {
    ...(metadata.slots[0] as Slot),
    size: stored.length,
    original_size: stored.length,
    checksum: `sha256:${sha256Hex(stored)}`,
    ...change,
  };
  metadata.slots = [slot];
  const json = text(JSON.stringify(metadata));
  const packed = gzipStored(json);
  const layout = deriveLayout(metadata.launcher.size, packed.length, [stored.length]);
  const file = new Uint8Array(layout.trailer.end);
  file.set(text("#!/bin/sh\necho launcher\n"));
  file.set(packed, layout.metadata.start);
  file.set(deriveTable(metadata.slots, layout), layout.table.start);
  file.set(stored, layout.slots[0]?.start);
  const index = deriveIndex(metadata, layout, {
    publicKey: signer.publicKey,
    signatures: encodeSignatures(signer.sign(json)),
    metadataChecksum: sha256(packed),
  });
  file.set([0xf0, 0x9f, 0x93, 0xa6], layout.trailer.start);
  file.set(index, layout.trailer.start + 4);
  file.set([0xf0, 0x9f, 0xaa, 0x84], layout.trailer.end - 4);
  return save(path, file);
}

/** The bytes pass `verify`, their content does not; nothing is decoded beyond the signed size. */
async function expectRefusal(code: string | RegExp): Promise<void> {
  expect((await verifyPackage(path)).ok).toBe(true);
  const verdict = await verifyPackage(path, { contents: true });
  const failed = verdict.checks.filter((check) => !check.ok);
  expect(failed).toHaveLength(1);
  expect(failed[0]).toMatchObject({ name: "content run", code: expect.stringMatching(code) });
  expect(failed[0]?.detail).toContain(`${path}: slot run: `);
  const pkg = await openPackage(path);
  try {
    const error = await thrown(() =>
      extractSlot(pkg, 0, join(folder, "out", String(Math.random()))),
    );
    expect(error).toMatchObject({ code: failed[0]?.code as string, exit: 3 });
  } finally {
    await pkg.close();
  }
}

async function tarOf(size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  return collect(
    tarStream([{ path: "a", type: "file", mode: 0o644, size, source: { bytes } }], {
      mtime: EPOCH,
    }),
  );
}

describe("signed slots that are not what they say", () => {
  test("are proven when they are", async () => {
    const frames = [zstdCompressSync(text("abc")), zstdCompressSync(text("defg"))];
    await lying(Buffer.concat(frames), {
      operations: "zstd",
      original_size: 7,
      chunks: frames.map((frame, i) => [frame.length, i + 3]),
    });
    const verdict = await verifyPackage(path, { contents: true });
    expect(verdict.checks.at(-1)).toMatchObject({ name: "content run", ok: true });
    await lying(text("x"), {});
    expect((await verifyPackage(path, { contents: true })).ok).toBe(true);
  });

  test("a bomb: more than the signed size, in every compression that expands", async () => {
    const zeros = new Uint8Array(64 << 20);
    await lying(gzipSync(zeros), { operations: "gzip", original_size: 1000 });
    await expectRefusal("GZIP_SIZE");
    await lying(zstdCompressSync(zeros), { operations: "zstd", original_size: 1000 });
    await expectRefusal("ZSTD_SIZE");
    await lying(gzipSync(gzipSync(zeros)), { operations: "gzip|gzip", original_size: 1000 });
    await expectRefusal("GZIP_SIZE");
  });

  test("less than the signed size", async () => {
    await lying(gzipSync("short"), { operations: "gzip", original_size: 6 });
    await expectRefusal("UNPACK_SIZE");
    await lying(text("short"), { operations: "none", original_size: 6 });
    await expectRefusal("UNPACK_SIZE");
  });

  test("another compression, a cut stream, bytes behind it", async () => {
    await lying(gzipSync("x"), { operations: "zstd", original_size: 1 });
    await expectRefusal("ZSTD_DATA");
    await lying(gzipSync("x".repeat(99)).subarray(0, 15), {
      operations: "gzip",
      original_size: 99,
    });
    await expectRefusal("GZIP_DATA");
    await lying(Buffer.concat([gzipSync("x"), text("tail")]), {
      operations: "gzip",
      original_size: 1,
    });
    await expectRefusal("GZIP_DATA");
  });

  test("a tar that is none, or that goes on after its end", async () => {
    await lying(new Uint8Array(1024).fill(1), { operations: "tar", target: "" });
    await expectRefusal(/^TAR_/);
    const tar = await tarOf(10);
    await lying(Buffer.concat([tar, new Uint8Array(512).fill(1)]), {
      operations: "tar",
      target: "",
    });
    await expectRefusal(/^TAR_/);
  });

  test("chunks that end inside an entry", async () => {
    const tar = await tarOf(4096);
    const parts = [tar.subarray(0, 2048), tar.subarray(2048)];
    const frames = parts.map((part) => zstdCompressSync(part));
    await lying(Buffer.concat(frames), {
      operations: "tar|zstd",
      target: "",
      original_size: tar.length,
      chunks: frames.map((frame, i) => [frame.length, parts[i]?.length as number]),
    });
    await expectRefusal(/^(?:TAR|ZSTD)_/);
  });

  test("chunks that decode to other sizes than they say", async () => {
    const frames = [zstdCompressSync(text("abc")), zstdCompressSync(text("defg"))];
    await lying(Buffer.concat(frames), {
      operations: "zstd",
      original_size: 7,
      chunks: frames.map((frame, i) => [frame.length, 4 - i]),
    });
    await expectRefusal("ZSTD_FRAME");
  });

  test("a pipe of decoded bytes stops at the signed size", async () => {
    await lying(gzipSync(new Uint8Array(1 << 20)), { operations: "gzip", original_size: 5 });
    const pkg = await openPackage(path);
    let seen = 0;
    const error = await thrown(async () => {
      for await (const piece of decodedSlot(pkg, 0)) seen += piece.length;
    });
    await pkg.close();
    expect(error.code).toBe("GZIP_SIZE");
    expect(seen).toBeLessThanOrEqual(5);
  });
});
