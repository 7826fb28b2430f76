/** Adler-32 (RFC 1950 section 9), the checksum of the index block. */

const MODULUS = 65521;
/** So many bytes can be summed before a 32-bit sum could overflow: the largest n with 255n(n+1)/2 + (n+1)(MODULUS-1) < 2^32. */
const RUN = 5552;

/** Adler-32 of `bytes`, continuing from `seed` (default: a new sum). Unsigned 32 bits. */
export function adler32(bytes: Uint8Array, seed = 1): number {
  let a = seed & 0xffff;
  let b = seed >>> 16;
  for (let start = 0; start < bytes.length; start += RUN) {
    const end = Math.min(start + RUN, bytes.length);
    for (let i = start; i < end; i++) {
      a += bytes[i] as number;
      b += a;
    }
    a %= MODULUS;
    b %= MODULUS;
  }
  return ((b << 16) | a) >>> 0;
}
