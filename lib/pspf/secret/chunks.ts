/**
 * The stored form of an encrypted slot (format.md section 11): chunks of 1 MiB under AES-256-GCM. The nonce is the number of
 * the chunk and a mark on the last one (the STREAM construction), so a chunk that was cut off, repeated, moved or added
 * does not authenticate.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";

import { FormatError } from "../../base/mod.ts";
import { CIPHER_CHUNK, CIPHER_TAG } from "./parameters.ts";

type Bytes = AsyncIterable<Uint8Array>;

const CIPHER = "aes-256-gcm";

/** 11 bytes of number, big-endian, then 1 for the last chunk. */
function nonceOf(number: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(number));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** The plain bytes, or undefined when the chunk is not number `number` under this key. */
export function openChunk(
  key: Uint8Array,
  number: number,
  last: boolean,
  chunk: Uint8Array,
): Uint8Array | undefined {
  const end = chunk.length - CIPHER_TAG;
  if (end < 0) return undefined;
  const decipher = createDecipheriv(CIPHER, key, nonceOf(number, last));
  decipher.setAuthTag(chunk.subarray(end));
  const plain = decipher.update(chunk.subarray(0, end));
  try {
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

/** Pieces of any size → the stored bytes, one chunk at a time. Only the last one is known to be it when there is no more. */
export class Encrypter {
  private number = 0;
  private waiting = new Uint8Array(CIPHER_CHUNK);
  private filled = 0;

  constructor(private readonly key: Uint8Array) {}

  /** The chunks that are complete and not the last. */
  *push(piece: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < piece.length;) {
      if (this.filled === CIPHER_CHUNK) yield this.seal(false);
      const part = piece.subarray(at, at + CIPHER_CHUNK - this.filled);
      this.waiting.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
    }
  }

  /** The last chunk. */
  end(): Uint8Array {
    return this.seal(true);
  }

  private seal(last: boolean): Uint8Array {
    const plain = this.waiting.subarray(0, this.filled);
    const cipher = createCipheriv(CIPHER, this.key, nonceOf(this.number, last));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    this.number += 1;
    this.filled = 0;
    return sealed;
  }
}

/**
 * The plain bytes of `size` stored ones. Throws `FormatError("CIPHER_DATA")` at the first chunk that does not authenticate;
 * what was yielded before it is what was encrypted.
 */
export async function* decryptChunks(
  key: Uint8Array,
  stored: Bytes,
  size: number,
): AsyncGenerator<Uint8Array> {
  let number = 0;
  let left = size;
  for await (const chunk of regrouped(stored, CIPHER_CHUNK + CIPHER_TAG)) {
    left -= chunk.length;
    const plain = openChunk(key, number, left === 0, chunk);
    if (plain === undefined) {
      throw new FormatError("CIPHER_DATA", `Chunk ${number} does not authenticate`, {
        hint: "The package is not valid; ask its publisher for a new one.",
        details: { chunk: number },
      });
    }
    number += 1;
    yield plain;
  }
}

/** Pieces of exactly `length` bytes, the last one shorter and never empty; each is the reader's own. */
async function* regrouped(stream: Bytes, length: number): AsyncGenerator<Uint8Array> {
  let buffer = new Uint8Array(length);
  let filled = 0;
  for await (const piece of stream) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < length) continue;
      yield buffer;
      buffer = new Uint8Array(length);
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}
