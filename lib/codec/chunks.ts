/**
 * Chunked zstd (format.md section 5): a tree or a file as independent frames, compressed in parallel on native threads,
 * decoded one after another (two decoders at a time were not faster and took twice the memory). Memory is bounded by the
 * chunks in flight, not by the slot.
 */
import { closeSync, openSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";

import { ioError } from "../base/mod.ts";
import { ByteSource } from "./_source.ts";
import { through } from "./_transform.ts";
import type { TreeEntry } from "./entry.ts";
import { FrameWalk, MAX_CHUNK_WINDOW, zstdError } from "./frame.ts";
import { checkLevel, decompressStream, zstdCompressor } from "./stream.ts";
import { checkTree, END_SIZE, entrySpan, fill, packEntries, streamEntry } from "./writer.ts";

/** Chunks aim at this many bytes. */
export const CHUNK_TARGET = 8 << 20;
/** The collector runs after so many bytes of buffers that are done with. */
const GARBAGE = 16 << 20;
/** From here on it is worth the time to collect what checking the names left behind. */
const MANY_ENTRIES = 10_000;
/** More threads than this cost more memory than they save time. */
const MAX_JOBS = 4;

/** A run of pieces up to one with `end` is a chunk, one zstd frame. */
export interface ChunkPiece {
  stored: Uint8Array;
  /** Bytes that the chunk decodes to; 0 in all pieces but the one with `end`. */
  original: number;
  end: boolean;
}

export interface ChunkOptions {
  /** 1 to 22; default 3. */
  level?: number;
  /** Chunks compressed at a time; default: one per core, at most 4. */
  jobs?: number;
}

/** Entries in groups of at most `target` bytes of tar stream; a larger entry is alone in its group. */
export function planChunks(
  entries: readonly TreeEntry[],
  options: { target: number },
): TreeEntry[][] {
  const chunks: TreeEntry[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const span = entrySpan(entry);
    if (size + span > options.target) {
      chunks.push([]);
      size = 0;
    }
    chunks.at(-1)?.push(entry);
    size += span;
  }
  return chunks;
}

interface Chunk {
  size: number;
  /** Writes the whole chunk into a buffer of `CHUNK_TARGET` bytes and returns the part that is filled. */
  pack: (buffer: Uint8Array) => Uint8Array;
  /** Instead of `pack`, for what is larger than the buffer. */
  stream?: () => AsyncIterable<Uint8Array>;
}

/** The tar stream of arranged entries as zstd frames, in order. See `tarStream` for the entries and the errors. */
export async function* zstdTree(
  entries: readonly TreeEntry[],
  options: ChunkOptions & { mtime: number },
): AsyncGenerator<ChunkPiece, void, undefined> {
  checkTree(entries);
  // The checks leave as much behind as the names take, which counts for trees of many files.
  if (entries.length > MANY_ENTRIES) Bun.gc(true);
  yield* compressChunks(treeChunks(entries, options.mtime), options);
}

/** A file, or bytes, as zstd frames of 8 MiB of content. `EnvironmentError` when the file cannot be read. */
export async function* zstdFileChunks(
  source: string | { bytes: Uint8Array },
  options: ChunkOptions = {},
): AsyncGenerator<ChunkPiece, void, undefined> {
  if (typeof source !== "string") {
    const { bytes } = source;
    const part = (at: number, size: number) => bytes.subarray(at, at + size);
    yield* compressChunks(
      fileChunks(bytes.length, (_, at, size) => part(at, size)),
      options,
    );
    return;
  }
  const file = openFile(source);
  try {
    const { size } = statSync(source);
    const read = (buffer: Uint8Array, at: number, length: number) => {
      const part = buffer.subarray(0, length);
      fill(file, source, part, at);
      return part;
    };
    yield* compressChunks(fileChunks(size, read), options);
  } finally {
    closeSync(file);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw ioError(error, path);
  }
}

function* fileChunks(
  size: number,
  part: (buffer: Uint8Array, at: number, length: number) => Uint8Array,
): Generator<Chunk> {
  for (let at = 0; at === 0 || at < size; at += CHUNK_TARGET) {
    const length = Math.min(CHUNK_TARGET, size - at);
    yield { size: length, pack: (buffer) => part(buffer, at, length) };
  }
}

function* treeChunks(entries: readonly TreeEntry[], mtime: number): Generator<Chunk> {
  const groups = planChunks(entries, { target: CHUNK_TARGET });
  let ended = false;
  for (const [i, group] of groups.entries()) {
    const size = group.reduce((sum, entry) => sum + entrySpan(entry), 0);
    if (size > CHUNK_TARGET) {
      const [entry] = group as [TreeEntry];
      yield { size, pack: (buffer) => buffer, stream: () => streamEntry(entry, mtime) };
      continue;
    }
    ended = i === groups.length - 1 && size + END_SIZE <= CHUNK_TARGET;
    yield treeChunk(group, mtime, size + (ended ? END_SIZE : 0));
  }
  if (!ended) yield treeChunk([], mtime, END_SIZE);
}

function treeChunk(group: TreeEntry[], mtime: number, size: number): Chunk {
  return {
    size,
    pack: (buffer) => {
      const packed = packEntries(group, mtime, buffer);
      return buffer.fill(0, packed.length, size).subarray(0, size);
    },
  };
}

/** Keeps `jobs` chunks at work and hands them out in order; buffers go round. */
async function* compressChunks(
  chunks: Iterable<Chunk>,
  options: ChunkOptions,
): AsyncGenerator<ChunkPiece, void, undefined> {
  const level = checkLevel("zstd", options.level);
  const jobs = jobCount(options.jobs);
  const queue: Promise<ChunkPiece>[] = [];
  const buffers: Uint8Array[] = [];
  const tidy = new Tidy();
  for (const chunk of chunks) {
    if (chunk.stream !== undefined) {
      while (queue.length > 0) yield await (queue.shift() as Promise<ChunkPiece>);
      yield* compressLarge(chunk.stream(), chunk.size, level, tidy);
      continue;
    }
    const buffer = buffers.pop() ?? new Uint8Array(CHUNK_TARGET);
    const compressed = Bun.zstdCompress(chunk.pack(buffer) as Uint8Array<ArrayBuffer>, { level });
    queue.push(finish(compressed, chunk.size, () => buffers.push(buffer)));
    if (queue.length <= jobs) continue;
    const piece = await (queue.shift() as Promise<ChunkPiece>);
    yield piece;
    tidy.count(piece.stored.length);
  }
  while (queue.length > 0) yield await (queue.shift() as Promise<ChunkPiece>);
}

/** Lets the collector run now and then: it does not feel how much native memory hangs on the few objects of a chunk. */
class Tidy {
  #bytes = 0;

  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < GARBAGE) return;
    this.#bytes = 0;
    Bun.gc(true);
  }
}

