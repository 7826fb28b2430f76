/** The content of slots as streams: a stream that ends early, late or differently throws instead of ending. */
import { FormatError, type SealiftError } from "../base/mod.ts";
import {
  decompressStream,
  Garbage,
  readTar,
  type ReadTarOptions,
  unzstdChunks,
} from "../codec/mod.ts";
import { MAX_FOREIGN_SLOT } from "./layout.ts";
import { compressionsOf, type Operation } from "./operations.ts";
import type { Package, PackageSlot } from "./package.ts";
import { decryptChunks } from "./secret/chunks.ts";
import { openSlot } from "./secret/open.ts";
import { slotAt, storedSlot } from "./stored.ts";

type Bytes = AsyncIterable<Uint8Array>;

/**
 * The slot after decryption and every decompression; a tar stream stays one. Bounded by the signed size. Throws `FormatError` for data
 * that does not decode to exactly that size, and what `openSlot` and `storedSlot` throw.
 */
export async function* decodedSlot(pkg: Package, i: number): AsyncGenerator<Uint8Array> {
  const slot = slotAt(pkg, i);
  const max = slot.originalSize ?? MAX_FOREIGN_SLOT;
  const key = await openSlot(pkg, slot);
  const stored = storedSlot(pkg, i);
  const plain = key === undefined ? stored : decryptChunks(key, stored, slot.size);
  const stream =
    slot.chunks === undefined
      ? unpackStream(plain, slot.operations, max)
      : unzstdChunks(plain, slot.chunks);
  const garbage = new Garbage();
  let total = 0;
  try {
    for await (const piece of stream) {
      total += piece.length;
      if (total > max) break;
      yield piece;
      garbage.add(piece.length);
    }
  } catch (error) {
    throw inSlot(pkg, slot, error);
  }
  if (slot.originalSize !== undefined && total !== max) throw wrongSize(pkg, slot);
}

/** Whether the decoded slot is a tar stream. */
export function isTar(slot: PackageSlot): boolean {
  return slot.operations[0] === "tar";
}

/** What a slot's tar stream must keep to: its signed size, and chunks that end where entries end (section 5). */
export function tarRules(slot: PackageSlot): ReadTarOptions {
  let end = 0;
  const boundaries = slot.chunks?.map(([, original]) => (end += original));
  const maxBytes = slot.originalSize ?? MAX_FOREIGN_SLOT;
  return boundaries === undefined ? { maxBytes } : { maxBytes, boundaries };
}

/** Decodes a whole slot and throws when it is not what its operations and sizes say. Nothing is kept. */
export async function proveSlot(pkg: Package, slot: PackageSlot): Promise<void> {
  const decoded = decodedSlot(pkg, slot.index);
  try {
    for await (const _ of isTar(slot) ? readTar(decoded, tarRules(slot)) : decoded);
  } catch (error) {
    throw inSlot(pkg, slot, error);
  }
}

/** Undoes the compressions of a chain from its end, bounded to `max` bytes of output. */
export function unpackStream(stored: Bytes, chain: readonly Operation[], max: number): Bytes {
  const kinds = compressionsOf(chain).reverse();
  return kinds.reduce((stream: Bytes, kind, i) => {
    const isLast = i === kinds.length - 1;
    // What lies between two compressions has no signed size; no encoder makes it much larger than its content.
    const maxOutput = isLast ? max : Math.ceil(max * 1.125) + (1 << 20);
    return decompressStream(kind, { maxOutput })(stream);
  }, stored);
}

/** An error of a decoder with the names of file and slot in front. */
export function inSlot(pkg: Package, slot: PackageSlot, error: unknown): unknown {
  if (!(error instanceof FormatError) || error.details?.file !== undefined) return error;
  const message = `${pkg.path}: slot ${slot.id}: ${lowerFirst(error.message)}`;
  const details = { ...error.details, file: pkg.path, slot: slot.id };
  return new FormatError(error.code, message, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details,
    cause: error,
  });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function wrongSize(pkg: Package, slot: PackageSlot): SealiftError {
  return new FormatError(
    "UNPACK_SIZE",
    `${pkg.path}: slot ${slot.id}: it does not expand to its signed ${slot.originalSize} bytes`,
    {
      hint: "The package is not valid; ask its publisher for a new one.",
      details: { file: pkg.path, slot: slot.id, expected: slot.originalSize },
    },
  );
}
