/**
 * The LZMA decoder of LZMA2 chunks. Every read of the input, every distance and every length is checked against what there is, so a
 * damaged chunk is an error and never a read or write elsewhere.
 */
import {
  afterLiteral,
  afterMatch,
  afterRep,
  afterShortRep,
  ALIGN,
  END_MODEL_SLOT,
  FIRST_MODEL_SLOT,
  INITIAL,
  IS_MATCH,
  IS_REP,
  IS_REP_0,
  IS_REP_0_LONG,
  IS_REP_1,
  IS_REP_2,
  LENGTH_HIGH,
  LENGTH_LOW,
  LENGTH_MID,
  lengthContext,
  LITERAL,
  LITERAL_SIZE,
  MATCH_LENGTH,
  MIN_MATCH,
  newProbabilities,
  POSITION_STATES,
  REP_LENGTH,
  SLOT,
  SPECIAL,
} from "./lzma-model.ts";

/** Room for the output of a chunk, and at least so much for several. */
const MAX_CHUNK = 1 << 21;

/** The last bytes of output, as many as the dictionary says; it grows with what is really there. */
export class Window {
  bytes = new Uint8Array(MAX_CHUNK);
  position = 0;
  /** Bytes that distances may reach. */
  reach = 0;

  constructor(private readonly dictionary: number) {}

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return;
    const keep = Math.min(this.position, this.dictionary);
    const most = this.dictionary + 2 * MAX_CHUNK;
    if (this.bytes.length < most) {
      const larger = new Uint8Array(Math.min(most, Math.max(this.bytes.length * 2, keep + size)));
      larger.set(this.bytes.subarray(this.position - keep, this.position));
      this.bytes = larger;
    } else {
      this.bytes.copyWithin(0, this.position - keep, this.position);
    }
    this.position = keep;
  }

  /** The last `size` bytes, copied. */
  last(size: number): Uint8Array {
    return this.bytes.slice(this.position - size, this.position);
  }

  /** Bytes as they are, from a stored chunk. */
  append(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.position);
    this.advance(bytes.length);
  }

  advance(size: number): void {
    this.position += size;
    this.reach = Math.min(this.reach + size, this.dictionary);
  }
}

export class LzmaDecoder {
  #probabilities = newProbabilities(0);
  #literalContext = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Bytes since the dictionary was reset, as far as the model looks at them. */
  total = 0;

  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #range = 0;
  #code = 0;

  /** @param fail throws the error for damaged data */
  constructor(
    private readonly window: Window,
    private readonly fail: () => never,
  ) {}

  /** New properties: position bits, literal position bits, literal context bits. Followed by `reset`. */
  configure(properties: number): void {
    if (properties >= 225) this.fail();
    const context = properties % 9;
    const literalPosition = Math.floor(properties / 9) % 5;
    if (context + literalPosition > 4) this.fail();
    this.#literalContext = context;
    this.#literalPositionMask = (1 << literalPosition) - 1;
    this.#positionMask = (1 << Math.floor(properties / 45)) - 1;
    this.#probabilities = newProbabilities(context + literalPosition);
  }

