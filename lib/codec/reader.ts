/**
 * The strict tar reader (format.md section 6): ustar, GNU long names, pax. It refuses what other readers repair, skip or
 * guess, so an archive has one meaning. Works on any cut of the stream with the memory of one header.
 */
import { quoted } from "../base/mod.ts";
import { confinedPath, Ledger } from "./_ledger.ts";
import { ByteSource } from "./_source.ts";
import {
  badPax,
  BLOCK,
  padding,
  parseHeader,
  parsePax,
  type RawHeader,
  tarError,
  utf8,
} from "./_tar.ts";
import type { EntryType, TreeEntry } from "./entry.ts";

/** A pax header is at most this long (format.md section 10). */
const MAX_PAX = 1 << 20;
/** A GNU long name: 4,096 bytes and its NUL. */
const MAX_LONG_NAME = 4097;

export interface ReadTarOptions {
  /** Names allowed, implied parents included; default 1,000,000. */
  maxEntries?: number;
  /** Bytes of content of all files together; default: no limit of its own. */
  maxBytes?: number;
  /** Offsets into the stream where an entry must begin or the archive end: the ends of its chunks (section 5). */
  boundaries?: readonly number[];
}

export interface TarMember {
  entry: TreeEntry;
  /** Where the member begins in the stream, its extended headers included. */
  offset: number;
  /** Where its content begins. */
  content: number;
  /** The content, to be read before the next member; what is left unread is skipped. Views, valid until the next one. */
  body: AsyncIterable<Uint8Array>;
}

const TYPES: Record<string, EntryType> = {
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "5": "directory",
};

const REFUSED: Record<string, string> = {
  "3": "a character device",
  "4": "a block device",
  "6": "a fifo",
  "7": "a contiguous file",
  S: "a sparse file",
  M: "a part of a multi-volume archive",
  V: "a volume label",
  D: "a directory dump",
};

/**
 * The members of a tar stream in their order. Throws `FormatError` with the codes of `tarError`; the last step
 * of the iteration is what proves that the archive is whole.
 */
export async function* readTar(
  stream: AsyncIterable<Uint8Array>,
  options: ReadTarOptions = {},
): AsyncGenerator<TarMember, void, undefined> {
  const source = new ByteSource(stream);
  const ledger = new Ledger(options.maxEntries);
  const boundaries = new Boundaries(options.boundaries ?? []);
  let budget = options.maxBytes ?? Number.POSITIVE_INFINITY;
  const defaults: Defaults = {};
  try {
    for (;;) {
      boundaries.pass(source.position);
      const header = await readMember(source, defaults);
      if (header === undefined) break;
      const entry = toEntry(header);
      if (entry === undefined) continue;
      ledger.add(entry);
      budget -= entry.size;
      if (budget < 0) throw tarError("TAR_SIZE", "The archive holds more bytes than it may");
      const body = new Body(source, entry);
      yield { entry, offset: header.offset, content: source.position, body };
      await body.skip();
    }
    await readEnd(source);
    boundaries.pass(source.position);
    ledger.finish();
  } finally {
    await source.close();
  }
}

interface Member extends RawHeader {
  /** Where the member begins, extended headers included. */
  offset: number;
}

/** What global pax headers set for all members that follow. */
interface Defaults {
  mtime?: number;
}

/** Extended headers that wait for the member they describe. */
interface Pending {
  pax?: Map<string, string>;
  longName?: string;
  longLink?: string;
}

/** The next member with everything that its extended headers say; `undefined` at the first zero block. */
async function readMember(source: ByteSource, defaults: Defaults): Promise<Member | undefined> {
  const offset = source.position;
  const pending: Pending = {};
  for (;;) {
    const at = source.position;
    const block = await source.take(BLOCK);
    if (block.length < BLOCK) throw truncated(source.position);
    if (isZero(block)) {
      if (Object.keys(pending).length > 0) throw badPax(at);
      return undefined;
    }
    const header = parseHeader(block, at);
    if (header.type === "x" || header.type === "g") {
      const records = parsePax(await readExtension(source, header.size, MAX_PAX), at);
      refuseSparse(records);
      if (header.type === "g") applyGlobal(records, defaults, at);
      else if (pending.pax !== undefined) throw badPax(at);
      else pending.pax = records;
    } else if (header.type === "L" || header.type === "K") {
      await readLong(source, header, pending, at);
    } else {
      return merge({ ...header, offset }, pending, defaults);
    }
  }
}

async function readExtension(source: ByteSource, size: number, max: number): Promise<Uint8Array> {
  const at = source.position;
  if (size > max) {
    throw tarError("TAR_SIZE", `The extended header at offset ${at} has more than ${max} bytes`);
  }
  const stored = await source.take(size + padding(size));
  if (stored.length < size + padding(size)) throw truncated(source.position);
  return stored.subarray(0, size);
}

async function readLong(
  source: ByteSource,
  header: RawHeader,
  pending: Pending,
  at: number,
): Promise<void> {
  const field = header.type === "L" ? "longName" : "longLink";
  const body = await readExtension(source, header.size, MAX_LONG_NAME);
  const end = body.indexOf(0);
  const text = utf8(end < 0 ? body : body.subarray(0, end), `The long name at offset ${at}`);
  if (pending[field] !== undefined || text === "") {
    throw tarError("TAR_HEADER", `The long name at offset ${at} is empty or repeated`);
  }
  pending[field] = text;
}

