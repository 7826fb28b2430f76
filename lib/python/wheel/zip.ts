/**
 * A strict reader of zip files (APPNOTE 6.3.9), for wheels. The central directory is the only truth; local headers must agree with it.
 * Stored and deflated members only. Refused: encryption, several disks, overlapping members (the classic bomb),
 * duplicate names, links, sizes that deflate cannot reach, bytes before the first member or between directory and end.
 * Every member's length and CRC-32 are checked when it is read; nothing is allocated before its size was compared with a limit.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { crc32, createInflateRaw, inflateRawSync } from "node:zlib";

import { checkArchivePath, FormatError, ioError } from "../../base/mod.ts";

export interface ZipEntry {
  /** Checked: relative, no `..`; a directory's has no trailing `/`. */
  name: string;
  directory: boolean;
  executable: boolean;
  /** Bytes of content. */
  size: number;
  /** Bytes in the file. */
  stored: number;
  crc: number;
  method: 0 | 8;
  /** Where its local header begins. */
  offset: number;
}

export interface ZipLimits {
  entries: number;
  /** Bytes of all contents together. */
  total: number;
}

const LIMITS: ZipLimits = { entries: 200_000, total: 16 * 2 ** 30 };
/** Members up to this size are handed out whole. */
export const SMALL_MEMBER = 32 << 20;
/** No deflate stream expands by more (zlib's own figure), so a larger claim is a lie. */
const MAX_RATIO = 1032;
const MAX_DIRECTORY = 256 << 20;
const END_SIZE = 22;
const PIECE = 1 << 20;

export class ZipFile {
  private constructor(
    readonly path: string,
    readonly size: number,
    private readonly file: number,
    /** In the order of the central directory. */
    readonly entries: ZipEntry[],
  ) {}

  /** Opens and checks the directory. `FormatError` with a `ZIP_…` code, `EnvironmentError` when it cannot be read. */
  static open(path: string, limits: Partial<ZipLimits> = {}): ZipFile {
    let file: number;
    try {
      file = openSync(path, "r");
    } catch (error) {
      throw ioError(error, path);
    }
    try {
      const size = fstatSync(file).size;
      const read = (offset: number, length: number) =>
        readExactly(file, path, offset, length, size);
      const entries = readDirectory(read, path, size, { ...LIMITS, ...limits });
      return new ZipFile(path, size, file, entries);
    } catch (error) {
      closeSync(file);
      throw ioError(error, path);
    }
  }

  close(): void {
    closeSync(this.file);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The content of a member of at most 32 MiB. `ZIP_SIZE`, `ZIP_CRC`, `ZIP_DATA`, `ZIP_LOCAL`. */
  bytes(entry: ZipEntry): Uint8Array {
    if (entry.size > SMALL_MEMBER)
      throw bad(this.path, "ZIP_SIZE", `${entry.name} is too large here`);
    const raw = readExactly(this.file, this.path, this.#dataOffset(entry), entry.stored, this.size);
    const content = entry.method === 0 ? raw : this.#inflate(entry, raw);
    this.#check(entry, content.length, crc32(content));
    return content;
  }

  /** The content of a member of any size, in pieces; the checks come with the last piece. */
  async *stream(entry: ZipEntry): AsyncGenerator<Uint8Array> {
    const pieces = entry.method === 0 ? this.#raw(entry) : this.#inflating(entry);
    let length = 0;
    let crc = 0;
    for await (const piece of pieces) {
      length += piece.length;
      if (length > entry.size) break;
      crc = crc32(piece, crc);
      yield piece;
    }
    this.#check(entry, length, crc);
  }

  #inflate(entry: ZipEntry, raw: Uint8Array): Uint8Array {
    try {
      return inflateRawSync(raw, { maxOutputLength: Math.max(entry.size, 1) });
    } catch (cause) {
      throw this.#damaged(entry, cause);
    }
  }

  async *#inflating(entry: ZipEntry): AsyncGenerator<Uint8Array> {
    const inflate = createInflateRaw({ chunkSize: PIECE });
    const fed = (async () => {
      for (const piece of this.#raw(entry)) {
        if (!inflate.write(piece)) await new Promise((done) => inflate.once("drain", done));
        if (inflate.destroyed) return;
      }
      inflate.end();
    })();
    try {
      for await (const piece of inflate) yield piece as Uint8Array;
      await fed;
    } catch (cause) {
      throw this.#damaged(entry, cause);
    } finally {
      inflate.destroy();
    }
  }

