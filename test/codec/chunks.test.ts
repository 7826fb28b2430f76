import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";

import fc from "fast-check";
// @ts-expect-error It comes without types.
import { ZstdCodec } from "zstd-codec";

import { SealiftError } from "../../lib/base/mod.ts";
import { CHUNK_TARGET, planChunks } from "../../lib/codec/chunks.ts";
import { frameHeader, MAX_CHUNK_WINDOW } from "../../lib/codec/frame.ts";
import {
  arrangeTree,
  type ChunkPiece,
  compressStream,
  readTar,
  tarSize,
  tarStream,
  type TreeEntry,
  unzstdChunks,
  zstdFileChunks,
  zstdTree,
} from "../../lib/codec/mod.ts";
import { testIf } from "../support/need.ts";
import { codeOf, collect, cut, file, oracle, programs, sample, withFolder } from "./fixture.ts";

interface Stored {
  stored: Buffer;
  chunks: [number, number][];
}

async function store(pieces: AsyncIterable<ChunkPiece>): Promise<Stored> {
  const parts: Uint8Array[] = [];
  const chunks: [number, number][] = [];
  let size = 0;
  for await (const { stored, original, end } of pieces) {
    parts.push(stored);
    size += stored.length;
    if (!end) continue;
    chunks.push([size, original]);
    size = 0;
  }
  expect(size).toBe(0);
  return { stored: Buffer.concat(parts), chunks };
}

const MiB = 1 << 20;
/** Small files, one that fills a chunk exactly, one that is larger than a chunk. */
const tree: TreeEntry[] = arrangeTree([
  ...Array.from({ length: 60 }, (_, i) =>
    file(`a/${String(i).padStart(3, "0")}`, sample(200_000, i + 1)),
  ),
  file("exact", sample(CHUNK_TARGET - 512)),
  file("huge", Buffer.concat([sample(4 * MiB, 1), sample(4 * MiB, 2), sample(4 * MiB, 3)])),
  file("z", "last"),
]);
const plain = await collect(tarStream(tree, { mtime: 9 }));

function expectFrames({ stored, chunks }: Stored): void {
  let at = 0;
  for (const [size, original] of chunks) {
    const header = frameHeader(stored.subarray(at, at + 18));
    expect(header?.contentSize).toBe(original);
    expect(header?.window).toBeLessThanOrEqual(MAX_CHUNK_WINDOW);
    at += size;
  }
  expect(at).toBe(stored.length);
}

describe("planChunks()", () => {
  test("keeps whole entries together and large ones alone", () => {
    const sizes = planChunks(tree, { target: CHUNK_TARGET }).map((chunk) => tarSize(chunk) - 1024);
    expect(sizes.reduce((a, b) => a + b)).toBe(tarSize(tree) - 1024);
    const large = planChunks(tree, { target: CHUNK_TARGET }).filter(
      (chunk) => tarSize(chunk) - 1024 > CHUNK_TARGET,
    );
    expect(large.map((chunk) => chunk.map(({ path }) => path))).toEqual([["huge"]]);
    expect(planChunks([], { target: 1 })).toEqual([]);
  });
});

describe("zstdTree()", () => {
  test("is the tar stream in frames that begin at headers, the same for any number of jobs", async () => {
    const first = await store(zstdTree(tree, { mtime: 9, jobs: 1 }));
    expectFrames(first);
    expect(
      Buffer.compare(await collect(unzstdChunks(cut(first.stored, MiB), first.chunks)), plain),
    ).toBe(0);
    const boundaries: number[] = [];
    for (const [, original] of first.chunks) boundaries.push((boundaries.at(-1) ?? 0) + original);
    let members = 0;
    const decoded = unzstdChunks(cut(first.stored, 100_000), first.chunks);
    for await (const _ of readTar(decoded, { boundaries })) members++;
    expect(members).toBe(tree.length);
    for (const jobs of [2, 3]) {
      const other = await store(zstdTree(tree, { mtime: 9, jobs }));
      expect(other.chunks).toEqual(first.chunks);
      expect(Buffer.compare(other.stored, first.stored)).toBe(0);
    }
  });

  testIf(programs("zstd"))("is read by zstd", async () => {
    const { stored } = await store(zstdTree(tree, { mtime: 9 }));
    expect(Buffer.compare(oracle(["zstd", "-dc"], stored), plain)).toBe(0);
  });

  test("needs no larger window where zstd would like one", async () => {
    for (const level of [1, 19, 20, 22]) {
      const stored = await collect(compressStream("zstd", level)(cut(sample(300_000))));
      expect(frameHeader(stored)?.window).toBeLessThanOrEqual(MAX_CHUNK_WINDOW);
      expectFrames(await store(zstdTree([file("small", sample(100_000))], { mtime: 9, level })));
    }
  });

  test("of an empty tree is the end of an archive", async () => {
    const { stored, chunks } = await store(zstdTree([], { mtime: 9 }));
    expect(chunks).toEqual([[stored.length, 1024]]);
    expect(await collect(unzstdChunks(cut(stored), chunks))).toEqual(Buffer.alloc(1024));
  });

  test("ends in a chunk of its own when the last one is full", async () => {
    const { chunks } = await store(
      zstdTree([file("exact", sample(CHUNK_TARGET - 512))], { mtime: 9 }),
    );
    expect(chunks.map(([, original]) => original)).toEqual([CHUNK_TARGET, 1024]);
  });

  test("names a file that cannot be read, whichever chunk it is in", async () => {
    const gone: TreeEntry = {
      path: "y",
      type: "file",
      mode: 0o644,
      size: 5,
      source: "/nowhere/at/all",
    };
    const withGone = [...tree.slice(0, -1), gone, ...tree.slice(-1)];
    expect(await codeOf(store(zstdTree(withGone, { mtime: 9 })))).toBe("FILE_MISSING");
    expect(await codeOf(store(zstdTree(tree, { mtime: 9, level: 23 })))).toBe("COMPRESSION_LEVEL");
  });
});

