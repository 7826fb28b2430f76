/** A dynamic 64-bit file: one segment that maps everything, a dynamic section, its strings. */
export function madeElf(
  tags: [number, number][],
  strings: string,
  options: { machine?: number; type?: number } = {},
): Uint8Array {
  const text = new TextEncoder().encode(strings);
  const dynamicAt = 64 + 56 * 2;
  const dynamicSize = (tags.length + 3) * 16;
  const stringsAt = dynamicAt + dynamicSize;
  const bytes = Buffer.alloc(stringsAt + text.length);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0);
  bytes.writeUInt16LE(options.type ?? 3, 16);
  bytes.writeUInt16LE(options.machine ?? 62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  const segment = (at: number, type: number, offset: number, size: number) => {
    bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(BigInt(offset), at + 16);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
  };
  segment(64, 1, 0, bytes.length);
  segment(120, 2, dynamicAt, dynamicSize);
  const all = [...tags, [5, stringsAt], [10, text.length], [0, 0]] as [number, number][];
  all.forEach(([tag, value], i) => {
    bytes.writeBigUInt64LE(BigInt(tag), dynamicAt + i * 16);
    bytes.writeBigUInt64LE(BigInt(value), dynamicAt + i * 16 + 8);
  });
  bytes.set(text, stringsAt);
  return bytes;
}
