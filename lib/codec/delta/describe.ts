/**
 * New bytes described by old ones: runs that are equal are copied, runs that have a counterpart become a zstd frame with it as
 * dictionary (what `zstd --patch-from` does, in pieces, so that memory does not grow with files), the rest is literal.
 */
import { constants, zstdCompressSync } from "node:zlib";

import { append, DIFF_PIECE, DIFF_WINDOW, type Op } from "./plan.ts";
import type { DeltaSource } from "./rebuild.ts";

/** A run of new bytes and what it is like. */
export interface Span {
  start: number;
  end: number;
  base?: Counterpart;
}

export interface Counterpart {
  /** Number of the source in the plan. */
  source: number;
  start: number;
  end: number;
  /** Byte for byte the same as the span. */
  equal: boolean;
}

export interface DescribeOptions {
  /** Where the new bytes are. */
  fresh: DeltaSource;
  source(number: number): Promise<DeltaSource>;
  literal(bytes: Uint8Array): Promise<void>;
  diff(frame: Uint8Array): Promise<void>;
}

/** Shorter runs are not worth a frame of their own. */
const MIN_DIFF = 64;
/** From here on equal ends are looked for before anything is compressed. */
const TRIM_FROM = 1 << 16;
/** A dictionary that begins with this would be taken for one in zstd's own format. */
const DICTIONARY_MAGIC = 0xec30a437;
/** Levels: small runs are searched thoroughly; for larger ones that would cost memory and much time. */
const SMALL = 1 << 18;
const [THOROUGH, QUICK] = [19, 9];

/** Ops for the new bytes `start` to `end`; `spans` covers them, in order and without gaps. */
export async function describe(
  start: number,
  end: number,
  spans: readonly Span[],
  options: DescribeOptions,
): Promise<Op[]> {
  const ops: Op[] = [];
  const describer = new Describer(options, ops);
  for (let i = firstAt(spans, start); i < spans.length; i++) {
    const span = spans[i] as Span;
    if (span.start >= end) break;
    await describer.span(clip(span, start, end));
  }
  return ops;
}

/** Index of the span that holds `offset`. */
function firstAt(spans: readonly Span[], offset: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as Span).end <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The part of a span inside `start` to `end`; an unequal counterpart is cut in proportion. */
function clip(span: Span, start: number, end: number): Span {
  const from = Math.max(span.start, start);
  const to = Math.min(span.end, end);
  const { base } = span;
  if (base === undefined || (from === span.start && to === span.end)) {
    return { ...span, start: from, end: to };
  }
  const scale = base.equal ? 1 : (base.end - base.start) / (span.end - span.start);
  const moved = (offset: number) =>
    Math.min(base.end, base.start + Math.round((offset - span.start) * scale));
  return { start: from, end: to, base: { ...base, start: moved(from), end: moved(to) } };
}

class Describer {
  constructor(
    private readonly options: DescribeOptions,
    private readonly ops: Op[],
  ) {}

  async span({ start, end, base }: Span): Promise<void> {
    if (base === undefined || end - start < MIN_DIFF) {
      if (base?.equal) this.#copy(base, base.start, end - start);
      else await this.#literal(start, end);
    } else if (base.equal) {
      this.#copy(base, base.start, end - start);
    } else if (end - start < TRIM_FROM) {
      await this.#differ(start, end, base);
    } else {
      await this.#large(start, end, base);
    }
  }

