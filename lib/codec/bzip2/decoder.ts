/**
 * The bzip2 decoder: any number of streams one after another, and nothing behind the last one. Block and stream checksums are
 * compared. Memory is bounded by one block; its content comes out in pieces, because run lengths can make 46 MB of one.
 */
import { FormatError } from "../../base/mod.ts";
import { bzip2Crc } from "../_crc.ts";
import { ByteSource } from "../_source.ts";
import { BitReader } from "./bits.ts";

const PIECE = 1 << 18;
const GROUP = 50;
const MAX_LENGTH = 20;
const MAX_SELECTORS = 18_002;

/** The content of the streams. `FormatError("BZIP2_DATA")` for damaged, truncated or trailing data. */
export async function* decompressBzip2(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = new Input(source);
  try {
    do yield* readStream(input);
    while (await input.more());
  } finally {
    await input.close();
  }
}

function damaged(what = "is damaged"): FormatError {
  return new FormatError("BZIP2_DATA", `The bzip2 data ${what}`, {
    hint: "The file was damaged; copy it again and compare its SHA-256.",
  });
}

/** Bits of the source, with as many bytes in memory as a block can take, so that blocks are decoded without waiting. */
class Input {
  readonly #source: ByteSource;
  readonly bits = new BitReader(new Uint8Array(0), () => {
    throw damaged("is truncated");
  });

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = new ByteSource(source);
  }

  /** Makes sure of `count` bytes, unless the source has fewer. */
  async want(count: number): Promise<void> {
    const rest = this.bits.bytes.subarray(this.bits.at);
    if (rest.length >= count) return;
    const wanted = new Uint8Array(count + PIECE);
    wanted.set(rest);
    const added = await this.#source.take(wanted.length - rest.length);
    wanted.set(added, rest.length);
    this.bits.refill(wanted.subarray(0, rest.length + added.length));
  }

  /** Whether anything follows the byte that is being read. */
  async more(): Promise<boolean> {
    this.bits.align();
    await this.want(1);
    return this.bits.ahead > 0 || this.bits.at < this.bits.bytes.length;
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

async function* readStream(input: Input) {
  await input.want(16);
  const { bits } = input;
  const magic = bits.get(24);
  const level = bits.get(8) - 0x30;
  if (magic !== 0x425a68 || level < 1 || level > 9) {
    throw damaged("has no bzip2 stream where one must begin");
  }
  const block = new Uint32Array(level * 100_000);
  let combined = 0;
  for (;;) {
    // No code is longer than 20 bits; the tables take less than 32 KiB.
    await input.want(block.length * 3);
    const mark = bits.get(24) * 2 ** 24 + bits.get(24);
    const crc = ((bits.get(16) << 16) | bits.get(16)) >>> 0;
    if (mark === 0x177245385090) {
      if (crc !== combined) throw damaged("fails its CRC");
      return;
    }
    if (mark !== 0x314159265359) throw damaged();
    const { length, origin } = readBlock(bits, block);
    yield* unwind(block, length, origin, crc);
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
  }
}

/** Decodes the last column of a block into the low bytes of `block`. */
function readBlock(bits: BitReader, block: Uint32Array): { length: number; origin: number } {
  if (bits.get(1) === 1) throw damaged("is of a kind that bzip2 has not made since version 0.9.5");
  const origin = bits.get(24);
  const recent = readUsed(bits);
  const tableCount = bits.get(3);
  if (tableCount < 2 || tableCount > 6) throw damaged();
  const selectors = readSelectors(bits, tableCount);
  const tables = Array.from({ length: tableCount }, () => readTable(bits, recent.length + 2));
  const length = readSymbols(bits, block, recent, tables, selectors);
  if (origin >= length) throw damaged();
  return { length, origin };
}

function readUsed(bits: BitReader): Uint8Array {
  const rows = bits.get(16);
  const used: number[] = [];
  for (let row = 0; row < 16; row++) {
    if (((rows >> (15 - row)) & 1) === 0) continue;
    const row16 = bits.get(16);
    for (let i = 0; i < 16; i++) if ((row16 >> (15 - i)) & 1) used.push(row * 16 + i);
  }
  if (used.length === 0) throw damaged();
  return Uint8Array.from(used);
}

function readSelectors(bits: BitReader, tables: number): Uint8Array {
  const count = bits.get(15);
  if (count === 0) throw damaged();
  const order = Array.from({ length: tables }, (_, table) => table);
  const selectors = new Uint8Array(Math.min(count, MAX_SELECTORS));
  for (let i = 0; i < count; i++) {
    let position = 0;
    while (bits.get(1) === 1) if (++position >= tables) throw damaged();
    order.unshift(...order.splice(position, 1));
    // Some encoders write more selectors than a block can use; what is beyond is never read.
    if (i < selectors.length) selectors[i] = order[0] as number;
  }
  return selectors;
}

/** Canonical Huffman codes; `limits` are left-justified to 20 bits: the first value that is longer than a length's codes. */
interface Table {
  shortest: number;
  limits: Uint32Array;
  /** Where the symbols of a length begin in `symbols`, less the first code of the length. */
  offsets: Int32Array;
  symbols: Uint16Array;
}

function readTable(bits: BitReader, alphabet: number): Table {
  const lengths = new Uint8Array(alphabet);
  let length = bits.get(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    while (bits.get(1) === 1) {
      length += bits.get(1) === 0 ? 1 : -1;
      if (length < 1 || length > MAX_LENGTH) throw damaged();
    }
    if (length < 1 || length > MAX_LENGTH) throw damaged();
    lengths[symbol] = length;
  }
  const limits = new Uint32Array(MAX_LENGTH + 1);
  const offsets = new Int32Array(MAX_LENGTH + 1);
  const symbols: number[] = [];
  let code = 0;
  for (let size = 1; size <= MAX_LENGTH; size++) {
    offsets[size] = symbols.length - code;
    for (let symbol = 0; symbol < alphabet; symbol++) {
      if (lengths[symbol] !== size) continue;
      symbols.push(symbol);
      code++;
    }
    if (code > 2 ** size) throw damaged();
    limits[size] = code << (MAX_LENGTH - size);
    code <<= 1;
  }
  return { shortest: Math.min(...lengths), limits, offsets, symbols: Uint16Array.from(symbols) };
}

function readSymbols(
  bits: BitReader,
  block: Uint32Array,
  recent: Uint8Array,
  tables: Table[],
  selectors: Uint8Array,
): number {
  const end = recent.length + 1;
  let length = 0;
  let run = 0;
  let digit = 1;
  for (let group = 0; group < selectors.length; group++) {
    const table = tables[selectors[group] as number] as Table;
    for (let i = 0; i < GROUP; i++) {
      const symbol = readSymbol(bits, table);
      if (symbol <= 1) {
        // A run's length in the digits 1 and 2, lowest first.
        run += digit << symbol;
        digit *= 2;
        if (run > block.length - length) throw damaged();
        continue;
      }
      if (run > 0) {
        block.fill(recent[0] as number, length, length + run);
        length += run;
        run = 0;
        digit = 1;
      }
      if (symbol === end) return length;
      if (length >= block.length) throw damaged();
      const byte = recent[symbol - 1] as number;
      recent.copyWithin(1, 0, symbol - 1);
      recent[0] = byte;
      block[length++] = byte;
    }
  }
  throw damaged();
}

function readSymbol(bits: BitReader, table: Table): number {
  const code = bits.peek(MAX_LENGTH);
  let length = table.shortest;
  while (code >= (table.limits[length] as number)) if (++length > MAX_LENGTH) throw damaged();
  bits.drop(length);
  return table.symbols[
    (table.offsets[length] as number) + (code >>> (MAX_LENGTH - length))
  ] as number;
}

/** Turns the last column back into the block, undoes the run lengths, and compares the CRC at the end. */
function* unwind(
  block: Uint32Array,
  length: number,
  origin: number,
  expected: number,
): Generator<Uint8Array, void, undefined> {
  let position = linkRows(block, length, origin);
  let out = new Uint8Array(PIECE);
  let filled = 0;
  let crc = -1;
  let previous = -1;
  let count = 0;
  for (let i = 0; i < length; i++) {
    const row = block[position] as number;
    position = row >>> 8;
    const byte = row & 255;
    let times = 1;
    let value = byte;
    if (count === 4) {
      times = byte;
      value = previous;
      count = 0;
      previous = -1;
    } else {
      count = byte === previous ? count + 1 : 1;
      previous = byte;
    }
    for (; times > 0; times--) {
      out[filled++] = value;
      crc = bzip2Crc(crc, value);
      if (filled === PIECE) {
        yield out;
        out = new Uint8Array(PIECE);
        filled = 0;
      }
    }
  }
  if (count === 4 || ~crc >>> 0 !== expected) throw damaged("fails its CRC");
  if (filled > 0) yield out.subarray(0, filled);
}

/** Puts into the high 24 bits of each row the row of the byte that follows; returns the first row. */
function linkRows(block: Uint32Array, length: number, origin: number): number {
  const next = new Uint32Array(257);
  for (let i = 0; i < length; i++) (next[(block[i] as number) + 1] as number)++;
  for (let byte = 1; byte <= 256; byte++)
    next[byte] = (next[byte] as number) + (next[byte - 1] as number);
  for (let i = 0; i < length; i++) {
    const byte = (block[i] as number) & 255;
    const row = (next[byte] as number)++;
    block[row] = (block[row] as number) | (i << 8);
  }
  return (block[origin] as number) >>> 8;
}
