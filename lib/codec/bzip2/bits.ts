/** Bits in the order of bzip2: the first bit is the highest of its byte. */

export class BitWriter {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;
  #held = 0;
  #count = 0;

  /** The lowest `count` bits of `value`, at most 24. */
  put(count: number, value: number): void {
    this.#held = (this.#held << count) | value;
    this.#count += count;
    while (this.#count >= 8) {
      this.#count -= 8;
      if (this.#length === this.#bytes.length) this.#grow();
      this.#bytes[this.#length++] = this.#held >>> this.#count;
    }
    this.#held &= (1 << this.#count) - 1;
  }

  put32(value: number): void {
    this.put(16, value >>> 16);
    this.put(16, value & 0xffff);
  }

  /** The whole bytes so far, which leave the writer. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** Fills the last byte with zero bits. */
  align(): void {
    if (this.#count > 0) this.put(8 - this.#count, 0);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

export class BitReader {
  #held = 0;
  #count = 0;
  /** Next byte of `bytes`. */
  at = 0;

  /** @param past called when bits are asked for behind the end; must throw */
  constructor(
    public bytes: Uint8Array,
    private readonly past: () => never,
  ) {}

  /** The next `count` bits, at most 24. */
  get(count: number): number {
    while (this.#count < count) {
      if (this.at >= this.bytes.length) this.past();
      this.#held = (this.#held << 8) | (this.bytes[this.at++] as number);
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#held >>> this.#count) & ((1 << count) - 1);
  }

  /** The next `count` bits without taking them, at most 24; zeros stand in for what lies behind the end. */
  peek(count: number): number {
    while (this.#count < count && this.at < this.bytes.length) {
      this.#held = (this.#held << 8) | (this.bytes[this.at++] as number);
      this.#count += 8;
    }
    const mask = (1 << count) - 1;
    if (this.#count >= count) return (this.#held >>> (this.#count - count)) & mask;
    return (this.#held << (count - this.#count)) & mask;
  }

  /** Takes bits that `peek` has shown. */
  drop(count: number): void {
    if (count > this.#count) this.past();
    this.#count -= count;
  }

  /** Drops the rest of a byte that was begun. */
  align(): void {
    this.#count &= ~7;
  }

  /** Gives back whole bytes that were only looked at, and goes on with `bytes` from its start. */
  refill(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.at = 0;
  }

  /** Whole bytes that were read ahead. */
  get ahead(): number {
    return this.#count >> 3;
  }
}
