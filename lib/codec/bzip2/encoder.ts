/**
 * The bzip2 encoder: run lengths, Burrows–Wheeler, move to front, Huffman. No kept JavaScript or WebAssembly library
 * compresses bzip2, so it is ours; every bzip2 program reads it. Memory and time are bounded by the block (level × 100 kB).
 */
import { bzip2Crc } from "../_crc.ts";
import { BitWriter } from "./bits.ts";
import { burrowsWheeler } from "./suffix.ts";

const GROUP = 50;
const MAX_LENGTH = 17;
const RUN_A = 0;
const RUN_B = 1;

/** One bzip2 stream of the source's bytes; `level` from 1 to 9. */
export async function* compressBzip2(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const out = new BitWriter();
  out.put(24, 0x425a68);
  out.put(8, 0x30 + level);
  const block = new Block(level);
  let combined = 0;
  const finish = () => {
    const crc = block.finish();
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
    writeBlock(out, block.bytes.subarray(0, block.length), crc);
    block.reset();
    return out.take();
  };
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      at = block.add(piece, at);
      if (!block.full) continue;
      yield finish();
      // Sorting a block leaves 15 MB of arrays behind, which the collector would let pile up.
      Bun.gc(true);
    }
  }
  if (!block.empty) yield finish();
  out.put(24, 0x177245);
  out.put(24, 0x385090);
  out.put32(combined);
  out.align();
  yield out.take();
}

/** Collects bytes as run lengths: four equal bytes are followed by how many more there are, up to 251. */
class Block {
  readonly bytes: Uint8Array;
  length = 0;
  #crc = -1;
  #run = -1;
  #count = 0;
  /** A run takes at most 5 bytes; libbzip2 keeps the same distance. */
  readonly #limit: number;

  constructor(level: number) {
    this.bytes = new Uint8Array(level * 100_000);
    this.#limit = this.bytes.length - 19;
  }

  get full(): boolean {
    return this.length > this.#limit;
  }

  get empty(): boolean {
    return this.length === 0 && this.#count === 0;
  }

  /** Takes bytes from `at` on until the block is full or the piece ends; returns where it stopped. */
  add(piece: Uint8Array, at: number): number {
    let crc = this.#crc;
    let run = this.#run;
    let count = this.#count;
    while (at < piece.length && this.length <= this.#limit) {
      const byte = piece[at++] as number;
      crc = bzip2Crc(crc, byte);
      if (byte === run && count < 255) {
        count++;
        continue;
      }
      this.#flush(run, count);
      run = byte;
      count = 1;
    }
    this.#crc = crc;
    this.#run = run;
    this.#count = count;
    return at;
  }

  /** Ends the last run; the CRC of the block's content. */
  finish(): number {
    this.#flush(this.#run, this.#count);
    this.#count = 0;
    return ~this.#crc >>> 0;
  }

  reset(): void {
    this.length = 0;
    this.#crc = -1;
    this.#run = -1;
  }

  #flush(run: number, count: number): void {
    for (let i = Math.min(count, 4); i > 0; i--) this.bytes[this.length++] = run;
    if (count >= 4) this.bytes[this.length++] = count - 4;
  }
}

function writeBlock(out: BitWriter, block: Uint8Array, crc: number): void {
  const { last, origin } = burrowsWheeler(block);
  const used = usedBytes(block);
  const { symbols, alphabet } = moveToFront(last, used);
  out.put(24, 0x314159);
  out.put(24, 0x265359);
  out.put32(crc);
  out.put(1, 0);
  out.put(24, origin);
  writeUsed(out, used);
  writeSymbols(out, symbols, alphabet);
}

function usedBytes(block: Uint8Array): boolean[] {
  const used = new Array<boolean>(256).fill(false);
  for (let i = 0; i < block.length; i++) used[block[i] as number] = true;
  return used;
}

function writeUsed(out: BitWriter, used: boolean[]): void {
  const rows = Array.from({ length: 16 }, (_, row) => used.slice(row * 16, row * 16 + 16));
  const bits = (row: boolean[]) => row.reduce((word, bit) => (word << 1) | Number(bit), 0);
  out.put(16, bits(rows.map((row) => row.includes(true))));
  for (const row of rows) if (row.includes(true)) out.put(16, bits(row));
}

/** Positions in a list of recent bytes; runs of the first position as numbers in the digits RUN_A (1) and RUN_B (2). */
function moveToFront(
  last: Uint8Array,
  used: boolean[],
): { symbols: Uint16Array; alphabet: number } {
  const recent = Uint8Array.from(used.flatMap((is, byte) => (is ? [byte] : [])));
  const symbols = new Uint16Array(last.length + 1);
  let length = 0;
  let zeros = 0;
  const flush = () => {
    for (; zeros > 0; zeros = (zeros - 1) >> 1) symbols[length++] = zeros & 1 ? RUN_A : RUN_B;
  };
  for (let i = 0; i < last.length; i++) {
    const byte = last[i] as number;
    if (byte === recent[0]) {
      zeros++;
      continue;
    }
    flush();
    let position = 1;
    while (recent[position] !== byte) position++;
    recent.copyWithin(1, 0, position);
    recent[0] = byte;
    symbols[length++] = position + 1;
  }
  flush();
  const end = recent.length + 1;
  symbols[length++] = end;
  return { symbols: symbols.subarray(0, length), alphabet: end + 1 };
}

