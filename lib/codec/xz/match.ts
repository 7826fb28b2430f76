/**
 * The window and match finder of the LZMA encoder: hash chains over four bytes, and the last position of each two and three
 * bytes. The window slides by a dictionary at a time, so positions stay small however long the stream is.
 */
import { MAX_MATCH } from "./lzma-model.ts";

const HASH_2 = 1 << 16;
const HASH_3 = 1 << 16;
const HASH_4_BITS = 18;
/** Bytes kept ahead of the position while more may come: a match, the next one, and their hashes. */
const LOOKAHEAD = 1024;

export class MatchFinder {
  readonly bytes: Uint8Array;
  /** Next byte to encode, and the end of what is there. */
  position = 0;
  end = 0;
  /** Matches of the last `find`: ascending lengths, each with the smallest distance (1 = the byte before). */
  readonly lengths = new Int32Array(MAX_MATCH);
  readonly distances = new Int32Array(MAX_MATCH);
  count = 0;
  /** Next position that the tables do not know. */
  #inserted = 0;
  readonly #mask: number;
  readonly #head2 = new Int32Array(HASH_2).fill(-1);
  readonly #head3 = new Int32Array(HASH_3).fill(-1);
  readonly #head4 = new Int32Array(1 << HASH_4_BITS).fill(-1);
  readonly #previous: Int32Array;

  constructor(
    readonly dictionary: number,
    private readonly depth: number,
    private readonly nice: number,
  ) {
    this.bytes = new Uint8Array(dictionary * 2 + LOOKAHEAD * 2);
    this.#mask = dictionary - 1;
    this.#previous = new Int32Array(dictionary);
  }

  /** Takes bytes of `piece` from `at` on, as many as there is room for; returns where it stopped. */
  feed(piece: Uint8Array, at: number): number {
    if (this.position >= this.dictionary * 2) this.#slide();
    const part = piece.subarray(at, at + this.bytes.length - this.end);
    this.bytes.set(part, this.end);
    this.end += part.length;
    return at + part.length;
  }

  /** Whether a symbol can be chosen without knowing more of the stream. */
  get ready(): boolean {
    return this.end - this.position >= LOOKAHEAD;
  }

  /** Finds the matches at `position + ahead` and enters the position. */
  find(ahead: number): void {
    const at = this.position + ahead;
    this.#enterUpTo(at);
    this.count = 0;
    const limit = Math.min(MAX_MATCH, this.end - at);
    if (limit < 4) return;
    const { bytes } = this;
    const floor = Math.max(0, at - this.dictionary + 1);
    const first = bytes[at] as number;
    const two = first | ((bytes[at + 1] as number) << 8);
    let best = 1;
    best = this.#try(this.#head2[two] as number, at, floor, limit, best);
    best = this.#try(this.#head3[this.#hash3(at)] as number, at, floor, limit, best);
    let candidate = this.#head4[this.#hash4(at)] as number;
    for (let tries = this.depth; tries > 0 && candidate >= floor; tries--) {
      if (bytes[candidate + best] === bytes[at + best]) {
        best = this.#try(candidate, at, floor, limit, best);
        if (best >= this.nice || best === limit) break;
      }
      candidate = this.#previous[candidate & this.#mask] as number;
    }
    this.#enter(at);
    this.#inserted = at + 1;
  }

  /** Moves on by `length`, entering what was passed. */
  advance(length: number): void {
    this.position += length;
    this.#enterUpTo(this.position);
  }

  /** Equal bytes at `at` and `distance` before it, at most `limit`. */
  common(at: number, distance: number, limit: number): number {
    const { bytes } = this;
    const from = at - distance;
    if (from < 0) return 0;
    let length = 0;
    while (length < limit && bytes[from + length] === bytes[at + length]) length++;
    return length;
  }

  /** Records the candidate when it beats `best`; returns the best length. */
  #try(candidate: number, at: number, floor: number, limit: number, best: number): number {
    if (candidate < floor) return best;
    const length = this.common(at, at - candidate, limit);
    if (length <= best) return best;
    this.lengths[this.count] = length;
    this.distances[this.count++] = at - candidate;
    return length;
  }

  #enterUpTo(end: number): void {
    for (let at = this.#inserted; at < end; at++) this.#enter(at);
    this.#inserted = Math.max(this.#inserted, end);
  }

  #enter(at: number): void {
    if (this.end - at < 4) return;
    const { bytes } = this;
    this.#head2[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] = at;
    this.#head3[this.#hash3(at)] = at;
    const hash = this.#hash4(at);
    this.#previous[at & this.#mask] = this.#head4[hash] as number;
    this.#head4[hash] = at;
  }

  #hash3(at: number): number {
    const { bytes } = this;
    const three =
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
    return Math.imul(three, 0x9e3779b1) >>> 16;
  }

  #hash4(at: number): number {
    const { bytes } = this;
    const four =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    return Math.imul(four, 0x9e3779b1) >>> (32 - HASH_4_BITS);
  }

  /** Forgets one dictionary's length at the front. Both lengths are powers of two, so chains keep their places. */
  #slide(): void {
    const by = this.dictionary;
    this.bytes.copyWithin(0, by, this.end);
    this.position -= by;
    this.end -= by;
    this.#inserted -= by;
    for (const table of [this.#head2, this.#head3, this.#head4, this.#previous]) {
      for (let i = 0; i < table.length; i++) table[i] = Math.max(-1, (table[i] as number) - by);
    }
  }
}
