/**
 * The plan of a delta (docs/reference/delta.md): how new bytes are made from old ones. Segments follow one another; each says what its
 * plain bytes are made of, and with which encoder they become the bytes that stand in the result. Integers are LEB128.
 */
import { FormatError } from "../../base/mod.ts";

/** What a segment's plain bytes go through. The place in the list is the code in the file. */
export const ENCODERS = [
  "none",
  "zstd-chunk",
  "zstd-sized",
  "zstd",
  "gzip",
  "bzip2",
  "xz",
] as const;
export type Encoder = (typeof ENCODERS)[number];

/** New bytes for a `diff` at a time, and old bytes that they are compared with. */
export const DIFF_PIECE = 1 << 20;
export const DIFF_WINDOW = 3 << 20;
/** A `diff` is never longer than this: what grows is stored as literal. */
const MAX_DIFF = DIFF_PIECE;
/** Plain bytes of all segments together. */
const MAX_PLAIN = 64 * 2 ** 30;

export type Op =
  /** `length` bytes of a source. */
  | { kind: "copy"; source: number; offset: number; length: number }
  /** The next `length` bytes of the literals. */
  | { kind: "literal"; length: number }
  /** The next `patch` bytes of the diffs, a zstd frame of `length` bytes whose dictionary is `span` bytes of a source. */
  | {
      kind: "diff";
      source: number;
      offset: number;
      span: number;
      length: number;
      patch: number;
    }
  /** The next `length` bytes of what is carried as it is. */
  | { kind: "stored"; length: number };

const KINDS = ["copy", "literal", "diff", "stored"] as const;

export interface Segment {
  encoder: Encoder;
  level: number;
  /** Bytes before the encoder. */
  plain: number;
  /** Bytes in the result, and their SHA-256; of the encoder `none` the plain length, and nothing. */
  stored: number;
  sha256?: Uint8Array;
}

/** Writes plans: ops for the result itself gather in one segment until an encoded one comes. */
export class PlanWriter {
  #bytes = new Uint8Array(1 << 12);
  #length = 0;
  #plain: Op[] = [];

  /** Ops whose bytes stand in the result as they are. */
  plain(ops: readonly Op[]): void {
    for (const op of ops) append(this.#plain, op);
  }

  encoded(segment: Segment, ops: readonly Op[]): void {
    this.#flush();
    this.#segment(segment, ops);
  }

  finish(): Uint8Array {
    this.#flush();
    return this.#bytes.subarray(0, this.#length);
  }

  #flush(): void {
    if (this.#plain.length === 0) return;
    const plain = this.#plain.reduce((sum, op) => sum + op.length, 0);
    this.#segment({ encoder: "none", level: 0, plain, stored: plain }, this.#plain);
    this.#plain = [];
  }

  #segment(segment: Segment, ops: readonly Op[]): void {
    this.#number(ENCODERS.indexOf(segment.encoder));
    this.#number(segment.plain);
    if (segment.encoder !== "none") {
      this.#number(segment.level);
      this.#number(segment.stored);
      this.#raw(segment.sha256 as Uint8Array);
    }
    for (const op of ops) this.#op(op);
  }

  #op(op: Op): void {
    this.#number(KINDS.indexOf(op.kind));
    this.#number(op.length);
    if (op.kind === "literal" || op.kind === "stored") return;
    this.#number(op.source);
    this.#number(op.offset);
    if (op.kind === "copy") return;
    this.#number(op.span);
    this.#number(op.patch);
  }

  #number(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#raw([(rest % 128) | 0x80]);
    this.#raw([rest]);
  }

  #raw(bytes: ArrayLike<number>): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

/** Adds `op`, joined with the one before it where both are one run. */
export function append(ops: Op[], op: Op): void {
  const last = ops.at(-1);
  if (op.length === 0) return;
  const joins =
    last !== undefined &&
    last.kind === op.kind &&
    (op.kind === "literal" || op.kind === "stored" || (op.kind === "copy" && follows(last, op)));
  if (joins) ops[ops.length - 1] = { ...last, length: last.length + op.length };
  else ops.push(op);
}

function follows(last: Op, next: Op): boolean {
  if (last.kind !== "copy" || next.kind !== "copy") return false;
  return last.source === next.source && last.offset + last.length === next.offset;
}

/** Reads plans, one segment and one op at a time, so a hostile one costs no memory. Throws `FormatError("DELTA_PLAN")`. */
export class PlanReader {
  #at = 0;
  #left = 0;
  #total = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next segment; the ops of the one before must have been read. */
  segment(): Segment | undefined {
    if (this.#left > 0) throw badPlan("a segment was not read to its end");
    if (this.#at === this.bytes.length) return undefined;
    const encoder = ENCODERS[this.#number()];
    if (encoder === undefined) throw badPlan("an encoder is unknown");
    const plain = this.#number();
    this.#left = plain;
    this.#total += plain;
    if (this.#total > MAX_PLAIN) throw badPlan(`it makes more than ${MAX_PLAIN} bytes`);
    if (encoder === "none") return { encoder, plain, level: 0, stored: plain };
    const level = this.#number();
    const stored = this.#number();
    const sha256 = this.bytes.slice(this.#at, this.#at + 32);
    if (sha256.length < 32) throw badPlan("it is cut off");
    this.#at += 32;
    return { encoder, plain, level, stored, sha256 };
  }

  /** The next op of the segment; `undefined` when its plain bytes are complete. */
  op(): Op | undefined {
    if (this.#left === 0) return undefined;
    const kind = KINDS[this.#number()];
    const length = this.#number();
    if (kind === undefined) throw badPlan("an operation is unknown");
    if (length === 0 || length > this.#left) throw badPlan("an operation has a wrong length");
    this.#left -= length;
    if (kind === "literal" || kind === "stored") return { kind, length };
    const source = this.#number();
    const offset = this.#number();
    if (kind === "copy") return { kind, source, offset, length };
    const span = this.#number();
    const patch = this.#number();
    if (length > DIFF_PIECE || span > DIFF_WINDOW || patch > MAX_DIFF) {
      throw badPlan("a difference is too long");
    }
    return { kind, source, offset, span, length, patch };
  }

  #number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw badPlan("it is cut off");
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw badPlan("a number is too large");
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw badPlan("a number is not in its shortest form");
        return value;
      }
    }
  }
}

export function badPlan(what: string): FormatError {
  return new FormatError("DELTA_PLAN", `The plan of the delta cannot be followed: ${what}`, {
    hint: "The delta was not made by sealift; ask for a new one.",
  });
}
