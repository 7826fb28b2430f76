/** The pieces of an .xz file around the LZMA2 data (The .xz File Format 1.2.1): fixed fields, variable-length integers. */

export const STREAM_MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0);
export const FOOTER_MAGIC = Uint8Array.of(0x59, 0x5a);
export const LZMA2_FILTER = 0x21;

/** Integrity checks by number, with their size in bytes. */
export const CHECKS: Record<number, number> = { 0: 0, 1: 4, 4: 8, 10: 32 };

/** Seven bits per byte, lowest first, the highest bit set on all but the last. */
export function writeInteger(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}

/** Bytes, then their CRC-32. */
export function withCrc(bytes: Uint8Array | number[]): Uint8Array {
  const out = new Uint8Array(bytes.length + 4);
  out.set(bytes);
  new DataView(out.buffer).setUint32(
    bytes.length,
    Bun.hash.crc32(out.subarray(0, bytes.length)),
    true,
  );
  return out;
}

export function uint32(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}
