/**
 * Slots on their way into a package: operations applied, stored bytes hashed and counted, everything streamed into one
 * temporary file beside the output, because sizes and digests stand in front of the data. What needs no operation is not
 * copied there: it is hashed in place and copied once, and a change in between is an error.
 */
import { stat } from "node:fs/promises";

import { type AtomicFile, EnvironmentError, ioError } from "../base/mod.ts";
import {
  arrangeTree,
  type ChunkPiece,
  compressStream,
  readTar,
  Sha256,
  tarStream,
  type TreeEntry,
  zstdFileChunks,
  zstdTree,
} from "../codec/mod.ts";
import { unpackStream } from "./decode.ts";
import { PackageFile } from "./file.ts";
import { type CheckedSlot, wrong } from "./input.ts";
import { MAX_FOREIGN_SLOT, type Range } from "./layout.ts";
import { compressionsOf } from "./operations.ts";
import { decryptChunks, Encrypter } from "./secret/chunks.ts";
import { newSlotKey, type SlotEncryption, slotKey } from "./secret/key.ts";
import type { Encryption } from "./secret/parameters.ts";

type Bytes = AsyncIterable<Uint8Array>;

export interface StagedSlot {
  /** Stored bytes. */
  size: number;
  originalSize: number;
  /** SHA-256 of the stored bytes, 64 hex digits. */
  checksum: string;
  chunks?: Array<[number, number]>;
  encryption?: Encryption;
  /** Hands the stored bytes on in pieces, each valid until `write` returns. */
  copy(write: Write): Promise<void>;
}

type Write = (piece: Uint8Array) => Promise<void>;

export interface StageOptions {
  /** Seconds since 1970, for tar members without a time. */
  epoch: number;
  jobs?: number;
  /** Called with the number of original bytes that went in. */
  advance(bytes: number): void;
  /** Of the package: scrypt's salts come from both. */
  package: { name: string; version: string };
  /** Whether zstd slots become chunks. */
  chunks: boolean;
  /** Spares packing a tree again whose files cannot have changed. */
  memory?: SlotMemory;
  /** Sees the entries of a tar archive that was made elsewhere; throws to refuse it. */
  judgeTree?(slot: CheckedSlot, entries: readonly TreeEntry[]): void;
}

/** What a tree is packed with. */
export interface SlotTree {
  entries: readonly TreeEntry[];
  level: number | undefined;
  /** Seconds since 1970, for entries without a time. */
  mtime: number;
}

/** Gives the pieces that `pack` would give, the sooner the better. */
export interface SlotMemory {
  pieces(tree: SlotTree, pack: () => AsyncIterable<ChunkPiece>): AsyncIterable<ChunkPiece>;
}

/** Applies a slot's operations; `stage` is where bytes go that did not stand anywhere before. */
export async function stageSlot(
  slot: CheckedSlot,
  stage: AtomicFile,
  options: StageOptions,
): Promise<StagedSlot> {
  const { content, encryption } = slot;
  if (content.kind === "stored") return await stageStored(slot, content, options);
  if (encryption === undefined) return await stagePlain(slot, stage, options);
  const compressed = { ...slot, operations: slot.operations.slice(0, -1) };
  const plain = await stagePlain(compressed, stage, options);
  return await stageEncrypted(slot, encryption, plain, stage, options);
}

/** Applies everything but encryption. */
async function stagePlain(
  slot: CheckedSlot,
  stage: AtomicFile,
  options: StageOptions,
): Promise<StagedSlot> {
  const { content, operations } = slot;
  const kinds = compressionsOf(operations);
  if (content.kind !== "tree" && operations[0] === "tar") {
    await proveTar(slot, source(slot, options), options);
  }
  if (kinds.length === 0 && content.kind === "file") {
    return await stageInPlace(slot, content.path, options.advance);
  }
  if (kinds.length === 0 && content.kind === "bytes") return stageBytes(content.bytes);
  if (kinds.length === 1 && kinds[0] === "zstd" && options.chunks) {
    return await stageChunks(chunksOf(slot, options), stage, options);
  }
  return await stageStream(slot, stage, options);
}

