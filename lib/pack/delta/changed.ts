/**
 * A slot that the old package does not have as it is: what its content is like, and whether its stored bytes come out again when the
 * content is compressed again.
 */
import {
  type Compression,
  type DeltaSource,
  encode,
  type Encoder,
  encoderFor,
  Garbage,
  levelsOf,
  sha256File,
  type Span,
} from "../../codec/mod.ts";
import type { Package, PackageSlot, Range } from "../../pspf/mod.ts";
import { type Counterparts, membersOf, spansOf } from "./members.ts";
import { chunksOf, isReadable, type PackageSources } from "./sources.ts";

/** SHA-256 of bytes of the package's file. */
export async function digest(pkg: Package, { start, end }: Range): Promise<string> {
  return await sha256File(pkg.path, { offset: start, length: end - start });
}

/** A chunk, or a whole slot without chunks: bytes of the file that are made from bytes of content. */
export interface Frame {
  start: number;
  stored: number;
  /** Place of the content in the slot. */
  offset: number;
  /** Bytes of content; of a slot without chunks it is known when the slot is decoded. */
  original?: number;
}

/** The frames of a slot, in order. What cannot be read is one frame, whatever its chunks mean. */
export function framesOf(slot: PackageSlot): Frame[] {
  const isChunked = slot.chunks !== undefined && isReadable(slot);
  return isChunked ? chunksOf(slot) : [whole(slot)];
}

function whole(slot: PackageSlot): Frame {
  return { start: slot.region.start, stored: slot.size, offset: 0 };
}

/** How a frame is made again. */
interface Recipe {
  encoder: Encoder;
  level: number;
  sha256: Uint8Array;
  plain: number;
  spans: readonly Span[];
  content: DeltaSource;
}

/** A slot that the old package does not have as it is. */
export class ChangedSlot {
  #content: DeltaSource | undefined;
  #spans: readonly Span[] = [];
  /** The level that gave stored bytes last; small frames may be the same at several levels. */
  #level: number | undefined;
  /** Whether every level was tried for one frame in vain: then others are not looked for again. */
  #isExhausted = false;
  readonly #garbage = new Garbage();

  constructor(
    private readonly slot: PackageSlot,
    private readonly fresh: PackageSources,
    private readonly old: PackageSources,
    private readonly counterparts: Counterparts,
    private readonly portable: boolean,
  ) {}

  /** How a frame is made from its content; `undefined` when it is better, or only possible, to carry it. */
  async recipe(frame: Frame): Promise<Recipe | undefined> {
    const kinds = this.slot.operations.filter((operation) => operation !== "tar");
    if (!isReadable(this.slot) || kinds.length > 1) return undefined;
    if (kinds.length === 1 && this.portable) return undefined;
    const content = await this.#read();
    const plain = frame.original ?? content.size;
    const shared = { plain, spans: this.#spans, content };
    if (kinds.length === 0) {
      return { encoder: "none", level: 0, sha256: new Uint8Array(0), ...shared };
    }
    if (mostlyNew(this.#spans, frame.offset, frame.offset + plain)) return undefined;
    const kind = kinds[0] as Compression;
    const encoder = encoderFor(kind, plain, this.slot.chunks !== undefined);
    if (encoder === "none") return undefined;
    const sha256 = await this.#find(encoder, frame, plain, content);
    return sha256 && { encoder, level: this.#level as number, sha256, ...shared };
  }

  async #read(): Promise<DeltaSource> {
    if (this.#content !== undefined) return this.#content;
    const content = await this.fresh.slot(this.slot);
    const members = await membersOf(content, this.slot.index + 1, this.slot);
    this.#spans = await spansOf(
      members,
      content,
      this.counterparts,
      async (number) => (await this.old.get(number)) as DeltaSource,
    );
    this.#content = content;
    return content;
  }

  /** Tries levels, the last good one first, until one gives the stored bytes. @returns their digest */
  async #find(
    encoder: Exclude<Encoder, "none">,
    frame: Frame,
    plain: number,
    content: DeltaSource,
  ): Promise<Uint8Array | undefined> {
    for (const level of this.#candidates(encoder)) {
      const again = encode(encoder, level, plain, pieces(content, frame.offset, plain));
      const isSame = await this.#stands(again, frame);
      this.#garbage.add(plain);
      if (!isSame) continue;
      this.#level = level;
      const range = { start: frame.start, end: frame.start + frame.stored };
      return Uint8Array.fromHex(await digest(this.fresh.pkg, range));
    }
    this.#isExhausted = true;
    return undefined;
  }

  #candidates(encoder: Encoder): Set<number> {
    const known = this.#level === undefined ? [] : [this.#level];
    return new Set(this.#isExhausted ? known : [...known, ...levelsOf(encoder)]);
  }

  /** Whether these bytes are the frame's; stops at the first piece that is not. */
  async #stands(bytes: AsyncIterable<Uint8Array>, { start, stored }: Frame): Promise<boolean> {
    const { file } = this.fresh.pkg;
    let at = 0;
    for await (const piece of bytes) {
      const end = at + piece.length;
      if (end > stored) return false;
      const said = await file.read({ start: start + at, end: start + end });
      if (Buffer.compare(piece, said) !== 0) return false;
      at = end;
    }
    return at === stored;
  }
}

const PIECE = 1 << 20;

async function* pieces(source: DeltaSource, start: number, length: number) {
  for (let at = 0; at < length; at += PIECE) {
    yield await source.read(start + at, Math.min(PIECE, length - at));
  }
}

/** Whether so little of the content is old that its stored bytes are not larger than what would be carried instead. */
function mostlyNew(spans: readonly Span[], start: number, end: number): boolean {
  let old = 0;
  for (const span of spans) {
    if (span.base === undefined) continue;
    old += Math.max(0, Math.min(span.end, end) - Math.max(span.start, start));
  }
  return old < (end - start) / 4;
}
