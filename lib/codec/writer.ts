/**
 * The deterministic tar writer (format.md section 6): the same entries give the same bytes everywhere. ustar, and pax
 * headers only for what ustar cannot say. Small entries are gathered into pieces, large files are streamed.
 */
import { closeSync, openSync, readSync } from "node:fs";

import { EnvironmentError, ioError, quoted } from "../base/mod.ts";
import { confinedPath, Ledger } from "./_ledger.ts";
import { BLOCK, formatHeader, OCTAL_MAX, padding, paxRecord, tarError } from "./_tar.ts";
import { compareNames, parentOf, type TreeEntry } from "./entry.ts";

/** Two zero blocks end an archive. */
export const END_SIZE = 2 * BLOCK;
/** Stream pieces are about this long. */
const PIECE = 1 << 20;

const TYPE_FLAGS = { file: "0", hardlink: "1", symlink: "2", directory: "5" } as const;
const encoder = new TextEncoder();

/**
 * The entries in the order of the format: sorted by the bytes of their names, every parent present. Missing parents
 * become directories of mode 0755. Throws `FormatError` for what the reader would refuse.
 */
export function arrangeTree(entries: readonly TreeEntry[]): TreeEntry[] {
  const all = new Map<string, TreeEntry>();
  for (const entry of entries) {
    const path = confinedPath(entry.path);
    if (all.has(path))
      throw tarError("TAR_DUPLICATE", `The tree has the entry ${quoted(path)} twice`);
    all.set(path, entry.path === path ? entry : { ...entry, path });
  }
  for (const path of [...all.keys()]) {
    for (let up = parentOf(path); up !== "" && !all.has(up); up = parentOf(up)) {
      all.set(up, { path: up, type: "directory", mode: 0o755, size: 0 });
    }
  }
  const arranged = [...all.values()].sort((a, b) => compareNames(a.path, b.path));
  putFilesFirst(arranged, all);
  checkTree(arranged);
  return arranged;
}

/** A hard link that is sorted before its file takes the content, and the file becomes the link. */
function putFilesFirst(arranged: TreeEntry[], all: Map<string, TreeEntry>): void {
  const firstOf = new Map<string, string>();
  for (const [i, entry] of arranged.entries()) {
    if (entry.type === "file" && firstOf.has(entry.path)) {
      const { path, mode } = entry;
      arranged[i] = { path, type: "hardlink", mode, size: 0, link: firstOf.get(path) as string };
    }
    const target = entry.type === "hardlink" ? all.get(entry.link ?? "") : undefined;
    if (target?.type !== "file") continue;
    const first = firstOf.get(target.path);
    if (first !== undefined) arranged[i] = { ...entry, link: first };
    else if (compareNames(entry.path, target.path) < 0) {
      firstOf.set(target.path, entry.path);
      arranged[i] = { ...target, path: entry.path };
    }
  }
}

/** Throws `FormatError` unless the entries are arranged and every one of them can be read back. */
export function checkTree(entries: readonly TreeEntry[]): void {
  const ledger = new Ledger();
  let previous = "";
  for (const entry of entries) {
    if (entry.path === "" || confinedPath(entry.path) !== entry.path) {
      throw tarError("TAR_PATH", `The name ${quoted(entry.path)} is not in its shortest form`);
    }
    if (previous !== "" && compareNames(previous, entry.path) >= 0) {
      throw tarError(
        "TAR_DUPLICATE",
        `The entry ${quoted(entry.path)} is twice or not in its place`,
      );
    }
    const parent = parentOf(entry.path);
    if (parent !== "" && ledger.typeOf(parent) === undefined) {
      throw tarError("TAR_PATH", `The folder of ${quoted(entry.path)} is missing from the tree`);
    }
    if (entry.type !== "file" && entry.size !== 0) {
      throw tarError("TAR_SIZE", `The entry ${quoted(entry.path)} has content but is no file`);
    }
    ledger.add(entry);
    previous = entry.path;
  }
  ledger.finish();
}

/** Length of `tarStream(entries)` in bytes. */
export function tarSize(entries: readonly TreeEntry[]): number {
  return entries.reduce((sum, entry) => sum + entrySpan(entry), END_SIZE);
}

/** Bytes that an entry takes in the stream: headers, content, padding. */
export function entrySpan(entry: TreeEntry): number {
  return entryHeader(entry, 0).length + entry.size + padding(entry.size);
}

/**
 * The tar stream of arranged entries (see `arrangeTree`), with `mtime` in seconds for every entry that has none.
 * `EnvironmentError("FILE_CHANGED")` when a file is no longer as long as its entry says.
 */
