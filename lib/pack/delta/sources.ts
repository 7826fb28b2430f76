/**
 * What a delta may be made from: source 0 is the package's file, source n + 1 the content of its slot n after every decompression. Content
 * is decoded into a scratch file when it is first asked for, of chunked slots only the chunks that are needed.
 */
import { join } from "node:path";

import { type DeltaSource, Garbage, unzstdChunks } from "../../codec/mod.ts";
import { decodedSlot, type Package, type PackageSlot } from "../../pspf/mod.ts";
import { Spool } from "./spool.ts";

/** Operations that can be undone without a secret. */
const OPEN = new Set<string>(["tar", "gzip", "bzip2", "xz", "zstd"]);

/** Whether the content can be read at all: an encrypted slot's cannot. */
export function isReadable(slot: PackageSlot): boolean {
  return !slot.metadata.self_ref && slot.operations.every((operation) => OPEN.has(operation));
}

export class PackageSources implements AsyncDisposable {
  readonly #slots = new Map<number, Promise<SlotSource>>();
  readonly file: DeltaSource;

  constructor(
    readonly pkg: Package,
    /** Folder for scratch files, and what their names begin with. */
    private readonly folder: string,
    private readonly prefix: string,
  ) {
    this.file = fileSource(pkg, 0, pkg.size);
  }

  /** The source of that number; `undefined` when there is none. */
  async get(number: number): Promise<DeltaSource | undefined> {
    if (number === 0) return this.file;
    const slot = this.pkg.slots[number - 1];
    if (slot === undefined || !isReadable(slot)) return undefined;
    return await this.slot(slot);
  }

  /** The content of a readable slot. */
  slot(slot: PackageSlot): Promise<SlotSource> {
    const path = join(this.folder, `${this.prefix}-${slot.index}`);
    const opened = this.#slots.get(slot.index) ?? openSlot(this.pkg, slot, path);
    this.#slots.set(slot.index, opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of this.#slots.values()) {
      const source = await opened.catch(() => undefined);
      await source?.close();
    }
    await this.pkg.close();
  }
}

export interface SlotSource extends DeltaSource {
  close(): Promise<void>;
}

function fileSource(pkg: Package, start: number, size: number): SlotSource {
  const garbage = new Garbage();
  return {
    size,
    read: async (offset, length) => {
      garbage.add(length);
      return await pkg.file.read({ start: start + offset, end: start + offset + length });
    },
    close: async () => {},
  };
}

async function openSlot(pkg: Package, slot: PackageSlot, path: string): Promise<SlotSource> {
  const isStored = slot.operations.every((operation) => operation === "tar");
  if (isStored) return fileSource(pkg, slot.region.start, slot.size);
  const spool = await Spool.create(path);
  try {
    if (slot.chunks !== undefined) return new ChunkedSource(pkg, slot, spool);
    for await (const piece of decodedSlot(pkg, slot.index)) await spool.append(piece);
    return spool;
  } catch (error) {
    await spool.close();
    throw error;
  }
}

interface Chunk {
  /** Place of the stored bytes in the file. */
  start: number;
  stored: number;
  /** Place of the content in the slot. */
  offset: number;
  original: number;
  decoded?: boolean;
}

/** Every chunk of a slot with its places. */
export function chunksOf(slot: PackageSlot): Chunk[] {
  let { start } = slot.region;
  let offset = 0;
  return (slot.chunks ?? []).map(([stored, original]) => {
    const chunk = { start, stored, offset, original };
    start += stored;
    offset += original;
    return chunk;
  });
}

class ChunkedSource implements SlotSource {
  readonly size: number;
  readonly #chunks: Chunk[];

  constructor(
    private readonly pkg: Package,
    slot: PackageSlot,
    private readonly spool: Spool,
  ) {
    this.#chunks = chunksOf(slot);
    const last = this.#chunks.at(-1);
    this.size = last === undefined ? 0 : last.offset + last.original;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    for (const chunk of this.#chunks) {
      if (chunk.offset >= offset + length) break;
      if (chunk.offset + chunk.original > offset) await this.#decode(chunk);
    }
    return await this.spool.read(offset, length);
  }

  async #decode(chunk: Chunk): Promise<void> {
    if (chunk.decoded) return;
    const { start, stored, original } = chunk;
    const bytes = this.pkg.file.stream({ start, end: start + stored });
    let at = chunk.offset;
    for await (const piece of unzstdChunks(bytes, [[stored, original]])) {
      await this.spool.write(piece, at);
      at += piece.length;
    }
    chunk.decoded = true;
  }

  async close(): Promise<void> {
    await this.spool.close();
  }
}