describe("zstdFileChunks()", () => {
  test.each([0, 1, CHUNK_TARGET - 1, CHUNK_TARGET, CHUNK_TARGET + 1, 2 * CHUNK_TARGET + 7])(
    "of %d bytes",
    (size) =>
      withFolder(async (folder) => {
        const bytes = sample(size);
        const path = join(folder, "f");
        await Bun.write(path, bytes);
        const fromFile = await store(zstdFileChunks(path));
        expectFrames(fromFile);
        expect(fromFile.chunks.length).toBe(Math.max(1, Math.ceil(size / CHUNK_TARGET)));
        expect(
          Buffer.compare(
            await collect(unzstdChunks(cut(fromFile.stored, MiB), fromFile.chunks)),
            bytes,
          ),
        ).toBe(0);
        const fromBytes = await store(zstdFileChunks({ bytes }));
        expect(Buffer.compare(fromBytes.stored, fromFile.stored)).toBe(0);
      }),
  );

  test("names a missing file", async () => {
    expect(await codeOf(store(zstdFileChunks("/nowhere/at/all")))).toBe("FILE_MISSING");
  });

  test("agrees with a second implementation, both ways", async () => {
    const codec = await new Promise<any>((resolve) => void ZstdCodec.run(resolve));
    const simple = new codec.Simple();
    for (const size of [0, 10, 100_000]) {
      const bytes = sample(size);
      const { stored } = await store(zstdFileChunks({ bytes }));
      expect(Buffer.compare(Buffer.from(simple.decompress(stored) ?? []), bytes)).toBe(0);
      const theirs: Uint8Array = simple.compress(bytes, 3);
      expect(
        Buffer.compare(await collect(unzstdChunks(cut(theirs), [[theirs.length, size]])), bytes),
      ).toBe(0);
    }
  });
});

describe("unzstdChunks()", () => {
  const bytes = sample(100_000);
  const frame = zstdCompressSync(bytes);
  const decode = (stored: Uint8Array, chunks: [number, number][]) =>
    collect(unzstdChunks(cut(stored), chunks));

  test("refuses chunks that are not what the list says", async () => {
    const n = frame.length;
    expect(await codeOf(decode(frame, [[n, 99_999]]))).toBe("ZSTD_FRAME");
    expect(await codeOf(decode(frame, [[n, 100_001]]))).toBe("ZSTD_FRAME");
    expect(await codeOf(decode(frame, [[n - 1, 100_000]]))).toBe("ZSTD_DATA");
    expect(await codeOf(decode(frame, [[n + 1, 100_000]]))).toBe("ZSTD_DATA");
    expect(await codeOf(decode(frame, []))).toBe("ZSTD_DATA");
    expect(await codeOf(decode(Buffer.concat([frame, Buffer.alloc(1)]), [[n, 100_000]]))).toBe(
      "ZSTD_DATA",
    );
    expect(await codeOf(decode(Buffer.concat([frame, frame]), [[2 * n, 200_000]]))).toBe(
      "ZSTD_FRAME",
    );
    expect(await codeOf(decode(frame.subarray(0, 100), [[n, 100_000]]))).toBe("ZSTD_DATA");
    expect(
      await codeOf(
        decode(frame, [
          [0, 0],
          [n, 100_000],
        ]),
      ),
    ).toBe("ZSTD_DATA");
  });

  test("refuses frames without a content size, or with a large window, also in large chunks", async () => {
    const unknown = await collect(compressStream("zstd")(cut(bytes)));
    expect(await codeOf(decode(unknown, [[unknown.length, 100_000]]))).toBe("ZSTD_FRAME");
    const large = Buffer.alloc(9 * MiB);
    const params = { [constants.ZSTD_c_windowLog]: 24, [constants.ZSTD_c_contentSizeFlag]: 1 };
    const wide = zstdCompressSync(large, { params, pledgedSrcSize: large.length } as object);
    expect(await codeOf(decode(wide, [[wide.length, large.length]]))).toBe("ZSTD_WINDOW");
    const narrow = zstdCompressSync(large, {
      params: { [constants.ZSTD_c_windowLog]: 20 },
    } as object);
    const chunks: [number, number][] = [[narrow.length, large.length]];
    if (frameHeader(narrow)?.window === 1 << 20)
      expect((await decode(narrow, chunks)).length).toBe(large.length);
  });

  test("never fails in another way, and never gives more than the list says", async () => {
    const change = fc.record({ at: fc.nat(frame.length - 1), value: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const damaged = Buffer.from(frame);
        for (const { at, value } of changes) damaged[at] = value;
        try {
          expect((await decode(damaged, [[damaged.length, 100_000]])).length).toBe(100_000);
        } catch (error) {
          if (!(error instanceof SealiftError)) throw error;
          expect(error.code).toMatch(/^ZSTD_/);
        }
      }),
      { numRuns: 300 },
    );
  });
});