function refuseSparse(records: Map<string, string>): void {
  for (const key of records.keys()) {
    if (key.startsWith("GNU.sparse.")) {
      throw tarError("TAR_TYPE", "The archive holds a sparse file, which is not supported");
    }
  }
}

/** A global header may set times for all; a name or size for all is nothing that a sane archive says. */
function applyGlobal(records: Map<string, string>, defaults: Defaults, at: number): void {
  if (records.has("path") || records.has("linkpath") || records.has("size")) throw badPax(at);
  const mtime = records.get("mtime");
  if (mtime !== undefined) defaults.mtime = paxTime(mtime, at);
}

function merge(header: Member, pending: Pending, defaults: Defaults): Member {
  const { pax = new Map<string, string>(), longName, longLink } = pending;
  const [name, link, size, mtime] = ["path", "linkpath", "size", "mtime"].map((key) =>
    pax.get(key),
  );
  // Two extensions that both name the member: readers differ in which one they believe.
  if (
    (name !== undefined && longName !== undefined) ||
    (link !== undefined && longLink !== undefined)
  ) {
    throw badPax(header.offset);
  }
  const charset = pax.get("hdrcharset");
  if (charset !== undefined && charset !== "ISO-IR 10646 2000 UTF-8") throw badPax(header.offset);
  return {
    ...header,
    name: name ?? longName ?? header.name,
    link: link ?? longLink ?? header.link,
    size: size === undefined ? header.size : paxSize(size, header.offset),
    mtime: mtime === undefined ? (defaults.mtime ?? header.mtime) : paxTime(mtime, header.offset),
  };
}

function paxSize(text: string, at: number): number {
  const size = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) {
    throw tarError("TAR_SIZE", `The pax header at offset ${at}: size is not a usable number`);
  }
  return size;
}

/** Seconds, possibly with a fraction, possibly before 1970; times before 1970 become 0. */
function paxTime(text: string, at: number): number {
  if (!/^-?[0-9]{1,15}(?:\.[0-9]*)?$/.test(text)) throw badPax(at);
  return Math.max(0, Number(text));
}

/** The entry of a member; `undefined` for the root directory itself, which archives name `.` or `./`. */
function toEntry(header: Member): TreeEntry | undefined {
  const type = TYPES[header.type];
  const where = `The archive's member ${quoted(header.name)}`;
  if (type === undefined) {
    const what = REFUSED[header.type] ?? `of the unknown type ${quoted(header.type)}`;
    throw tarError("TAR_TYPE", `${where} is ${what}, which is not supported`, {
      path: header.name,
    });
  }
  const slash = header.name.endsWith("/");
  // Archives from before POSIX mark directories by the slash only; anything else that ends in one has two meanings.
  const isDirectory = type === "directory" || (type === "file" && slash && header.size === 0);
  if (slash && !isDirectory) throw tarError("TAR_PATH", `${where} is no directory but ends in "/"`);
  if (type !== "file" && header.size !== 0) {
    throw tarError("TAR_SIZE", `${where} has content, which only files have`, {
      path: header.name,
    });
  }
  const path = confinedPath(header.name);
  if (path === "" && isDirectory) return undefined;
  if (path === "") throw tarError("TAR_PATH", `${where} is the root but no directory`);
  const entry: TreeEntry = {
    path,
    type: isDirectory ? "directory" : type,
    mode: header.mode & 0o777,
    size: header.size,
    mtime: header.mtime,
  };
  if (type === "symlink") entry.link = header.link;
  if (type === "hardlink") entry.link = confinedPath(header.link);
  return entry;
}

/** The content of one member. Iterating a second time continues where the first stopped. */
class Body implements AsyncIterable<Uint8Array> {
  #left: number;
  #padding: number;

  constructor(
    private readonly source: ByteSource,
    entry: TreeEntry,
  ) {
    this.#left = entry.size;
    this.#padding = padding(entry.size);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#left > 0) {
      const part = await this.source.some(this.#left);
      if (part === undefined) throw truncated(this.source.position);
      this.#left -= part.length;
      yield part;
    }
  }

  async skip(): Promise<void> {
    for await (const _ of this);
    const rest = await this.source.take(this.#padding);
    if (rest.length < this.#padding) throw truncated(this.source.position);
    this.#padding = 0;
  }
}

/** The second zero block, and only zeros after it: tar programs fill their last record with them. */
async function readEnd(source: ByteSource): Promise<void> {
  const second = await source.take(BLOCK);
  if (second.length < BLOCK) throw truncated(source.position);
  if (!isZero(second)) {
    throw tarError("TAR_TRAILING", "The archive goes on after a block that ends it");
  }
  for (;;) {
    const at = source.position;
    const rest = await source.some(1 << 16);
    if (rest === undefined) return;
    if (!isZero(rest)) {
      throw tarError("TAR_TRAILING", `Data follows the end of the archive at offset ${at}`);
    }
  }
}

/** Offsets that must fall between members. */
class Boundaries {
  #next = 0;

  constructor(private readonly offsets: readonly number[]) {}

  /** A member begins, or the stream ends, at `position`. */
  pass(position: number): void {
    while (this.#next < this.offsets.length && (this.offsets[this.#next] as number) <= position) {
      const offset = this.offsets[this.#next++] as number;
      if (offset < position) {
        throw tarError("TAR_CHUNK", `The chunk that ends at offset ${offset} cuts an entry`, {
          offset,
        });
      }
    }
  }
}

function truncated(position: number): Error {
  return tarError("TAR_TRUNCATED", `The archive is cut off at offset ${position}`, {
    offset: position,
  });
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
