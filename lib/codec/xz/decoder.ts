/**
 * The .xz decoder: streams of blocks of LZMA2, one stream after another, with nothing but padding between and behind them.
 * Header, block and index checks are compared. Filters other than LZMA2 (BCJ, delta) are refused; no writer of the
 * format uses them. Dictionaries up to 64 MiB, the largest of the presets.
 */
import { FormatError } from "../../base/mod.ts";
import { Crc64 } from "../_crc.ts";
import { ByteSource } from "../_source.ts";
import { Sha256 } from "../hash.ts";
import { CHECKS, FOOTER_MAGIC, LZMA2_FILTER, STREAM_MAGIC, uint32 } from "./container.ts";
import { LzmaDecoder, Window } from "./lzma-decoder.ts";

const MAX_DICTIONARY = 64 << 20;

/** The content of the streams. `FormatError`: `XZ_DATA`, or `XZ_MEMORY` for a dictionary that is too large. */
export async function* decompressXz(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = new Input(new ByteSource(stream));
  try {
    yield* readStream(input, await input.exactly(12));
    for (;;) {
      const next = await input.afterPadding();
      if (next === undefined) return;
      yield* readStream(input, next);
    }
  } finally {
    await input.source.close();
  }
}

function damaged(what = "is damaged"): FormatError {
  return new FormatError("XZ_DATA", `The xz data ${what}`, {
    hint: "The file was damaged; copy it again and compare its SHA-256.",
  });
}

function fail(): never {
  throw damaged();
}

/** Bytes of the source, none missing. */
class Input {
  constructor(readonly source: ByteSource) {}

  async exactly(count: number): Promise<Uint8Array> {
    const bytes = await this.source.take(count);
    if (bytes.length < count) throw damaged("is truncated");
    return bytes;
  }

  async byte(): Promise<number> {
    return (await this.exactly(1))[0] as number;
  }

  /** The header of the next stream, after zeros in fours; `undefined` at the end of the source. */
  async afterPadding(): Promise<Uint8Array | undefined> {
    for (;;) {
      const word = (await this.source.take(4)).slice();
      if (word.length === 0) return undefined;
      if (word.length < 4) throw damaged("has bytes after its end");
      if (word.every((byte) => byte === 0)) continue;
      if (!equal(word, STREAM_MAGIC.subarray(0, 4))) throw damaged("has bytes after its end");
      return Buffer.concat([word, await this.exactly(8)]);
    }
  }
}

interface BlockSizes {
  unpadded: number;
  uncompressed: number;
}

async function* readStream(input: Input, header: Uint8Array) {
  if (!equal(header.subarray(0, 6), STREAM_MAGIC)) {
    throw damaged("has no xz stream where one must begin");
  }
  const flags = header.slice(6, 8);
  checkCrc(header.subarray(6, 12));
  const check = flags[1] as number;
  if (flags[0] !== 0 || CHECKS[check] === undefined) throw damaged("uses an unknown check");
  const blocks: BlockSizes[] = [];
  for (;;) {
    const size = await input.byte();
    if (size === 0) break;
    const sizes: BlockSizes = { unpadded: 0, uncompressed: 0 };
    yield* readBlock(input, size, check, sizes);
    blocks.push(sizes);
  }
  const indexSize = await readIndex(input, blocks);
  const footer = await input.exactly(12);
  checkCrc(Buffer.concat([footer.subarray(4, 10), footer.subarray(0, 4)]));
  const backward = (word(footer, 4) + 1) * 4;
  if (backward !== indexSize || !equal(footer.subarray(8, 10), flags)) fail();
  if (!equal(footer.subarray(10, 12), FOOTER_MAGIC)) fail();
}

async function* readBlock(input: Input, sizeByte: number, check: number, sizes: BlockSizes) {
  const headerSize = (sizeByte + 1) * 4;
  const rest = await input.exactly(headerSize - 1);
  const header = new Uint8Array(headerSize);
  header[0] = sizeByte;
  header.set(rest, 1);
  checkCrc(header);
  const declared = parseBlockHeader(header.subarray(0, headerSize - 4));
  const checksum = newCheck(check);
  const body = new Lzma2(input, declared.dictionary);
  for await (const piece of body.decode()) {
    checksum.update(piece);
    sizes.uncompressed += piece.length;
    yield piece;
  }
  if (declared.compressed !== undefined && declared.compressed !== body.compressed) fail();
  if (declared.uncompressed !== undefined && declared.uncompressed !== sizes.uncompressed) fail();
  const padding = await input.exactly((4 - (body.compressed % 4)) % 4);
  if (padding.some((byte) => byte !== 0)) fail();
  const expected = await input.exactly(CHECKS[check] as number);
  if (!equal(expected, checksum.digest())) throw damaged("fails its integrity check");
  sizes.unpadded = headerSize + body.compressed + expected.length;
}

function parseBlockHeader(header: Uint8Array) {
  const flags = header[1] as number;
  const reader = new Fields(header, 2);
  const compressed = flags & 0x40 ? reader.integer() : undefined;
  const uncompressed = flags & 0x80 ? reader.integer() : undefined;
  if ((flags & 0x3f) !== 0 || reader.integer() !== LZMA2_FILTER || reader.integer() !== 1) {
    throw damaged("uses a filter other than LZMA2, which is not supported");
  }
  const bits = reader.byte();
  if (!reader.onlyZerosLeft()) fail();
  return { compressed, uncompressed, dictionary: dictionarySize(bits) };
}