function writeSymbols(out: BitWriter, symbols: Uint16Array, alphabet: number): void {
  const { tables, selectors } = chooseTables(symbols, alphabet);
  out.put(3, tables.length);
  out.put(15, selectors.length);
  const order = tables.map((_, table) => table);
  for (const selector of selectors) {
    const position = order.indexOf(selector);
    order.splice(0, 0, ...order.splice(position, 1));
    for (let i = 0; i < position; i++) out.put(1, 1);
    out.put(1, 0);
  }
  for (const lengths of tables) writeLengths(out, lengths);
  const codes = tables.map(assignCodes);
  for (let i = 0; i < symbols.length; i++) {
    const table = selectors[Math.floor(i / GROUP)] as number;
    const symbol = symbols[i] as number;
    out.put(tables[table]?.[symbol] as number, codes[table]?.[symbol] as number);
  }
}

/** The first length, then for each symbol steps up (10) or down (11) and a stop (0). */
function writeLengths(out: BitWriter, lengths: Uint8Array): void {
  let current = lengths[0] as number;
  out.put(5, current);
  for (const length of lengths) {
    for (; current < length; current++) out.put(2, 2);
    for (; current > length; current--) out.put(2, 3);
    out.put(1, 0);
  }
}

/** Two to six Huffman tables, and which of them codes each group of 50 symbols: four rounds of assigning and counting. */
function chooseTables(symbols: Uint16Array, alphabet: number) {
  const count = [200, 600, 1200, 2400].filter((limit) => symbols.length >= limit).length + 2;
  let tables = firstTables(symbols, alphabet, count);
  const selectors = new Uint8Array(Math.ceil(symbols.length / GROUP));
  for (let round = 0; round < 4; round++) {
    const frequencies = tables.map(() => new Uint32Array(alphabet));
    for (let group = 0; group < selectors.length; group++) {
      const part = symbols.subarray(group * GROUP, (group + 1) * GROUP);
      const best = cheapest(tables, part);
      selectors[group] = best;
      const counts = frequencies[best] as Uint32Array;
      for (const symbol of part) (counts[symbol] as number)++;
    }
    tables = frequencies.map(codeLengths);
  }
  return { tables, selectors };
}

/** Each table begins as the specialist of a range of symbols with an equal share of all occurrences. */
function firstTables(symbols: Uint16Array, alphabet: number, count: number): Uint8Array[] {
  const frequency = new Uint32Array(alphabet);
  for (const symbol of symbols) (frequency[symbol] as number)++;
  const tables: Uint8Array[] = [];
  let symbol = 0;
  let left = symbols.length;
  for (let table = 0; table < count; table++) {
    const lengths = new Uint8Array(alphabet).fill(15);
    const share = left / (count - table);
    for (let sum = 0; symbol < alphabet && (sum < share || table === count - 1); symbol++) {
      sum += frequency[symbol] as number;
      left -= frequency[symbol] as number;
      lengths[symbol] = 1;
    }
    tables.push(lengths);
  }
  return tables;
}

function cheapest(tables: Uint8Array[], part: Uint16Array): number {
  let best = 0;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let table = 0; table < tables.length; table++) {
    const lengths = tables[table] as Uint8Array;
    let cost = 0;
    for (let i = 0; i < part.length; i++) cost += lengths[part[i] as number] as number;
    if (cost < bestCost) {
      bestCost = cost;
      best = table;
    }
  }
  return best;
}

/** Huffman code lengths of at most 17 bits; every symbol gets one. Frequencies are flattened until the tree is low enough. */
export function codeLengths(frequency: Uint32Array): Uint8Array {
  let weights = Array.from(frequency, (count) => Math.max(1, count));
  for (;;) {
    const lengths = huffman(weights);
    if (lengths.every((length) => length <= MAX_LENGTH)) return lengths;
    weights = weights.map((weight) => 1 + (weight >> 1));
  }
}

/** Two queues, leaves and inner nodes, both in ascending order: the two lightest are always at a front. */
function huffman(weights: number[]): Uint8Array {
  const leaves = weights
    .map((_, symbol) => symbol)
    .sort((a, b) => (weights[a] as number) - (weights[b] as number) || a - b);
  const n = leaves.length;
  const weight = leaves.map((symbol) => weights[symbol] as number);
  const parent = new Int32Array(2 * n - 1);
  let leaf = 0;
  let inner = n;
  const lightest = () =>
    leaf < n && (inner >= weight.length || (weight[leaf] as number) <= (weight[inner] as number))
      ? leaf++
      : inner++;
  while (weight.length < 2 * n - 1) {
    const a = lightest();
    const b = lightest();
    parent[a] = weight.length;
    parent[b] = weight.length;
    weight.push((weight[a] as number) + (weight[b] as number));
  }
  const depth = new Uint8Array(2 * n - 1);
  for (let node = 2 * n - 3; node >= 0; node--)
    depth[node] = (depth[parent[node] as number] as number) + 1;
  const lengths = new Uint8Array(n);
  for (const [node, symbol] of leaves.entries()) lengths[symbol] = depth[node] as number;
  return lengths;
}

/** Canonical codes: by length, then by symbol. */
function assignCodes(lengths: Uint8Array): Uint32Array {
  const codes = new Uint32Array(lengths.length);
  let code = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] === length) codes[symbol] = code++;
    }
    code <<= 1;
  }
  return codes;
}