async function finish(
  compressed: Promise<Uint8Array>,
  original: number,
  release: () => void,
): Promise<ChunkPiece> {
  const stored = await compressed;
  release();
  return { stored, original, end: true };
}

async function* compressLarge(
  source: AsyncIterable<Uint8Array>,
  size: number,
  level: number,
  tidy: Tidy,
): AsyncGenerator<ChunkPiece, void, undefined> {
  for await (const stored of through(zstdCompressor(level, size), source)) {
    yield { stored, original: 0, end: false };
    tidy.count(stored.length);
  }
  yield { stored: new Uint8Array(0), original: size, end: true };
}

function jobCount(jobs = Math.min(availableParallelism(), MAX_JOBS)): number {
  return Math.max(1, Math.floor(jobs));
}

/**
 * Decodes the stored bytes of a chunked slot. `chunks` is the signed list of `[stored, original]`. `FormatError`: `ZSTD_FRAME` when a
 * chunk is not one frame of exactly its size, `ZSTD_WINDOW` when it needs a window above 8 MiB, `ZSTD_DATA` or `ZSTD_SIZE` when it is
 * damaged, or the stream is shorter or longer than the list.
 */
export async function* unzstdChunks(
  stored: AsyncIterable<Uint8Array>,
  chunks: readonly (readonly [number, number])[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = new ByteSource(stored);
  try {
    for (const [size, original] of chunks) yield* decodeChunk(source, size, original);
    if ((await source.some(1)) !== undefined) {
      throw zstdError("ZSTD_DATA", "has bytes after its end");
    }
  } finally {
    await source.close();
  }
}

async function* decodeChunk(source: ByteSource, size: number, original: number) {
  const walk = new FrameWalk(MAX_CHUNK_WINDOW);
  async function* stored() {
    for (let left = size; left > 0;) {
      const part = await source.some(left);
      if (part === undefined) throw zstdError("ZSTD_DATA", "is truncated");
      walk.push(part);
      left -= part.length;
      yield part;
    }
    walk.end();
    if (walk.frames === 1 && walk.contentSize === original) return;
    throw zstdError("ZSTD_FRAME", `has a chunk that is not one frame of ${original} bytes`);
  }
  let total = 0;
  for await (const piece of decompressStream("zstd", { maxOutput: original })(stored())) {
    total += piece.length;
    yield piece;
  }
  if (total !== original) {
    throw zstdError("ZSTD_FRAME", `has a chunk that does not decode to ${original} bytes`);
  }
}
