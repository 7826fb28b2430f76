/**
 * The fixed sizes, bounds and codes of PSPF/2025 (format.md sections 1, 4, 7 and 10) and the small
 * integer work every other module needs. All integers in the file are little-endian.
 */

export const MAGIC_START = Uint8Array.of(0xf0, 0x9f, 0x93, 0xa6);
export const MAGIC_END = Uint8Array.of(0xf0, 0x9f, 0xaa, 0x84);

export const FORMAT_VERSION = 0x20250001;
export const INDEX_SIZE = 8192;
export const DESCRIPTOR_SIZE = 64;
/** Both magics and the index block between them: exactly the end of the file. */
export const TRAILER_SIZE = MAGIC_START.length + INDEX_SIZE + MAGIC_END.length;

export const MAX_METADATA_STORED = 16 * 1024 * 1024;
export const MAX_METADATA = 64 * 1024 * 1024;
export const MAX_NESTING = 64;
export const MAX_SLOTS = 65_535;
/** What a slot of another writer may expand to, when its metadata does not say. */
export const MAX_FOREIGN_SLOT = 64 * 1024 ** 3;

/** Bytes `start` up to but not including `end`. */
export interface Range {
  start: number;
  end: number;
}

/** @returns `n` rounded up to a multiple of 8 */
export function align8(n: number): number {
  return Math.ceil(n / 8) * 8;
}

/**
 * A u64 of the file as a number. What does not fit 2^53 becomes `Infinity`, which no bound check
 * lets pass; so arithmetic on it can neither wrap nor round into range.
 */
export function toLength(value: bigint): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Infinity;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && firstDifference(a, b) === -1;
}

/** @returns the first index below both lengths at which `a` and `b` differ, or -1 */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** @returns the first index of a byte that is not zero, or -1 */
export function firstNonZero(bytes: Uint8Array): number {
  return bytes.findIndex((byte) => byte !== 0);
}
