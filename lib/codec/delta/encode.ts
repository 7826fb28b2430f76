/**
 * Compression once more, with the parameters that the writer of a package used: the same library gives the same bytes.
 * Which version of zstd and zlib this is goes into a delta, to explain a difference.
 */
import { through } from "../_transform.ts";
import { CHUNK_TARGET } from "../chunks.ts";
import { type Compression, compressStream, LEVELS, zstdCompressor } from "../stream.ts";
import { badPlan, type Encoder } from "./plan.ts";

type Bytes = AsyncIterable<Uint8Array>;

/** The encoder that our writer used for a slot's bytes: chunks in one go, larger ones and whole streams piece by piece. */
export function encoderFor(kind: Compression, size: number, isChunk: boolean): Encoder {
  if (kind !== "zstd" || !isChunk) return kind;
  return size <= CHUNK_TARGET ? "zstd-chunk" : "zstd-sized";
}

/** Levels that an encoder may have worked with, the likely ones first. */
export function levelsOf(encoder: Encoder): number[] {
  const kind = kindOf(encoder);
  const { min, max, default: usual } = LEVELS[kind];
  const all = Array.from({ length: max - min + 1 }, (_, i) => min + i);
  const likely = kind === "zstd" ? [9, usual, 19] : [usual, 9, 6];
  return [...new Set([...likely, ...all])];
}

/** The stored form of `size` plain bytes. Throws `FormatError("DELTA_PLAN")` for a level that there is not. */
export function encode(
  encoder: Exclude<Encoder, "none">,
  level: number,
  size: number,
  plain: Bytes,
): AsyncGenerator<Uint8Array> {
  const kind = kindOf(encoder);
  const { min, max } = LEVELS[kind];
  if (level < min || level > max) throw badPlan(`${kind} has no level ${level}`);
  if (encoder === "zstd-chunk") return oneChunk(level, size, plain);
  if (encoder === "zstd-sized") return through(zstdCompressor(level, size), plain);
  return compressStream(kind, level)(plain);
}

async function* oneChunk(level: number, size: number, plain: Bytes): AsyncGenerator<Uint8Array> {
  if (size > CHUNK_TARGET) throw badPlan("a chunk is too large");
  const buffer = new Uint8Array(size);
  let at = 0;
  for await (const piece of plain) {
    buffer.set(piece, at);
    at += piece.length;
  }
  yield await Bun.zstdCompress(buffer, { level });
}

function kindOf(encoder: Encoder): Compression {
  if (encoder === "none") throw badPlan("an encoder is unknown");
  return encoder.startsWith("zstd") ? "zstd" : (encoder as Compression);
}

/** The versions of the libraries that `encode` works with. */
export function engines(): { zstd: string; zlib: string } {
  const { zstd = "unknown", zlib = "unknown" } = process.versions;
  return { zstd, zlib };
}