  *#raw(entry: ZipEntry): Generator<Uint8Array> {
    const start = this.#dataOffset(entry);
    for (let done = 0; done < entry.stored; done += PIECE) {
      const length = Math.min(PIECE, entry.stored - done);
      yield readExactly(this.file, this.path, start + done, length, this.size);
    }
  }

  /** Behind the local header, which must tell the same story as the directory. */
  #dataOffset(entry: ZipEntry): number {
    const head = view(readExactly(this.file, this.path, entry.offset, 30, this.size));
    const nameLength = head.getUint16(26, true);
    const name = readExactly(this.file, this.path, entry.offset + 30, nameLength, this.size);
    const same =
      head.getUint32(0, true) === 0x04034b50 &&
      head.getUint16(8, true) === entry.method &&
      memberName(this.path, name).replace(/\/+$/, "") === entry.name;
    if (!same) {
      throw bad(this.path, "ZIP_LOCAL", `the header of ${entry.name} contradicts the directory`);
    }
    const offset = entry.offset + 30 + nameLength + head.getUint16(28, true);
    if (offset + entry.stored > this.size)
      throw bad(this.path, "ZIP_RANGE", `${entry.name} leaves the file`);
    return offset;
  }

  #check(entry: ZipEntry, length: number, crc: number): void {
    if (length !== entry.size) {
      throw bad(
        this.path,
        "ZIP_SIZE",
        `${entry.name} does not have the ${entry.size} bytes it claims`,
      );
    }
    if (crc !== entry.crc)
      throw bad(this.path, "ZIP_CRC", `${entry.name} does not match its CRC-32`);
  }

  #damaged(entry: ZipEntry, cause: unknown): FormatError {
    if (cause instanceof FormatError) return cause;
    const bomb = (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    return bomb
      ? bad(this.path, "ZIP_SIZE", `${entry.name} does not have the ${entry.size} bytes it claims`)
      : bad(this.path, "ZIP_DATA", `${entry.name} cannot be decompressed`);
  }
}

type Read = (offset: number, length: number) => Uint8Array;

interface End {
  count: number;
  offset: number;
  size: number;
  /** Where the end records begin. */
  at: number;
}

function readDirectory(read: Read, path: string, size: number, limits: ZipLimits): ZipEntry[] {
  const end = readEnd(read, path, size);
  if (end.count > limits.entries) throw bad(path, "ZIP_LIMIT", `it has ${end.count} members`);
  if (end.size > MAX_DIRECTORY) throw bad(path, "ZIP_LIMIT", "its directory is too large");
  if (end.offset + end.size !== end.at) {
    throw bad(path, "ZIP_END", "the directory does not end where the end record begins");
  }
  if (end.count * 46 > end.size)
    throw bad(path, "ZIP_END", "the directory is too short for its members");
  const bytes = read(end.offset, end.size);
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < end.count; i++) {
    const { entry, next } = readEntry(bytes, at, path);
    entries.push(entry);
    at = next;
  }
  if (at !== bytes.length) throw bad(path, "ZIP_END", "the directory holds more than its members");
  checkEntries(entries, path, end.offset, limits);
  return entries;
}

/** Finds the end record (its comment must reach exactly to the end of the file) and the zip64 one when it is needed. */
function readEnd(read: Read, path: string, size: number): End {
  const length = Math.min(size, END_SIZE + 0xffff);
  const tail = read(size - length, length);
  const v = view(tail);
  for (let i = length - END_SIZE; i >= 0; i--) {
    if (v.getUint32(i, true) !== 0x06054b50 || v.getUint16(i + 20, true) !== length - i - END_SIZE)
      continue;
    const at = size - length + i;
    const end = {
      count: v.getUint16(i + 10, true),
      size: v.getUint32(i + 12, true),
      offset: v.getUint32(i + 16, true),
      at,
    };
    if (v.getUint32(i + 4, true) !== 0 || v.getUint16(i + 8, true) !== end.count) {
      throw bad(path, "ZIP_END", "it spans several disks");
    }
    const large = end.count === 0xffff || end.size === 0xffffffff || end.offset === 0xffffffff;
    return large ? readEnd64(read, path, at) : end;
  }
  throw bad(path, "ZIP_END", "it has no end record");
}

function readEnd64(read: Read, path: string, endAt: number): End {
  if (endAt < 76) throw bad(path, "ZIP_END", "it has no zip64 end record");
  const locator = view(read(endAt - 20, 20));
  const at = Number(locator.getBigUint64(8, true));
  if (locator.getUint32(0, true) !== 0x07064b50 || at !== endAt - 76) {
    throw bad(path, "ZIP_END", "its zip64 locator is wrong");
  }
  const record = view(read(at, 56));
  if (record.getUint32(0, true) !== 0x06064b50 || record.getBigUint64(4, true) !== 44n) {
    throw bad(path, "ZIP_END", "its zip64 end record is wrong");
  }
  return {
    count: safe(record.getBigUint64(32, true), path),
    size: safe(record.getBigUint64(40, true), path),
    offset: safe(record.getBigUint64(48, true), path),
    at,
  };
}