/** The bytes before any compression. */
async function* source(
  slot: CheckedSlot,
  options: StageOptions,
): Bytes & AsyncGenerator<Uint8Array> {
  const { content } = slot;
  switch (content.kind) {
    case "bytes":
      yield content.bytes;
      return;
    case "tree":
      yield* tarStream(arrangeTree(content.entries), { mtime: options.epoch });
      return;
    default:
      yield* wholeFile(content.path);
  }
}

async function* wholeFile(path: string): AsyncGenerator<Uint8Array> {
  const file = await PackageFile.open(path);
  try {
    yield* file.stream({ start: 0, end: file.size });
  } finally {
    await file.close();
  }
}

/** Writes a stream to the end of the stage, hashed and counted. */
class Sink {
  readonly start: number;
  readonly hash = new Sha256();

  constructor(private readonly stage: AtomicFile) {
    this.start = stage.position;
  }

  async write(piece: Uint8Array): Promise<void> {
    this.hash.update(piece);
    await this.stage.write(piece);
  }

  get size(): number {
    return this.stage.position - this.start;
  }

  finish(originalSize: number, chunks?: Array<[number, number]>): StagedSlot {
    const { stage, start, size } = this;
    return {
      size,
      originalSize,
      checksum: this.hash.hex(),
      ...(chunks === undefined ? {} : { chunks }),
      copy: (write) => copyFile(stage.temporary, { start, end: start + size }, write),
    };
  }
}

async function copyFile(path: string, range: Range | undefined, write: Write): Promise<void> {
  const file = await PackageFile.open(path);
  try {
    await file.copy(range ?? { start: 0, end: file.size }, write);
  } finally {
    await file.close();
  }
}

async function stageStream(
  slot: CheckedSlot,
  stage: AtomicFile,
  options: StageOptions,
): Promise<StagedSlot> {
  let originalSize = 0;
  async function* counted(stream: Bytes) {
    for await (const piece of stream) {
      originalSize += piece.length;
      options.advance(piece.length);
      yield piece;
    }
  }
  const kinds = compressionsOf(slot.operations);
  const packed = kinds.reduce(
    (stream: Bytes, kind, i) => {
      const level = i === kinds.length - 1 ? slot.level : undefined;
      return compressStream(kind, level)(stream);
    },
    counted(source(slot, options)),
  );
  const sink = new Sink(stage);
  for await (const piece of packed) await sink.write(piece);
  return sink.finish(originalSize);
}

function chunksOf(slot: CheckedSlot, options: StageOptions): AsyncIterable<ChunkPiece> {
  const how = {
    ...(slot.level === undefined ? {} : { level: slot.level }),
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
  };
  const { content } = slot;
  if (content.kind === "tree") {
    const { entries } = content;
    const pack = () => zstdTree(arrangeTree(entries), { ...how, mtime: options.epoch });
    const tree = { entries, level: slot.level, mtime: options.epoch };
    return options.memory?.pieces(tree, pack) ?? pack();
  }
  return zstdFileChunks(content.kind === "bytes" ? { bytes: content.bytes } : content.path, how);
}

async function stageChunks(
  pieces: AsyncIterable<ChunkPiece>,
  stage: AtomicFile,
  options: StageOptions,
): Promise<StagedSlot> {
  const sink = new Sink(stage);
  const chunks: Array<[number, number]> = [];
  let originalSize = 0;
  let chunkStart = 0;
  for await (const { stored, original, end } of pieces) {
    await sink.write(stored);
    if (!end) continue;
    chunks.push([sink.size - chunkStart, original]);
    chunkStart = sink.size;
    originalSize += original;
    options.advance(original);
  }
  return sink.finish(originalSize, chunks);
}

/** The salt, and so the key, follows from the compressed bytes: these are read a second time to be encrypted. */
async function stageEncrypted(
  slot: CheckedSlot,
  encryption: SlotEncryption,
  plain: StagedSlot,
  stage: AtomicFile,
  options: StageOptions,
): Promise<StagedSlot> {
  const digest = Uint8Array.fromHex(plain.checksum);
  const about = { id: slot.id, package: options.package, digest };
  const { key, parameters } = newSlotKey(await encryption.key(), encryption.keySource, about);
  const sink = new Sink(stage);
  const encrypter = new Encrypter(key);
  await plain.copy(async (piece) => {
    for (const chunk of encrypter.push(piece)) await sink.write(chunk);
  });
  await sink.write(encrypter.end());
  return { ...sink.finish(plain.originalSize), encryption: parameters };
}

