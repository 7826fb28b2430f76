/** Packed trees that are remembered: the same bytes with and without, and nothing but the same bytes. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type ChunkPiece, scanTree, type TreeEntry, zstdTree } from "../../../lib/codec/mod.ts";
import { slotMemory } from "../../../lib/pack/stage/memory.ts";

/** A cache with a tree of wheels of more than one chunk. */
async function cacheWithTree() {
  const path = mkdtempSync(join(tmpdir(), "sealift-memory-"));
  const tree = join(path, "python", "unpacked", "a");
  mkdirSync(join(tree, "sub"), { recursive: true });
  writeFileSync(join(tree, "one.py"), "x = 1\n");
  // Larger than a chunk, and not all the same.
  const large = Buffer.alloc(9 << 20, "some text and more of it, ");
  writeFileSync(join(tree, "sub", "large.bin"), large);
  const entries: TreeEntry[] = [
    ...(await scanTree(tree)),
    { path: "z.txt", type: "file", mode: 0o644, size: 2, source: { bytes: Buffer.from("zz") } },
  ];
  return {
    path,
    tree,
    entries,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** The bytes and the chunks that come out, and how often the tree was really packed. */
async function packed(cache: string, entries: TreeEntry[], level = 3) {
  let times = 0;
  const pack = () => {
    times++;
    return zstdTree(entries, { level, mtime: 0 });
  };
  const parts: Uint8Array[] = [];
  const chunks: [number, number][] = [];
  let stored = 0;
  const pieces: AsyncIterable<ChunkPiece> = slotMemory(cache).pieces(
    { entries, level, mtime: 0 },
    pack,
  );
  for await (const piece of pieces) {
    parts.push(Buffer.from(piece.stored));
    stored += piece.stored.length;
    if (piece.end) chunks.push([stored, piece.original]);
    if (piece.end) stored = 0;
  }
  return { hash: Bun.hash(Buffer.concat(parts)), chunks, times };
}

const remembered = (cache: string) => {
  const folder = join(cache, "python", "slots");
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
};

describe("slotMemory()", () => {
  test("gives the same bytes and chunks the second time, without packing", async () => {
    using cache = await cacheWithTree();
    const first = await packed(cache.path, cache.entries);
    const second = await packed(cache.path, cache.entries);
    expect(first.chunks.length).toBeGreaterThan(1);
    expect([first.times, second.times]).toEqual([1, 0]);
    expect({ ...second, times: 1 }).toEqual(first);
  });

  test("another level, mode or content is another tree", async () => {
    using cache = await cacheWithTree();
    const { path, entries, tree } = cache;
    await packed(path, entries);
    expect((await packed(path, entries, 4)).times).toBe(1);
    const changed = entries.map((entry) => ({ ...entry, mode: 0o755 }));
    expect((await packed(path, changed)).times).toBe(1);
    writeFileSync(join(tree, "one.py"), "x = 2\n");
    expect((await packed(path, entries)).times).toBe(1);
  });

  test("a tree with a file from elsewhere is packed every time", async () => {
    using cache = await cacheWithTree();
    const own = join(cache.path, "own.txt");
    writeFileSync(own, "own");
    const entries: TreeEntry[] = [
      ...cache.entries,
      { path: "zz", type: "file", mode: 0o644, size: 3, source: own },
    ];
    for (const _ of [1, 2]) expect((await packed(cache.path, entries)).times).toBe(1);
    expect(remembered(cache.path)).toEqual([]);
  });

  const damages: [string, (path: string) => void][] = [
    ["cut", (path) => writeFileSync(path, readFileSync(path).subarray(0, 500))],
    ["empty", (path) => writeFileSync(path, "")],
    [
      "changed by a bit",
      (path) => {
        const bytes = readFileSync(path);
        bytes[100] = (bytes[100] ?? 0) ^ 1;
        writeFileSync(path, bytes);
      },
    ],
    [
      "given other sizes",
      (path) => {
        const text = readFileSync(path)
          .toString("latin1")
          .replace(/,2048\]\]/, ",1024]]");
        writeFileSync(path, Buffer.from(text, "latin1"));
      },
    ],
    ["something else", (path) => writeFileSync(path, "{}".padEnd(200))],
  ];
  test.each(damages)("a file that is %s is not used", async (_, damage) => {
    using cache = await cacheWithTree();
    const first = await packed(cache.path, cache.entries);
    for (const path of remembered(cache.path)) damage(path);
    expect(await packed(cache.path, cache.entries)).toEqual(first);
    expect((await packed(cache.path, cache.entries)).times).toBe(0);
  });

  test("a pack that fails midway leaves nothing", async () => {
    using cache = await cacheWithTree();
    const { entries, path } = cache;
    rmSync(join(cache.tree, "sub", "large.bin"));
    await expect(packed(path, entries)).rejects.toThrow();
    writeFileSync(join(cache.tree, "sub", "large.bin"), "short");
    await expect(packed(path, entries)).rejects.toThrow();
    expect(remembered(path)).toEqual([]);
  });

  test("a cache that cannot be written is no reason to fail", async () => {
    using cache = await cacheWithTree();
    // Also for the superuser: a file where the folder should be.
    writeFileSync(join(cache.path, "python", "slots"), "");
    chmodSync(join(cache.path, "python", "slots"), 0o400);
    expect((await packed(cache.path, cache.entries)).chunks.length).toBeGreaterThan(1);
  });
});