function readEntry(bytes: Uint8Array, at: number, path: string): { entry: ZipEntry; next: number } {
  if (at + 46 > bytes.length) throw bad(path, "ZIP_ENTRY", "the directory is cut off");
  const v = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  if (v.getUint32(0, true) !== 0x02014b50)
    throw bad(path, "ZIP_ENTRY", "a directory entry is damaged");
  const nameLength = v.getUint16(28, true);
  const extraLength = v.getUint16(30, true);
  const next = at + 46 + nameLength + extraLength + v.getUint16(32, true);
  if (next > bytes.length) throw bad(path, "ZIP_ENTRY", "the directory is cut off");

  const name = memberName(path, bytes.subarray(at + 46, at + 46 + nameLength));
  if ((v.getUint16(8, true) & 0x2041) !== 0) throw bad(path, "ZIP_ENTRY", `${name} is encrypted`);
  const method = v.getUint16(10, true);
  if (method !== 0 && method !== 8) {
    throw bad(path, "ZIP_METHOD", `${name} uses compression method ${method}`);
  }
  const unixMode = v.getUint16(4, true) >> 8 === 3 ? v.getUint32(38, true) >>> 16 : 0;
  const kind = unixMode & 0o170000;
  const directory = name.endsWith("/");
  if (kind !== 0 && kind !== (directory ? 0o040000 : 0o100000)) {
    throw bad(path, "ZIP_ENTRY", `${name} is neither a file nor a folder`);
  }
  const sizes = {
    size: v.getUint32(24, true),
    stored: v.getUint32(20, true),
    offset: v.getUint32(42, true),
  };
  const extra = bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
  widen(sizes, extra, path, name);
  const entry: ZipEntry = {
    name: checkArchivePath(name, { of: path }),
    directory,
    executable: !directory && (unixMode & 0o111) !== 0,
    crc: v.getUint32(16, true),
    method,
    ...sizes,
  };
  return { entry, next };
}

/** Replaces the fields that are all ones by those of the zip64 extra field, in its fixed order. */
function widen(
  sizes: { size: number; stored: number; offset: number },
  extra: Uint8Array,
  path: string,
  name: string,
): void {
  const wanted = (["size", "stored", "offset"] as const).filter((key) => sizes[key] === 0xffffffff);
  if (wanted.length === 0) return;
  const v = view(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const length = v.getUint16(at + 2, true);
    if (
      v.getUint16(at, true) === 1 &&
      length >= wanted.length * 8 &&
      at + 4 + length <= extra.length
    ) {
      wanted.forEach((key, i) => {
        sizes[key] = safe(v.getBigUint64(at + 4 + i * 8, true), path);
      });
      return;
    }
    at += 4 + length;
  }
  throw bad(path, "ZIP_ENTRY", `${name} lacks its zip64 sizes`);
}

function checkEntries(
  entries: ZipEntry[],
  path: string,
  directoryAt: number,
  limits: ZipLimits,
): void {
  const names = new Set<string>();
  let total = 0;
  for (const entry of entries) {
    if (names.has(entry.name)) throw bad(path, "ZIP_DUPLICATE", `${entry.name} is there twice`);
    names.add(entry.name);
    total += entry.size;
    const impossible =
      entry.method === 0 ? entry.size !== entry.stored : entry.size > entry.stored * MAX_RATIO;
    if (impossible || (entry.directory && entry.size > 0)) {
      throw bad(path, "ZIP_SIZE", `${entry.name} claims an impossible size`);
    }
  }
  if (total > limits.total) throw bad(path, "ZIP_LIMIT", `it would expand to ${total} bytes`);
  const byOffset = [...entries].sort((a, b) => a.offset - b.offset);
  let end = 0;
  for (const [i, entry] of byOffset.entries()) {
    if (i === 0 && entry.offset !== 0)
      throw bad(path, "ZIP_RANGE", "something precedes the first member");
    if (entry.offset < end) throw bad(path, "ZIP_OVERLAP", `${entry.name} overlaps another member`);
    end = entry.offset + 30 + Buffer.byteLength(entry.name) + entry.stored;
    if (end > directoryAt) throw bad(path, "ZIP_RANGE", `${entry.name} overlaps the directory`);
  }
}

function memberName(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw bad(path, "ZIP_ENTRY", "the name of a member is not UTF-8");
  }
}

function safe(value: bigint, path: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw bad(path, "ZIP_RANGE", "a size is beyond 2^53");
  return Number(value);
}

function readExactly(
  file: number,
  path: string,
  offset: number,
  length: number,
  size: number,
): Uint8Array {
  if (offset < 0 || offset + length > size) throw bad(path, "ZIP_RANGE", "it is cut off");
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const got = readSync(file, bytes, done, length - done, offset + done);
    if (got === 0) throw bad(path, "ZIP_RANGE", "it is cut off");
    done += got;
  }
  return bytes;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bad(path: string, code: string, what: string): FormatError {
  return new FormatError(code, `${path}: is not a sound zip file: ${what}`, {
    hint: "Fetch it again; if it stays so, ask its publisher.",
    details: { path },
  });
}