export async function* tarStream(
  entries: readonly TreeEntry[],
  options: { mtime: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  checkTree(entries);
  let batch: TreeEntry[] = [];
  let size = 0;
  for (const entry of entries) {
    const span = entrySpan(entry);
    if (batch.length > 0 && size + span > PIECE) {
      yield packEntries(batch, options.mtime, new Uint8Array(size));
      batch = [];
      size = 0;
    }
    if (span > PIECE) {
      yield* streamEntry(entry, options.mtime);
    } else {
      batch.push(entry);
      size += span;
    }
  }
  if (size > 0) yield packEntries(batch, options.mtime, new Uint8Array(size));
  yield new Uint8Array(END_SIZE);
}

/** Writes whole entries into `buffer`, whose length is at least the sum of their spans; returns the part that is filled. */
export function packEntries(
  entries: readonly TreeEntry[],
  mtime: number,
  buffer: Uint8Array,
): Uint8Array {
  let at = 0;
  for (const entry of entries) {
    const header = entryHeader(entry, mtime);
    buffer.set(header, at);
    at += header.length;
    if (entry.size > 0) readContent(entry, buffer.subarray(at, at + entry.size));
    const end = at + entry.size + padding(entry.size);
    buffer.fill(0, at + entry.size, end);
    at = end;
  }
  return buffer.subarray(0, at);
}

/** One entry of any size, piece by piece. Every piece is a new array. */
export async function* streamEntry(
  entry: TreeEntry,
  mtime: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield entryHeader(entry, mtime);
  if (typeof entry.source === "string") yield* streamFile(entry.source, entry.size);
  else yield bytesOf(entry);
  if (padding(entry.size) > 0) yield new Uint8Array(padding(entry.size));
}

/** Exactly `size` bytes of a file, in new arrays. */
export async function* streamFile(
  path: string,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const file = openFile(path);
  try {
    for (let done = 0; done < size;) {
      const piece = new Uint8Array(Math.min(PIECE, size - done));
      fill(file, path, piece, done);
      done += piece.length;
      yield piece;
    }
    expectEnd(file, path, size);
  } finally {
    closeSync(file);
  }
}

function readContent(entry: TreeEntry, into: Uint8Array): void {
  if (typeof entry.source !== "string") {
    into.set(bytesOf(entry));
    return;
  }
  const file = openFile(entry.source);
  try {
    fill(file, entry.source, into, 0);
    expectEnd(file, entry.source, into.length);
  } finally {
    closeSync(file);
  }
}

function bytesOf(entry: TreeEntry): Uint8Array {
  const bytes = typeof entry.source === "object" ? entry.source.bytes : undefined;
  if (entry.size === (bytes?.length ?? 0)) return bytes ?? new Uint8Array(0);
  throw tarError("TAR_SIZE", `The entry ${quoted(entry.path)} has not the content its size says`);
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw ioError(error, path);
  }
}

/** Fills `into` from `position` of the file on. */
export function fill(file: number, path: string, into: Uint8Array, position: number): void {
  try {
    for (let done = 0; done < into.length;) {
      const got = readSync(file, into, done, into.length - done, position + done);
      if (got === 0) throw changed(path);
      done += got;
    }
  } catch (error) {
    throw ioError(error, path);
  }
}

function expectEnd(file: number, path: string, size: number): void {
  if (readSync(file, new Uint8Array(1), 0, 1, size) !== 0) throw changed(path);
}

function changed(path: string): EnvironmentError {
  return new EnvironmentError("FILE_CHANGED", `${path}: changed its size while it was packed`, {
    hint: "Pack again when nothing writes to the folder.",
    details: { path },
  });
}

/** Every header block of an entry: pax records where ustar cannot say it, then the ustar block. */
export function entryHeader(entry: TreeEntry, defaultTime: number): Uint8Array {
  const mtime = Math.floor(entry.mtime ?? defaultTime);
  if (!(mtime >= 0 && mtime <= OCTAL_MAX)) {
    throw tarError(
      "TAR_HEADER",
      `The time ${mtime} of ${quoted(entry.path)} does not fit in a tar header`,
    );
  }
  const path = entry.type === "directory" ? `${entry.path}/` : entry.path;
  const name = splitName(encoder.encode(path));
  const link = encoder.encode(entry.link ?? "");
  const records: Uint8Array[] = [];
  if (name === undefined) records.push(paxRecord("path", path));
  if (link.length > 100) records.push(paxRecord("linkpath", entry.link as string));
  if (entry.size > OCTAL_MAX) records.push(paxRecord("size", String(entry.size)));
  const block = formatHeader({
    name: name?.name ?? cut(path),
    prefix: name?.prefix ?? new Uint8Array(0),
    mode: entry.type === "symlink" ? 0o777 : entry.mode & 0o777,
    size: entry.size > OCTAL_MAX ? 0 : entry.size,
    mtime,
    type: TYPE_FLAGS[entry.type],
    link: link.length > 100 ? cut(entry.link as string) : link,
  });
  return records.length === 0 ? block : Buffer.concat([paxHeader(records, mtime), block]);
}

function paxHeader(records: Uint8Array[], mtime: number): Uint8Array {
  const body = Buffer.concat(records);
  const header = formatHeader({
    name: encoder.encode("././@PaxHeader"),
    prefix: new Uint8Array(0),
    mode: 0o644,
    size: body.length,
    mtime,
    type: "x",
    link: new Uint8Array(0),
  });
  return Buffer.concat([header, body, new Uint8Array(padding(body.length))]);
}

/** The two name fields of ustar: at most 100 bytes, or 155 and 100 around a slash; `undefined` when neither fits. */
function splitName(path: Uint8Array): { name: Uint8Array; prefix: Uint8Array } | undefined {
  if (path.length <= 100) return { name: path, prefix: path.subarray(0, 0) };
  // The last byte may be the slash of a directory and cannot be where the name is split.
  const slash = path.subarray(0, Math.min(156, path.length - 1)).lastIndexOf(0x2f);
  if (slash <= 0 || path.length - slash - 1 > 100) return undefined;
  return { name: path.subarray(slash + 1), prefix: path.subarray(0, slash) };
}

/** The first 100 bytes, whole characters only: what readers without pax see. */
function cut(text: string): Uint8Array {
  const bytes = new Uint8Array(100);
  return bytes.subarray(0, encoder.encodeInto(text, bytes).written);
}
