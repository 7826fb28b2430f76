/**
 * The four compressions as streams, in both directions. Compression is deterministic; decompression is strict: a truncated
 * stream, anything behind its end, and more output than allowed are errors, never a shorter or longer result.
 */
import {
  constants,
  createDeflateRaw,
  createGunzip,
  createZstdCompress,
  createZstdDecompress,
} from "node:zlib";

import { FormatError, SealiftError, UsageError } from "../base/mod.ts";
import { through } from "./_transform.ts";
import { FrameWalk, MAX_WINDOW } from "./frame.ts";

export type Compression = "gzip" | "bzip2" | "xz" | "zstd";

type Bytes = AsyncIterable<Uint8Array>;
type Step = (source: Bytes) => AsyncGenerator<Uint8Array, void, undefined>;

/** Levels that each compression knows, and the one it uses when none is given. */
export const LEVELS: Record<Compression, { min: number; max: number; default: number }> = {
  gzip: { min: 1, max: 9, default: 6 },
  bzip2: { min: 1, max: 9, default: 9 },
  xz: { min: 0, max: 9, default: 6 },
  zstd: { min: 1, max: 22, default: 3 },
};

const PIECE = 1 << 18;

/** The level to use; `UsageError("COMPRESSION_LEVEL")` when `kind` has no such level. */
export function checkLevel(kind: Compression, level: number = LEVELS[kind].default): number {
  const { min, max } = LEVELS[kind];
  if (Number.isInteger(level) && level >= min && level <= max) return level;
  throw new UsageError("COMPRESSION_LEVEL", `${kind} has no level ${level}`, {
    hint: `Use a whole number from ${min} to ${max}.`,
    details: { kind, level },
  });
}

/** A function that compresses a stream; the result does not depend on how the source is cut into pieces. */
export function compressStream(kind: Compression, level?: number): Step {
  const checked = checkLevel(kind, level);
  switch (kind) {
    case "gzip":
      return (source) => gzip(source, checked);
    case "zstd":
      return (source) => through(zstdCompressor(checked), source);
    case "xz":
      return async function* (source) {
        yield* (await import("./xz/encoder.ts")).compressXz(source, checked);
      };
    case "bzip2":
      return async function* (source) {
        yield* (await import("./bzip2/encoder.ts")).compressBzip2(source, checked);
      };
  }
}

export interface DecompressOptions {
  /** More output than this is `FormatError` `<KIND>_SIZE`. */
  maxOutput: number;
}

/**
 * A function that decompresses a stream; several members, frames or streams one after another are one. Throws
 * `FormatError`: `<KIND>_DATA` for damaged, truncated or trailing data, `<KIND>_SIZE` for too much output, `ZSTD_WINDOW` for a
 * window above 128 MiB.
 */
export function decompressStream(kind: Compression, options: DecompressOptions): Step {
  return (source) => bounded(kind, options.maxOutput, decoder(kind)(source));
}

function decoder(kind: Compression): Step {
  switch (kind) {
    case "gzip":
      return gunzip;
    case "zstd":
      return unzstd;
    case "xz":
      return async function* (source) {
        yield* (await import("./xz/decoder.ts")).decompressXz(source);
      };
    case "bzip2":
      return async function* (source) {
        yield* (await import("./bzip2/decoder.ts")).decompressBzip2(source);
      };
  }
}

async function* bounded(kind: Compression, max: number, pieces: Bytes) {
  let total = 0;
  try {
    for await (const piece of pieces) {
      total += piece.length;
      if (total > max) throw tooLarge(kind, max);
      yield piece;
    }
  } catch (error) {
    throw decodeError(kind, error);
  }
}

/** What a native decoder throws is a verdict about its input; our own errors stay as they are. */
function decodeError(kind: Compression, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException)?.code ?? "";
  if (error instanceof SealiftError || !/^(?:Z_|ZSTD_)/.test(code)) return error;
  return dataError(kind, `is damaged or truncated (${(error as Error).message})`, error);
}

export function dataError(kind: Compression, what: string, cause?: unknown): FormatError {
  return new FormatError(`${kind.toUpperCase()}_DATA`, `The ${kind} data ${what}`, {
    hint: "The file was damaged; copy it again and compare its SHA-256.",
    cause,
  });
}

function tooLarge(kind: Compression, max: number): FormatError {
  return new FormatError(
    `${kind.toUpperCase()}_SIZE`,
    `The ${kind} data expands to more than ${max} bytes`,
    { hint: "The file is not a valid package.", details: { max } },
  );
}

/** The header is ours: node:zlib writes the number of the system it runs on. */
const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);

async function* gzip(source: Bytes, level: number) {
  let crc = 0;
  let length = 0;
  async function* counted() {
    for await (const piece of source) {
      crc = Bun.hash.crc32(piece, crc);
      length += piece.length;
      yield piece;
    }
  }
  yield GZIP_HEADER.slice();
  yield* through(createDeflateRaw({ level, chunkSize: PIECE }), counted());
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, crc, true);
  trailer.setUint32(4, length % 2 ** 32, true);
  yield new Uint8Array(trailer.buffer);
}

async function* gunzip(source: Bytes) {
  let total = 0;
  async function* counted() {
    for await (const piece of source) {
      total += piece.length;
      yield piece;
    }
  }
  const transform = createGunzip({ chunkSize: PIECE });
  yield* through(transform, counted());
  // The native decoder passes over zeros after the last member.
  if (transform.bytesWritten !== total) throw dataError("gzip", "has bytes after its end");
}

async function* unzstd(source: Bytes) {
  const walk = new FrameWalk();
  async function* walked() {
    for await (const piece of source) {
      walk.push(piece);
      yield piece;
    }
    walk.end();
  }
  const params = { [constants.ZSTD_d_windowLogMax]: Math.log2(MAX_WINDOW) };
  yield* through(createZstdDecompress({ chunkSize: PIECE, params }), walked());
}

/** zstd never looks back further than 8 MiB here, so that readers need little memory (format.md section 5). */
const WINDOW_LOG = 23;
/** The first level that would use a larger window. */
const LARGE_WINDOW_LEVEL = 20;

/**
 * A native zstd compressor with a window of at most 8 MiB; `size` of the bytes to come is written into the frame's header. On one
 * thread: with `ZSTD_c_nbWorkers` the streams of node:zlib lose input without an error.
 */
export function zstdCompressor(level: number, size?: number) {
  const params: Record<number, number> = { [constants.ZSTD_c_compressionLevel]: level };
  if (level >= LARGE_WINDOW_LEVEL) params[constants.ZSTD_c_windowLog] = WINDOW_LOG;
  return createZstdCompress({
    params,
    chunkSize: PIECE,
    ...(size === undefined ? {} : { pledgedSrcSize: size }),
  });
}
