/**
 * What trees of unchangeable files were packed to, kept in the cache: interpreters and wheels there stand under names that cover their
 * content, and packing them again would give the same bytes. A tree with any other file is packed anew. The name covers every
 * entry with its file's size, time and inode, and what compresses; the bytes are compared with their digest before they are used.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join, sep } from "node:path";

import { AtomicFile, EnvironmentError, isSystemError } from "../../base/mod.ts";
import { type ChunkPiece, Sha256, sha256File, sha256Hex, type TreeEntry } from "../../codec/mod.ts";
import type { SlotMemory, SlotTree } from "../../pspf/mod.ts";

/** Raised when the same entries would give other bytes. */
const RECIPE = 1;
const UNUSED_MS = 30 * 86_400_000;
const PIECE = 4 << 20;
/** The file ends with the account, its SHA-256 and its length, in hex digits. */
const DIGEST = 64;
const TAIL = DIGEST + 16;

interface Account {
  /** Of the stored bytes. */
  sha256: string;
  /** Stored and original size of every chunk. */
  chunks: [number, number][];
}

/** Remembers trees whose files all lie below `<cacheDir>/python`. */
export function slotMemory(cacheDir: string): SlotMemory {
  const safe = join(cacheDir, "python") + sep;
  const folder = join(cacheDir, "python", "slots");
  return {
    async *pieces(tree, pack) {
      const name = nameOf(tree, safe);
      if (name === undefined) return yield* pack();
      const path = join(folder, name);
      const account = await readAccount(path);
      if (account !== undefined) return yield* replay(path, account);
      yield* record(folder, path, pack());
    },
  };
}

/** Undefined when a file lies somewhere else, or is not there. */
function nameOf(tree: SlotTree, safe: string): string | undefined {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(`${RECIPE} ${Bun.version} ${process.versions.zstd} ${tree.level} ${tree.mtime}\n`);
  for (const { path, type, mode, size, mtime, link, source } of tree.entries) {
    hash.update(JSON.stringify([path, type, mode, size, mtime, link]));
    if (typeof source === "string") {
      if (!source.startsWith(safe)) return undefined;
      const info = lstatSync(source, { bigint: true, throwIfNoEntry: false });
      if (info === undefined) return undefined;
      hash.update(JSON.stringify([source, `${info.size} ${info.mtimeNs} ${info.ino}`]));
    } else if (source !== undefined) hash.update(source.bytes);
    hash.update("\n");
  }
  return hash.digest("hex");
}

/** The account of a file that is whole and as it was written. */
async function readAccount(path: string): Promise<Account | undefined> {
  if (!existsSync(path)) return undefined;
  const file = Bun.file(path);
  const end = Math.max(0, file.size - TAIL);
  const tail = await file.slice(end).text();
  const length = end - Number.parseInt(tail.slice(DIGEST), 16);
  const json = await file.slice(Math.max(0, length || 0), end).text();
  if (digestOf(json) === tail.slice(0, DIGEST)) {
    const account = JSON.parse(json) as Account;
    if ((await sha256File(path, { length })) === account.sha256) return account;
  }
  rmSync(path, { force: true });
  return undefined;
}

async function* replay(path: string, { chunks }: Account): AsyncGenerator<ChunkPiece> {
  const now = new Date();
  utimesSync(path, now, now);
  const file = await open(path, "r");
  try {
    let at = 0;
    for (const [stored, original] of chunks) {
      for (const end = at + stored; at < end;) {
        const piece = new Uint8Array(Math.min(PIECE, end - at));
        const { bytesRead } = await file.read(piece, 0, piece.length, at);
        if (bytesRead === 0) throw becameShorter(path);
        at += bytesRead;
        const isEnd = at === end;
        yield { stored: piece.subarray(0, bytesRead), original: isEnd ? original : 0, end: isEnd };
      }
    }
  } finally {
    await file.close();
  }
}

function becameShorter(path: string): EnvironmentError {
  return new EnvironmentError("FILE_CHANGED", `${path}: became shorter`, {
    hint: "Something else writes to the cache; try again.",
    details: { path },
  });
}

/** Hands the pieces on and keeps a copy; a cache that cannot be written is no reason to fail. */
async function* record(
  folder: string,
  path: string,
  pieces: AsyncIterable<ChunkPiece>,
): AsyncGenerator<ChunkPiece> {
  await using copy = await tolerant(async () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    removeUnused(folder);
    return await AtomicFile.create(path, { force: true, mode: 0o600 });
  });
  const hash = new Sha256();
  const chunks: Account["chunks"] = [];
  let stored = 0;
  let isWhole = copy !== undefined;
  for await (const piece of pieces) {
    hash.update(piece.stored);
    stored += piece.stored.length;
    isWhole &&= (await tolerant(async () => (await copy?.write(piece.stored), true))) === true;
    if (piece.end) {
      chunks.push([stored, piece.original]);
      stored = 0;
    }
    yield piece;
  }
  if (!isWhole) return;
  const account: Account = { sha256: hash.hex(), chunks };
  const json = JSON.stringify(account);
  const tail = digestOf(json) + json.length.toString(16).padStart(TAIL - DIGEST, "0");
  await tolerant(async () => {
    await copy?.write(new TextEncoder().encode(json + tail));
    await copy?.commit();
  });
}

function digestOf(text: string): string {
  return sha256Hex(new TextEncoder().encode(text));
}

async function tolerant<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof EnvironmentError || isSystemError(error)) return undefined;
    throw error;
  }
}

function removeUnused(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const used = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - used > UNUSED_MS) rmSync(path, { force: true, recursive: true });
  }
}
