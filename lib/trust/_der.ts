/**
 * The little of DER that key files need: definite lengths in their shortest form, one element after
 * another, nothing left over. Everything else is refused, so one key has one encoding.
 */

/** Thrown inside the room; the loader turns it into a FormatError that names the file. */
export class KeyFormatError extends Error {}

export const Tag = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  attributes: 0xa0,
  publicKey: 0x81,
} as const;

const MAX_LENGTH = 1 << 20;

/** Reads elements of one DER value from left to right. */
export class DerReader {
  #at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly what: string,
  ) {}

  get done(): boolean {
    return this.#at === this.bytes.length;
  }

  /** Tag of the next element, or undefined at the end. */
  peek(): number | undefined {
    return this.bytes[this.#at];
  }

  /** Content of the next element, which must carry `tag`. */
  read(tag: number): Uint8Array {
    if (this.peek() !== tag) throw this.#error("does not have the expected structure");
    this.#at += 1;
    const length = this.#length();
    if (length > this.bytes.length - this.#at) throw this.#error("is truncated");
    const content = this.bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return content;
  }

  /** The next element as a reader of its content. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag), this.what);
  }

  /** The next element as a non-negative integer of at most 4 bytes, shortest form. */
  integer(): number {
    const content = this.read(Tag.integer);
    const [first, second] = content;
    const padded = first === 0 && content.length > 1 && (second as number) < 0x80;
    if (first === undefined || first > 0x7f || padded || content.length > 5) {
      throw this.#error("holds a number out of range");
    }
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** Refuses bytes after the last element. */
  end(): void {
    if (!this.done) throw this.#error("has bytes after its end");
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw this.#error("does not have the expected structure");
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    const shortest = length >= 0x80 && length >= 256 ** (count - 1);
    if (!shortest || length > MAX_LENGTH) throw this.#error("does not have the expected structure");
    return length;
  }

  #byte(): number {
    const byte = this.bytes[this.#at++];
    if (byte === undefined) throw this.#error("is truncated");
    return byte;
  }

  #error(problem: string): KeyFormatError {
    return new KeyFormatError(`${this.what} ${problem}`);
  }
}

/** One DER element: tag, shortest length, content. */
export function der(tag: number, ...content: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...length), body]));
}

/** A non-negative INTEGER below 2^31. */
export function derInteger(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0 || bytes.length === 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  if ((bytes[0] as number) > 0x7f) bytes.unshift(0);
  return der(Tag.integer, Uint8Array.from(bytes));
}

/** An OBJECT IDENTIFIER from its content in hex. */
export function derOid(hex: string): Uint8Array {
  return der(Tag.oid, Uint8Array.fromHex(hex));
}