  /** Equal ends are copied, then piece by piece: equal at the distance from either end, or compared with what lies around. */
  async #large(start: number, end: number, base: Counterpart): Promise<void> {
    const { fresh } = this.options;
    const old = await this.options.source(base.source);
    const most = Math.min(end - start, base.end - base.start);
    const head = await commonHead(fresh, start, old, base.start, most);
    const tail = await commonTail(fresh, end, old, base.end, most - head);
    this.#copy(base, base.start, head);
    const [from, to] = [start + head, end - tail];
    const within = { ...base, start: base.start + head, end: base.end - tail };
    for (let at = from; at < to; at += DIFF_PIECE) {
      const stop = Math.min(to, at + DIFF_PIECE);
      const shifts = [within.start - from, within.end - to];
      const shift = await this.#equalAt(at, stop, within, shifts);
      if (shift === undefined) await this.#differ(at, stop, around(at, stop, from, to, within));
      else this.#copy(base, at + shift, stop - at);
    }
    this.#copy(base, base.end - tail, tail);
  }

  async #equalAt(
    at: number,
    stop: number,
    within: Counterpart,
    shifts: number[],
  ): Promise<number | undefined> {
    const old = await this.options.source(within.source);
    for (const shift of new Set(shifts)) {
      if (at + shift < within.start || stop + shift > within.end) continue;
      const length = stop - at;
      const a = await this.options.fresh.read(at, length);
      if (Buffer.compare(a, await old.read(at + shift, length)) === 0) return shift;
    }
    return undefined;
  }

  async #differ(start: number, end: number, base: Counterpart): Promise<void> {
    const bytes = await this.options.fresh.read(start, end - start);
    const old = await this.options.source(base.source);
    const window = Math.min(DIFF_WINDOW, base.end - base.start);
    let dictionary = await old.read(base.start, window);
    let offset = base.start;
    if (isDictionary(dictionary)) {
      dictionary = dictionary.subarray(1);
      offset++;
    }
    const frame = dictionary.length === 0 ? bytes : difference(bytes, dictionary);
    if (frame.length >= bytes.length) return await this.#literalBytes(bytes);
    await this.options.diff(frame);
    append(this.ops, {
      kind: "diff",
      source: base.source,
      offset,
      span: dictionary.length,
      length: bytes.length,
      patch: frame.length,
    });
  }

  #copy(base: Counterpart, offset: number, length: number): void {
    append(this.ops, { kind: "copy", source: base.source, offset, length });
  }

  async #literal(start: number, end: number): Promise<void> {
    for (let at = start; at < end; at += DIFF_PIECE) {
      const length = Math.min(DIFF_PIECE, end - at);
      await this.#literalBytes(await this.options.fresh.read(at, length));
    }
  }

  async #literalBytes(bytes: Uint8Array): Promise<void> {
    await this.options.literal(bytes);
    append(this.ops, { kind: "literal", length: bytes.length });
  }
}

/** The old bytes around the place that corresponds to a piece of the new ones. */
function around(
  at: number,
  stop: number,
  from: number,
  to: number,
  within: Counterpart,
): Counterpart {
  const scale = (within.end - within.start) / (to - from);
  const centre = within.start + Math.round(((at + stop) / 2 - from) * scale);
  const latest = Math.max(within.start, within.end - DIFF_WINDOW);
  const start = Math.min(Math.max(within.start, centre - DIFF_WINDOW / 2), latest);
  return { ...within, start, end: Math.min(within.end, start + DIFF_WINDOW) };
}

function difference(bytes: Uint8Array, dictionary: Uint8Array): Uint8Array {
  const reach = bytes.length + dictionary.length;
  return zstdCompressSync(bytes, {
    dictionary,
    params: {
      [constants.ZSTD_c_compressionLevel]: reach <= SMALL ? THOROUGH : QUICK,
      [constants.ZSTD_c_windowLog]: Math.max(10, Math.ceil(Math.log2(reach))),
    },
  });
}

function isDictionary(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true) === DICTIONARY_MAGIC;
}

/** How many bytes are equal from both places on, at most `most`. */
async function commonHead(
  a: DeltaSource,
  aStart: number,
  b: DeltaSource,
  bStart: number,
  most: number,
): Promise<number> {
  for (let done = 0; done < most; done += TRIM_FROM) {
    const length = Math.min(TRIM_FROM, most - done);
    const x = await a.read(aStart + done, length);
    const y = await b.read(bStart + done, length);
    if (Buffer.compare(x, y) === 0) continue;
    return done + x.findIndex((byte, i) => byte !== y[i]);
  }
  return most;
}

/** How many bytes are equal in front of both places, at most `most`. */
async function commonTail(
  a: DeltaSource,
  aEnd: number,
  b: DeltaSource,
  bEnd: number,
  most: number,
): Promise<number> {
  for (let done = 0; done < most; done += TRIM_FROM) {
    const length = Math.min(TRIM_FROM, most - done);
    const x = await a.read(aEnd - done - length, length);
    const y = await b.read(bEnd - done - length, length);
    if (Buffer.compare(x, y) === 0) continue;
    return done + length - 1 - x.findLastIndex((byte, i) => byte !== y[i]);
  }
  return most;
}