function stageBytes(bytes: Uint8Array): StagedSlot {
  return {
    size: bytes.length,
    originalSize: bytes.length,
    checksum: new Sha256().update(bytes).hex(),
    copy: (write) => write(bytes),
  };
}

async function stageInPlace(
  slot: CheckedSlot,
  path: string,
  advance: (bytes: number) => void = () => {},
): Promise<StagedSlot> {
  const hash = new Sha256();
  let size = 0;
  await copyFile(path, undefined, async (piece) => {
    hash.update(piece);
    size += piece.length;
    advance(piece.length);
  });
  const checksum = hash.hex();
  const copy = (write: Write) => copyUnchanged(slot, path, checksum, write);
  return { size, originalSize: size, checksum, copy };
}

/** The file once more; an error when it is not what was hashed. */
async function copyUnchanged(
  slot: CheckedSlot,
  path: string,
  checksum: string,
  write: Write,
): Promise<void> {
  const hash = new Sha256();
  await copyFile(path, undefined, async (piece) => {
    hash.update(piece);
    await write(piece);
  });
  if (hash.hex() === checksum) return;
  throw new EnvironmentError("FILE_CHANGED", `${path}: changed while slot ${slot.id} was packed`, {
    hint: "Pack again when nothing writes to the file.",
    details: { path, slot: slot.id },
  });
}

/** Bytes that someone else encoded: decoded once, so that the chain written beside them is true. */
async function stageStored(
  slot: CheckedSlot,
  content: { path: string; originalSize?: number },
  options: StageOptions,
): Promise<StagedSlot> {
  const max = content.originalSize ?? MAX_FOREIGN_SLOT;
  const decoded = unpackStream(await plainFile(slot, content.path), slot.operations, max);
  let originalSize = 0;
  async function* counted() {
    for await (const piece of decoded) {
      originalSize += piece.length;
      options.advance(piece.length);
      yield piece;
    }
  }
  if (slot.operations[0] === "tar") await proveTar(slot, counted(), options);
  else await prove(slot, counted());
  if (content.originalSize !== undefined && originalSize !== content.originalSize) {
    throw wrong("SLOT_SIZE", slot, `holds ${originalSize} bytes, not ${content.originalSize}`);
  }
  const parameters = slot.encryption?.parameters;
  return {
    ...(await stageInPlace(slot, content.path)),
    originalSize,
    ...(parameters === undefined ? {} : { encryption: parameters }),
  };
}

/** A stored file, decrypted when it is encrypted. */
async function plainFile(slot: CheckedSlot, path: string): Promise<Bytes> {
  if (slot.encryption === undefined) return wholeFile(path);
  const { key, parameters } = slot.encryption;
  const found = parameters && slotKey(parameters, slot.id, (await key()).bytes);
  if (found === undefined) {
    throw wrong("SLOT_ENCRYPTION", slot, "encrypted content needs its parameters and its key");
  }
  return decryptChunks(found, wholeFile(path), (await stat(path)).size);
}

async function prove(slot: CheckedSlot, stream: Bytes): Promise<void> {
  try {
    for await (const _ of stream);
  } catch (error) {
    throw notEncoded(slot, error);
  }
}

async function proveTar(slot: CheckedSlot, stream: Bytes, options: StageOptions): Promise<void> {
  const entries: TreeEntry[] = [];
  async function* members() {
    for await (const { entry } of readTar(stream)) {
      if (options.judgeTree !== undefined) entries.push(entry);
      yield new Uint8Array(0);
    }
  }
  await prove(slot, members());
  options.judgeTree?.(slot, entries);
}

function notEncoded(slot: CheckedSlot, error: unknown): unknown {
  if (!(error instanceof Error) || !("exit" in error) || error.exit !== 3) return error;
  const operations = slot.operations.join("|");
  return wrong("SLOT_CONTENT", slot, `its content is not ${operations}: ${error.message}`);
}

/** Bytes of content that a slot will take in, as far as its input says; for progress. */
export async function expectedSize(slot: CheckedSlot): Promise<number> {
  const { content } = slot;
  if (content.kind === "bytes") return content.bytes.length;
  if (content.kind === "tree") return content.entries.reduce((sum, entry) => sum + entry.size, 0);
  try {
    return (await stat(content.path)).size;
  } catch (error) {
    throw ioError(error, content.path);
  }
}
