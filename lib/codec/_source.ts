/** Reading a stream of arbitrarily cut pieces in units of our own, without copying what need not be copied. */

export class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #ended = false;
  /** Bytes taken so far. */
  position = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  /** The next `n` bytes, or fewer at the end of the stream. A view or a copy; valid until the next call. */
  async take(n: number): Promise<Uint8Array> {
    if (this.#piece.length >= n) return this.#advance(n);
    const whole = new Uint8Array(n);
    let length = 0;
    while (length < n) {
      const part = await this.some(n - length);
      if (part === undefined) break;
      // Copied before the stream is asked for more: it may reuse its buffer.
      whole.set(part, length);
      length += part.length;
    }
    return whole.subarray(0, length);
  }

  /** At least one and at most `max` bytes, as they come; `undefined` at the end. A view; valid until the next call. */
  async some(max: number): Promise<Uint8Array | undefined> {
    while (this.#piece.length === 0) if (!(await this.#next())) return undefined;
    return this.#advance(max);
  }

  /** Lets go of the stream before its end. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#iterator.return?.();
  }

  #advance(n: number): Uint8Array {
    const part = this.#piece.subarray(0, n);
    this.#piece = this.#piece.subarray(part.length);
    this.position += part.length;
    return part;
  }

  /** Replaces the piece by the next one of the stream. */
  async #next(): Promise<boolean> {
    if (this.#ended) return false;
    const { done, value } = await this.#iterator.next();
    if (done) {
      this.#ended = true;
      return false;
    }
    this.#piece = value;
    return true;
  }
}
