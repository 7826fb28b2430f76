/**
 * The `ready` marker of a work environment or shared slot (docs/reference/launcher.md, "Folders"), read strictly: the
 * marker decides what may be deleted and what counts as damaged. Paths are kept as the bytes they are, one character per
 * byte, because names in an archive need not be UTF-8.
 */
import { constants, type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

import { FormatError, ioError } from "../base/mod.ts";

export interface ReadyFile {
  kind: "d" | "f" | "l";
  size: number;
  /** Nanoseconds since 1970. */
  mtime: bigint;
  mode: number;
  /** Relative, `/` between parts, one character per byte. */
  path: string;
}

export interface Ready {
  /** SHA-256: of the signed JSON, or of the stored bytes of a shared slot. */
  identity: string;
  /** Undefined for a shared slot. */
  package?: { name: string; version: string };
  /** Packed operations and original size of a shared slot. */
  slot?: string;
  /** Programs that commands start; the path is absolute in the store. */
  entries: ReadyFile[];
  /** SHA-256 of the shared slots in use. */
  stores: string[];
  files: ReadyFile[];
}

export interface Marker {
  ready: Ready;
  /** Milliseconds since 1970. */
  created: number;
  /** Last read by a launcher, when the file system tells. */
  lastUse?: number;
}

const MAX_MARKER = 256 << 20;
const HEAD = "sealift-ready 1";

/**
 * The marker of a folder.
 * @returns undefined when there is none
 * @throws FormatError `READY` when it is not one that a launcher wrote whole
 */
export async function readMarker(folder: string): Promise<Marker | undefined> {
  const path = join(folder, ".sealift", "ready");
  const file = await openQuietly(path);
  if (file === undefined) return undefined;
  try {
    const info = await file.stat();
    if (!info.isFile() || info.size > MAX_MARKER) throw bad(path, "it is not a small regular file");
    const text = (await file.readFile()).toString("latin1");
    // A read moves atime at most once a day (relatime), and only past mtime; equal or older says nothing.
    const lastUse = info.atimeMs > info.mtimeMs ? { lastUse: info.atimeMs } : {};
    return { ready: parseReady(text, path), created: info.mtimeMs, ...lastUse };
  } catch (error) {
    throw ioError(error, path);
  } finally {
    await file.close();
  }
}

/** Opens without moving atime, which is how the last start is known. Links and pipes are not followed or waited for. */
async function openQuietly(path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const quiet = process.platform === "linux" ? constants.O_NOATIME : 0;
  for (const extra of [quiet, 0]) {
    try {
      return await open(path, flags | extra);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      if (code === "ELOOP") throw bad(path, "it is a symbolic link");
      if (code !== "EPERM" || extra === 0) throw ioError(error, path);
    }
  }
  return undefined;
}

/**
 * @param text the marker, one character per byte
 * @throws FormatError `READY`
 */
export function parseReady(text: string, path: string): Ready {
  const lines = text.split("\n");
  if (lines.shift() !== HEAD) throw bad(path, "it does not begin with the right line");
  if (lines.pop() !== "") throw bad(path, "it is truncated");
  const middle = lines.indexOf("files");
  if (middle < 0) throw bad(path, "it has no list of files");
  const ready = parseHead(lines.slice(0, middle), path);
  const end = lines.pop();
  ready.files = lines.slice(middle + 1).map((line) => parseFile(line, path));
  if (end !== `end ${ready.files.length}`)
    throw bad(path, "its last line is not the number of files");
  return ready;
}

function parseHead(lines: string[], path: string): Ready {
  const ready: Ready = { identity: "", entries: [], stores: [], files: [] };
  let packageLine: string | undefined;
  for (const line of lines) {
    const [word, value] = cut(line);
    if (word === "identity" && ready.identity === "") ready.identity = value;
    else if (word === "package" && packageLine === undefined) packageLine = value;
    else if (word === "slot" && ready.slot === undefined) ready.slot = value;
    else if (word === "store" && isDigest(value)) ready.stores.push(value);
    else if (word === "entry") ready.entries.push(parseStat("f", value, path));
    else throw bad(path, "it holds an unknown line");
  }
  if (!isDigest(ready.identity) || packageLine === undefined)
    throw bad(path, "it names no package");
  const [name, version] = cut(Buffer.from(packageLine, "latin1").toString("utf8"));
  if (packageLine !== "- -") ready.package = { name, version };
  return ready;
}

function parseFile(line: string, path: string): ReadyFile {
  const [kind, rest] = cut(line);
  if (kind !== "d" && kind !== "f" && kind !== "l") throw bad(path, "it holds an unknown line");
  const file = parseStat(kind, rest, path);
  const parts = file.path.split("/");
  if (
    parts.some((part) => part === "" || part === "." || part === "..") ||
    file.path.includes("\0")
  ) {
    throw bad(path, "it names a file outside of its folder");
  }
  return file;
}

function parseStat(kind: ReadyFile["kind"], text: string, path: string): ReadyFile {
  const match = /^(\d{1,16}) (-?\d{1,20}) ([0-7]{1,6}) (.+)$/s.exec(text);
  if (!match) throw bad(path, "it holds a line that is not a file");
  const [, size, mtime, mode, name] = match as unknown as [string, string, string, string, string];
  return {
    kind,
    size: Number(size),
    mtime: BigInt(mtime),
    mode: Number.parseInt(mode, 8),
    path: name.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", r: "\r" })[c] ?? c),
  };
}

function cut(line: string): [word: string, rest: string] {
  const at = line.indexOf(" ");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function bad(path: string, problem: string): FormatError {
  return new FormatError("READY", `${path}: ${problem}`, {
    hint: "The next start of the application makes the environment anew.",
    details: { path },
  });
}