/** 2 or 3 times a power of two. */
function dictionarySize(bits: number): number {
  if (bits > 40) fail();
  const size = (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (size <= MAX_DICTIONARY) return size;
  throw new FormatError(
    "XZ_MEMORY",
    `The xz data needs a dictionary of ${size} bytes, more than ${MAX_DICTIONARY}`,
    { hint: "Compress it with a preset of xz (0 to 9)." },
  );
}

/** Fields of a header that is in memory. */
class Fields {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  byte(): number {
    return this.bytes[this.at++] ?? fail();
  }

  /** Seven bits per byte, the shortest form only. */
  integer(): number {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte >= 0x80) continue;
      if ((byte === 0 && shift > 0) || !Number.isSafeInteger(value)) fail();
      return value;
    }
    return fail();
  }

  onlyZerosLeft(): boolean {
    return this.bytes.subarray(this.at).every((byte) => byte === 0);
  }
}

/** The LZMA2 chunks of one block. */
class Lzma2 {
  /** Bytes read, the end mark included. */
  compressed = 0;
  readonly #window: Window;
  readonly #decoder: LzmaDecoder;
  #needsDictionary = true;
  #needsProperties = true;
  #needsState = true;

  constructor(
    private readonly input: Input,
    dictionary: number,
  ) {
    this.#window = new Window(dictionary);
    this.#decoder = new LzmaDecoder(this.#window, fail);
  }

  async *decode(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const control = (await this.#take(1))[0] as number;
      if (control === 0) return;
      const size = control >= 0x80 ? await this.#lzma(control) : await this.#stored(control);
      yield this.#window.last(size);
    }
  }

  async #take(count: number): Promise<Uint8Array> {
    this.compressed += count;
    return this.input.exactly(count);
  }

  async #stored(control: number): Promise<number> {
    if (control > 2) fail();
    if (control === 1) this.#resetDictionary();
    if (this.#needsDictionary) fail();
    const [high = 0, low = 0] = await this.#take(2);
    const size = ((high << 8) | low) + 1;
    this.#window.reserve(size);
    this.#window.append(await this.#take(size));
    this.#decoder.total += size;
    return size;
  }

  async #lzma(control: number): Promise<number> {
    const [a = 0, b = 0, c = 0, d = 0] = await this.#take(4);
    const size = (((control & 0x1f) << 16) | (a << 8) | b) + 1;
    const stored = ((c << 8) | d) + 1;
    const level = (control >> 5) & 3;
    if (level === 3) this.#resetDictionary();
    if (level >= 2) {
      this.#decoder.configure((await this.#take(1))[0] as number);
      this.#needsProperties = false;
    }
    if (this.#needsDictionary || this.#needsProperties) fail();
    if (level >= 1) {
      this.#decoder.reset();
      this.#needsState = false;
    }
    if (this.#needsState) fail();
    this.#window.reserve(size);
    this.#decoder.decode(await this.#take(stored), size);
    return size;
  }

  #resetDictionary(): void {
    this.#needsDictionary = false;
    this.#window.reach = 0;
    this.#decoder.total = 0;
  }
}

/** Compares the index with the blocks that were read; returns its size in bytes. Its first byte, 0, is read already. */
async function readIndex(input: Input, blocks: BlockSizes[]): Promise<number> {
  const bytes = [0];
  const integer = async () => {
    const start = bytes.length;
    do bytes.push(await input.byte());
    while ((bytes.at(-1) as number) >= 0x80 && bytes.length - start < 9);
    return new Fields(Uint8Array.from(bytes), start).integer();
  };
  if ((await integer()) !== blocks.length) fail();
  let size = bytes.length;
  let crc = Bun.hash.crc32(Uint8Array.from(bytes));
  for (const block of blocks) {
    bytes.length = 0;
    if ((await integer()) !== block.unpadded || (await integer()) !== block.uncompressed) fail();
    size += bytes.length;
    crc = Bun.hash.crc32(Uint8Array.from(bytes), crc);
  }
  const padding = (await input.exactly((4 - (size % 4)) % 4)).slice();
  if (padding.some((byte) => byte !== 0)) fail();
  crc = Bun.hash.crc32(padding, crc);
  if (word(await input.exactly(4), 0) !== crc) fail();
  return size + padding.length + 4;
}

interface Check {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

function newCheck(kind: number): Check {
  if (kind === 4) return new Crc64();
  if (kind === 10) return new Sha256();
  let crc = 0;
  return {
    update: (bytes) => {
      if (kind === 1) crc = Bun.hash.crc32(bytes, crc);
    },
    digest: () => Uint8Array.from(kind === 1 ? uint32(crc) : []),
  };
}

/** The last four bytes are the CRC-32 of the others. */
function checkCrc(bytes: Uint8Array): void {
  const end = bytes.length - 4;
  if (word(bytes, end) !== Bun.hash.crc32(bytes.subarray(0, end))) fail();
}

function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
