import {
  FOOTER_MAGIC,
  LZMA2_FILTER,
  STREAM_MAGIC,
  uint32,
  withCrc,
  writeInteger,
} from "./container.ts";
/**
 * The .xz encoder: one stream, one block, LZMA2, CRC-32. No kept JavaScript or WebAssembly library with a licence that fits
 * compresses xz, so it is ours; every xz program reads it. The dictionary is at most 8 MiB, so that readers need little memory.
 */
import { LITERAL_CONTEXT_BITS, LzmaEncoder, POSITION_BITS } from "./lzma-encoder.ts";
import { MatchFinder } from "./match.ts";

/** Per level: logarithm of the dictionary, chain links followed, length that ends a search. */
const PRESETS: readonly (readonly [number, number, number])[] = [
  [18, 2, 32],
  [20, 4, 48],
  [21, 6, 64],
  [22, 12, 96],
  [22, 24, 128],
  [23, 32, 192],
  [23, 48, 273],
  [23, 64, 273],
  [23, 96, 273],
  [23, 160, 273],
];
const CHECK_CRC32 = 1;
const STREAM_FLAGS = [0, CHECK_CRC32];
const PROPERTIES = POSITION_BITS * 45 + LITERAL_CONTEXT_BITS;

/** One xz stream of the source's bytes; `level` from 0 to 9. */
export async function* compressXz(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const [dictionaryLog, depth, nice] = PRESETS[level] as readonly [number, number, number];
  const blockHeader = withCrc([2, 0, LZMA2_FILTER, 1, (dictionaryLog - 12) * 2, 0, 0, 0]);
  yield Buffer.concat([
    STREAM_MAGIC,
    withCrc(STREAM_FLAGS).subarray(0, 2),
    crcOf(STREAM_FLAGS),
    blockHeader,
  ]);
  const chunks = new Chunks(new MatchFinder(2 ** dictionaryLog, depth, nice), nice);
  let crc = 0;
  let uncompressed = 0;
  let compressed = 0;
  for await (const piece of source) {
    crc = Bun.hash.crc32(piece, crc);
    uncompressed += piece.length;
    for (let at = 0; at < piece.length;) {
      at = chunks.finder.feed(piece, at);
      for (const chunk of chunks.take(false)) {
        compressed += chunk.length;
        yield chunk;
      }
    }
  }
  for (const chunk of chunks.take(true)) {
    compressed += chunk.length;
    yield chunk;
  }
  const unpadded = blockHeader.length + compressed + 4;
  yield Uint8Array.from([...zeros(compressed), ...uint32(crc)]);
  const records = uncompressed === 0 && compressed === 0 ? [] : [[unpadded, uncompressed] as const];
  yield indexAndFooter(records);
}

function crcOf(bytes: number[]): Uint8Array {
  return withCrc(bytes).subarray(bytes.length);
}

/** Zeros up to a multiple of four. */
function zeros(length: number): number[] {
  return new Array<number>((4 - (length % 4)) % 4).fill(0);
}

function indexAndFooter(records: (readonly [number, number])[]): Uint8Array {
  const fields = [0, ...writeInteger(records.length), ...records.flat().flatMap(writeInteger)];
  const index = withCrc([...fields, ...zeros(fields.length)]);
  const footer = [...uint32(index.length / 4 - 1), ...STREAM_FLAGS];
  return Buffer.concat([index, crcOf(footer), Uint8Array.from(footer), FOOTER_MAGIC]);
}

/** LZMA2 chunks: compressed ones, and stored ones where compression would not shorten. */
class Chunks {
  readonly #encoder: LzmaEncoder;
  #first = true;
  /** The next compressed chunk must say that it begins from nothing. */
  #fresh = true;

  constructor(
    readonly finder: MatchFinder,
    nice: number,
  ) {
    this.#encoder = new LzmaEncoder(finder, nice);
  }

  /** The chunks that are full; when `final`, all that is left and the end mark. */
  *take(final: boolean): Generator<Uint8Array, void, undefined> {
    while (this.#encoder.fill(final)) yield this.#finish();
    if (!final) return;
    if (this.#encoder.consumed > 0) yield this.#finish();
    yield Uint8Array.of(0);
  }

  #finish(): Uint8Array {
    const encoder = this.#encoder;
    encoder.flush();
    const chunk = encoder.length < encoder.consumed ? this.#compressed() : this.#stored();
    this.#first = false;
    return chunk;
  }

  #compressed(): Uint8Array {
    const encoder = this.#encoder;
    const size = encoder.consumed - 1;
    const stored = encoder.length - 1;
    // 1: new dictionary, state and properties; 0.75: new state and properties; 0.5: go on.
    const control = this.#first ? 0xe0 : this.#fresh ? 0xc0 : 0x80;
    const header = [
      control | (size >> 16),
      (size >> 8) & 255,
      size & 255,
      stored >> 8,
      stored & 255,
    ];
    if (this.#fresh) header.push(PROPERTIES);
    const chunk = Buffer.concat([Uint8Array.from(header), encoder.out.subarray(0, encoder.length)]);
    this.#fresh = false;
    encoder.restart();
    return chunk;
  }

  /** At most 64 KiB: what does not shrink is not longer than a full compressed chunk. */
  #stored(): Uint8Array {
    const encoder = this.#encoder;
    const size = encoder.consumed - 1;
    const header = [this.#first ? 1 : 2, size >> 8, size & 255];
    const chunk = Buffer.concat([Uint8Array.from(header), encoder.content]);
    // The failed attempt has taught the encoder what no decoder will learn.
    encoder.reset();
    this.#fresh = true;
    return chunk;
  }
}
