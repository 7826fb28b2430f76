/** Checksums that the platform does not have: the bit-reversed CRC-32 of bzip2, and the CRC-64 of xz (ECMA-182). */

const BZIP2_TABLE = new Uint32Array(256).map((_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** Continues the running value `crc`, which begins as 0xFFFFFFFF and is inverted at the end, with one byte. */
export function bzip2Crc(crc: number, byte: number): number {
  return (crc << 8) ^ (BZIP2_TABLE[((crc >>> 24) ^ byte) & 255] as number);
}

/** Two halves of 256 reversed 64-bit entries: low words, then high words. */
const CRC64_TABLE = (() => {
  const table = new Uint32Array(512);
  for (let byte = 0; byte < 256; byte++) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd === 1) {
        low ^= 0xd7870f42;
        high ^= 0xc96c5795;
      }
    }
    table[byte] = low;
    table[256 + byte] = high;
  }
  return table;
})();

export class Crc64 {
  #low = 0xffffffff;
  #high = 0xffffffff;

  update(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < bytes.length; i++) {
      const index = (low ^ (bytes[i] as number)) & 255;
      low = ((low >>> 8) | (high << 24)) ^ (CRC64_TABLE[index] as number);
      high = (high >>> 8) ^ (CRC64_TABLE[256 + index] as number);
    }
    this.#low = low;
    this.#high = high;
  }

  /** 8 bytes, little-endian. */
  digest(): Uint8Array {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, ~this.#low, true);
    view.setUint32(4, ~this.#high, true);
    return new Uint8Array(view.buffer);
  }
}