  /** A new state with the properties as they are. */
  reset(): void {
    this.#probabilities.fill(INITIAL);
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** Decodes a chunk of exactly `input.length` bytes into exactly `size` bytes of the window. */
  decode(input: Uint8Array, size: number): void {
    this.#input = input;
    this.#at = 5;
    this.#range = 0xffffffff;
    if (input.length < 5 || input[0] !== 0) this.fail();
    this.#code = new DataView(input.buffer, input.byteOffset + 1, 4).getUint32(0);
    const end = this.window.position + size;
    while (this.window.position < end) this.#symbol(end - this.window.position);
    if (this.#range < 2 ** 24) this.#normalise();
    if (this.#code !== 0 || this.#at !== input.length) this.fail();
  }

  #symbol(left: number): void {
    const state = this.#state;
    const positionState = this.total & this.#positionMask;
    if (this.#bit(IS_MATCH + state * POSITION_STATES + positionState) === 0) return this.#literal();
    let length: number;
    if (this.#bit(IS_REP + state) === 0) {
      length = this.#length(MATCH_LENGTH, positionState);
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      this.#rep0 = this.#distance(lengthContext(length));
      this.#state = afterMatch(state);
    } else if (this.#bit(IS_REP_0 + state) === 0) {
      if (this.#bit(IS_REP_0_LONG + state * POSITION_STATES + positionState) === 0) {
        this.#state = afterShortRep(state);
        return this.#copy(1, left);
      }
      length = this.#length(REP_LENGTH, positionState);
      this.#state = afterRep(state);
    } else {
      this.#pickRep(state);
      length = this.#length(REP_LENGTH, positionState);
      this.#state = afterRep(state);
    }
    this.#copy(length, left);
  }

  #pickRep(state: number): void {
    let distance = this.#rep1;
    if (this.#bit(IS_REP_1 + state) === 1) {
      if (this.#bit(IS_REP_2 + state) === 0) {
        distance = this.#rep2;
      } else {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
  }

  #literal(): void {
    const { window } = this;
    const { bytes, position } = window;
    const before = window.reach === 0 ? 0 : (bytes[position - 1] as number);
    const context =
      ((this.total & this.#literalPositionMask) << this.#literalContext) |
      (before >> (8 - this.#literalContext));
    const base = LITERAL + LITERAL_SIZE * context;
    let symbol = 1;
    if (this.#state >= 7) {
      let matched = bytes[position - this.#rep0 - 1] as number;
      let offset = 0x100;
      while (symbol < 0x100) {
        matched <<= 1;
        const bit = this.#bit(base + offset + (matched & offset) + symbol);
        symbol = (symbol << 1) | bit;
        offset &= ~(matched ^ (symbol << 8));
      }
    } else {
      while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    }
    bytes[position] = symbol;
    this.#state = afterLiteral(this.#state);
    window.advance(1);
    this.total++;
  }

  #copy(length: number, left: number): void {
    const { window } = this;
    const distance = this.#rep0 + 1;
    if (length > left || distance > window.reach) this.fail();
    const { bytes, position } = window;
    for (let i = position; i < position + length; i++) bytes[i] = bytes[i - distance] as number;
    window.advance(length);
    this.total += length;
  }

  #length(base: number, positionState: number): number {
    if (this.#bit(base) === 0)
      return MIN_MATCH + this.#tree(base + LENGTH_LOW + positionState * 8, 3);
    if (this.#bit(base + 1) === 0) {
      return MIN_MATCH + 8 + this.#tree(base + LENGTH_MID + positionState * 8, 3);
    }
    return MIN_MATCH + 16 + this.#tree(base + LENGTH_HIGH, 8);
  }

  #distance(context: number): number {
    const slot = this.#tree(SLOT + context * 64, 6);
    if (slot < FIRST_MODEL_SLOT) return slot;
    const count = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << count) >>> 0;
    if (slot < END_MODEL_SLOT) return base + this.#reverseTree(SPECIAL + base - slot, count);
    const middle = this.#direct(count - 4) * 16;
    // The marker of the end of a stream, 0xFFFFFFFF, has no place in LZMA2; `#copy` refuses it as too far.
    return base + middle + this.#reverseTree(ALIGN, 4);
  }

  #tree(base: number, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = (node << 1) | this.#bit(base + node);
    return node - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      if (this.#range < 2 ** 24) this.#normalise();
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = value * 2 + bit;
    }
    return value;
  }

  #bit(index: number): number {
    if (this.#range < 2 ** 24) this.#normalise();
    const probability = this.#probabilities[index] as number;
    const bound = (this.#range >>> 11) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#code -= bound;
    this.#range -= bound;
    this.#probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  #normalise(): void {
    if (this.#at >= this.#input.length) this.fail();
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#input[this.#at++] as number)) >>> 0;
  }
}
