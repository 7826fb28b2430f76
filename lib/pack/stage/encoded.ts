/**
 * Source files that already are what `operations` says, as the earlier builders took them, and how to tell them from files
 * that are still to be packed. What begins like it must also decode to its end: those builders believed the label.
 */
import { Buffer } from "node:buffer";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";

import { FormatError, SealiftError } from "../../base/mod.ts";
import { decompressStream, readTar, type TreeEntry } from "../../codec/mod.ts";
import { compressionsOf, formatOperations, type Operation } from "../../pspf/mod.ts";
import type { SlotSpec } from "../manifest/project.ts";

/** What a source can be already; encryption is done here only. */
type Encoding = Exclude<Operation, "aes256gcm">;

const MAGIC: Record<Encoding, { at: number; bytes: number[] }> = {
  tar: { at: 257, bytes: [0x75, 0x73, 0x74, 0x61, 0x72] },
  gzip: { at: 0, bytes: [0x1f, 0x8b] },
  bzip2: { at: 0, bytes: [0x42, 0x5a, 0x68] },
  xz: { at: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  zstd: { at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] },
};

/** What a file of unknown origin may expand to (format.md section 10). */
const MAX_DECODED = 64 * 2 ** 30;

/** A file that is stored as it is. */
export interface Encoded {
  /** Bytes after every decompression. */
  originalSize: number;
  /** Members, when the chain begins with tar. */
  members?: TreeEntry[];
}

/** Whether the file begins as the last operation of the chain would leave it. */
export async function beginsLike(path: string, operation: Operation): Promise<boolean> {
  if (operation === "aes256gcm") return false;
  const { at, bytes } = MAGIC[operation];
  await using file = await open(path, "r");
  const head = Buffer.alloc(bytes.length);
  const { bytesRead } = await file.read(head, 0, head.length, at);
  return bytesRead === bytes.length && head.equals(Buffer.from(bytes));
}

/**
 * Decodes the file through the whole chain.
 * @throws FormatError `SLOT_OPERATIONS` when it is not what the chain says
 */
export async function checkEncoded(
  spec: SlotSpec,
  path: string,
  chain: Operation[],
): Promise<Encoded> {
  let originalSize = 0;
  const count = async function* (stream: AsyncIterable<Uint8Array>) {
    for await (const piece of stream) {
      originalSize += piece.length;
      yield piece;
    }
  };
  try {
    let stream: AsyncIterable<Uint8Array> = createReadStream(path);
    for (const operation of compressionsOf(chain).reverse()) {
      stream = decompressStream(operation, { maxOutput: MAX_DECODED })(stream);
    }
    if (chain[0] === "tar") return { members: await membersOf(count(stream)), originalSize };
    for await (const piece of stream) originalSize += piece.length;
    return { originalSize };
  } catch (error) {
    if (!(error instanceof SealiftError)) throw error;
    throw new FormatError(
      "SLOT_OPERATIONS",
      `Slot ${spec.id}: ${spec.source} is said to be ${formatOperations(chain)}, begins like it and is not: ${error.message}`,
      {
        hint: "Make the file again, or give the plain file or folder: it is packed as operations say.",
        cause: error,
      },
    );
  }
}

async function membersOf(stream: AsyncIterable<Uint8Array>): Promise<TreeEntry[]> {
  const members: TreeEntry[] = [];
  for await (const { entry } of readTar(stream)) members.push(entry);
  return members;
}
