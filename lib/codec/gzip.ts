/**
 * The metadata's gzip member (format.md section 2). The stored form is the one encoding that every reader can recompute:
 * a fixed header, stored deflate blocks of 65,535 bytes, CRC-32, length. `gunzipBounded` reads what other writers made.
 */
import { inflateRawSync } from "node:zlib";

import { FormatError } from "../base/mod.ts";

const HEADER = Uint8Array.of(0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff);
const BLOCK = 65535;
const BLOCK_HEADER = 5;
const TRAILER = 8;

/** The stored form of `json`. */
export function gzipStored(json: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(json.length / BLOCK));
  const out = new Uint8Array(HEADER.length + blocks * BLOCK_HEADER + json.length + TRAILER);
  const view = new DataView(out.buffer);
  out.set(HEADER);
  let at = HEADER.length;
  for (let block = 0; block < blocks; block++) {
    const part = json.subarray(block * BLOCK, (block + 1) * BLOCK);
    out[at] = block === blocks - 1 ? 1 : 0;
    view.setUint16(at + 1, part.length, true);
    view.setUint16(at + 3, ~part.length & 0xffff, true);
    out.set(part, at + BLOCK_HEADER);
    at += BLOCK_HEADER + part.length;
  }
  view.setUint32(at, Bun.hash.crc32(json), true);
  view.setUint32(at + 4, json.length >>> 0, true);
  return out;
}

/** Whether `stored` is the stored form of `json`, byte for byte. */
export function isGzipStored(stored: Uint8Array, json: Uint8Array): boolean {
  return Buffer.compare(stored, gzipStored(json)) === 0;
}

/**
 * The content of exactly one gzip member of at most `max` bytes. `FormatError`: `GZIP_SIZE` when it expands to more,
 * `GZIP_DATA` when it is damaged or truncated, or when anything follows it.
 */
export function gunzipBounded(stored: Uint8Array, max: number): Uint8Array {
  const deflated = stored.subarray(memberStart(stored), Math.max(0, stored.length - TRAILER));
  let result: { buffer: Uint8Array; engine: { bytesWritten: number } };
  try {
    const options = { maxOutputLength: Math.max(1, max), info: true };
    result = inflateRawSync(deflated, options) as unknown as typeof result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(max);
    throw damaged("is damaged or truncated", error);
  }
  const { buffer, engine } = result;
  if (buffer.length > max) throw tooLarge(max);
  if (engine.bytesWritten !== deflated.length) throw damaged("has bytes after its end");
  const trailer = new DataView(stored.buffer, stored.byteOffset + stored.length - TRAILER, TRAILER);
  if (trailer.getUint32(0, true) !== Bun.hash.crc32(buffer)) throw damaged("fails its CRC-32");
  if (trailer.getUint32(4, true) !== buffer.length >>> 0) throw damaged("fails its length check");
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Where the deflate data begins: after the fixed header and its optional fields (RFC 1952 section 2.3). */
function memberStart(stored: Uint8Array): number {
  if (stored.length < HEADER.length + TRAILER) throw damaged("is truncated");
  if (stored[0] !== 0x1f || stored[1] !== 0x8b || stored[2] !== 8)
    throw damaged("has no gzip header");
  const flags = stored[3] as number;
  if (flags & 0xe0) throw damaged("has reserved header flags");
  let at = HEADER.length;
  if (flags & 4) at += 2 + ((stored[at] as number) | ((stored[at + 1] as number) << 8));
  if (flags & 8) at = afterZero(stored, at);
  if (flags & 16) at = afterZero(stored, at);
  if (flags & 2) at += 2;
  if (at > stored.length - TRAILER) throw damaged("is truncated");
  return at;
}

function afterZero(stored: Uint8Array, at: number): number {
  const zero = stored.indexOf(0, at);
  if (zero < 0) throw damaged("is truncated");
  return zero + 1;
}

function damaged(what: string, cause?: unknown): FormatError {
  return new FormatError("GZIP_DATA", `The gzip data ${what}`, {
    hint: "The file was damaged; copy it again and compare its SHA-256.",
    cause,
  });
}

function tooLarge(max: number): FormatError {
  return new FormatError("GZIP_SIZE", `The gzip data expands to more than ${max} bytes`, {
    hint: "The file is not a valid package.",
    details: { max },
  });
}
