/**
 * What the dynamic loader would read from an ELF file: class, machine, interpreter, needed libraries, search paths and the symbol
 * versions it asks for (System V ABI chapter 5; DT_VERNEED of the LSB). Only program headers are used, sections may be stripped.
 * Little-endian 32- and 64-bit files. Every offset and count is checked against the file; anything else is a `FormatError("ELF_…")`.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

import { FormatError, ioError } from "../../base/mod.ts";

export interface Elf {
  bits: 32 | 64;
  /** e_machine: 62 x86-64, 183 AArch64, 3 i386, 40 Arm, 243 RISC-V. */
  machine: number;
  kind: "executable" | "shared";
  interpreter?: string;
  soname?: string;
  needed: string[];
  /** DT_RPATH and DT_RUNPATH, split at `:`, not expanded; empty when absent. */
  rpath: string[];
  runpath: string[];
  /** Library → symbol versions asked of it, such as `libc.so.6` → `GLIBC_2.34`. */
  versions: Map<string, string[]>;
}

type Read = (offset: number, length: number) => Uint8Array;

interface Segment {
  type: number;
  offset: number;
  address: number;
  size: number;
}

const SEGMENTS_MAX = 1024;
const DYNAMIC_MAX = 1 << 20;
const STRINGS_MAX = 64 << 20;
const VERSIONS_MAX = 4096;
const NAME_MAX = 4096;

/** Whether a file begins like an ELF file; false for anything that is too short or not a file. */
export function isElf(path: string): boolean {
  const bytes = new Uint8Array(4);
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    readSync(file, bytes, 0, 4, 0);
  } catch (error) {
    throw ioError(error, path);
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return hasMagic(bytes);
}

/** Reads the file at `path`. `FormatError` with `ELF_…`, `EnvironmentError` when it cannot be opened. */
export function readElf(path: string): Elf {
  let file: number | undefined;
  try {
    const opened = (file = openSync(path, "r"));
    const size = fstatSync(opened).size;
    return parse(
      (offset, length) => {
        const bytes = new Uint8Array(length);
        const got = readSync(opened, bytes, 0, length, offset);
        if (got !== length) throw bad(path, "ELF_RANGE", "it is cut off");
        return bytes;
      },
      size,
      path,
    );
  } catch (error) {
    throw ioError(error, path);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The same from memory; `name` stands in the messages. */
export function parseElf(bytes: Uint8Array, name: string): Elf {
  return parse((offset, length) => bytes.subarray(offset, offset + length), bytes.length, name);
}

/** One ELF file while it is read: bounded access, class-dependent fields, addresses to offsets. */
class Image {
  readonly wide: boolean;
  segments: Segment[] = [];

  constructor(
    private readonly read: Read,
    private readonly size: number,
    readonly name: string,
    wide: boolean,
  ) {
    this.wide = wide;
  }

  view(offset: number, length: number): DataView {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > this.size) {
      throw bad(this.name, "ELF_RANGE", "an offset leaves the file");
    }
    const bytes = this.read(offset, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A field of the size of an address. */
  word(view: DataView, at: number): number {
    if (!this.wide) return view.getUint32(at, true);
    const value = view.getBigUint64(at, true);
    // Values beyond 2^53 are not wrong by themselves (flags, unused tags); as offsets they fail the range check.
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value);
  }

  /** Where `address` lies in the file. */
  offsetOf(address: number): number {
    const at = this.segments.find(
      (s) => s.type === 1 && address >= s.address && address < s.address + s.size,
    );
    if (at === undefined) throw bad(this.name, "ELF_ADDRESS", "an address is in no segment");
    return at.offset + (address - at.address);
  }
}

function parse(read: Read, size: number, name: string): Elf {
  if (size < 52 || !hasMagic(read(0, 4)))
    throw bad(name, "ELF_MAGIC", "it does not begin like one");
  const ident = read(0, 16);
  const bits = ident[4] === 1 ? 32 : ident[4] === 2 ? 64 : undefined;
  if (bits === undefined || ident[5] !== 1 || ident[6] !== 1) {
    throw bad(name, "ELF_CLASS", "its class, byte order or version is not supported");
  }
  const image = new Image(read, size, name, bits === 64);
  const head = image.view(0, bits === 64 ? 64 : 52);
  const type = head.getUint16(16, true);
  if (type !== 2 && type !== 3)
    throw bad(name, "ELF_TYPE", "it is neither a program nor a library");
  image.segments = readSegments(image, head);
  const interpreter = image.segments.find((s) => s.type === 3);
  const elf: Elf = {
    bits,
    machine: head.getUint16(18, true),
    kind: type === 2 || interpreter !== undefined ? "executable" : "shared",
    needed: [],
    rpath: [],
    runpath: [],
    versions: new Map(),
  };
  if (interpreter !== undefined) {
    const length = Math.min(interpreter.size, NAME_MAX);
    elf.interpreter = string(image, interpreter.offset, length);
  }
  const dynamic = image.segments.find((s) => s.type === 2);
  if (dynamic !== undefined) readDynamic(image, dynamic, elf);
  return elf;
}

function readSegments(image: Image, head: DataView): Segment[] {
  const at = image.word(head, image.wide ? 32 : 28);
  const entrySize = head.getUint16(image.wide ? 54 : 42, true);
  const count = head.getUint16(image.wide ? 56 : 44, true);
  if (count === 0) return [];
  if (entrySize !== (image.wide ? 56 : 32) || count > SEGMENTS_MAX) {
    throw bad(image.name, "ELF_SEGMENTS", "its program headers are malformed");
  }
  const table = image.view(at, entrySize * count);
  return Array.from({ length: count }, (_, i) => {
    const base = i * entrySize;
    return {
      type: table.getUint32(base, true),
      offset: image.word(table, base + (image.wide ? 8 : 4)),
      address: image.word(table, base + (image.wide ? 16 : 8)),
      size: image.word(table, base + (image.wide ? 32 : 16)),
    };
  });
}

const TAG = {
  needed: 1,
  strtab: 5,
  strsz: 10,
  soname: 14,
  rpath: 15,
  runpath: 29,
  verneed: 0x6ffffffe,
  verneednum: 0x6fffffff,
};

function readDynamic(image: Image, segment: Segment, elf: Elf): void {
  const entry = image.wide ? 16 : 8;
  if (segment.size > DYNAMIC_MAX)
    throw bad(image.name, "ELF_DYNAMIC", "its dynamic section is too large");
  const table = image.view(segment.offset, segment.size - (segment.size % entry));
  const tags: [number, number][] = [];
  for (let at = 0; at < table.byteLength; at += entry) {
    const tag = image.word(table, at);
    if (tag === 0) break;
    tags.push([tag, image.word(table, at + entry / 2)]);
  }
  const value = (tag: number) => tags.find(([t]) => t === tag)?.[1];
  const strtab = value(TAG.strtab);
  if (strtab === undefined) {
    if (tags.some(([t]) => t === TAG.needed))
      throw bad(image.name, "ELF_DYNAMIC", "it has no string table");
    return;
  }
  const start = image.offsetOf(strtab);
  const length = value(TAG.strsz) ?? 0;
  if (length > STRINGS_MAX) throw bad(image.name, "ELF_STRINGS", "its string table is too large");
  const text = (offset: number) => {
    if (offset >= length)
      throw bad(image.name, "ELF_STRINGS", "a name lies outside the string table");
    return string(image, start + offset, Math.min(length - offset, NAME_MAX));
  };
  for (const [tag, v] of tags) {
    if (tag === TAG.needed) elf.needed.push(text(v));
    else if (tag === TAG.soname) elf.soname = text(v);
    else if (tag === TAG.rpath) elf.rpath = splitPath(text(v));
    else if (tag === TAG.runpath) elf.runpath = splitPath(text(v));
  }
  const verneed = value(TAG.verneed);
  if (verneed !== undefined) readVersions(image, verneed, value(TAG.verneednum) ?? 0, text, elf);
}

/** The chains of Verneed and Vernaux records; a chain that does not move forward is refused. */
function readVersions(
  image: Image,
  address: number,
  count: number,
  text: (offset: number) => string,
  elf: Elf,
): void {
  if (count > VERSIONS_MAX) throw bad(image.name, "ELF_VERSIONS", "it asks for too many versions");
  let at = image.offsetOf(address);
  let budget = VERSIONS_MAX;
  for (let i = 0; i < count; i++) {
    const need = image.view(at, 16);
    const names: string[] = [];
    let aux = at + need.getUint32(8, true);
    for (let j = 0; j < need.getUint16(2, true); j++) {
      if (budget-- === 0) throw bad(image.name, "ELF_VERSIONS", "it asks for too many versions");
      const record = image.view(aux, 16);
      names.push(text(record.getUint32(8, true)));
      aux += record.getUint32(12, true);
    }
    const library = text(need.getUint32(4, true));
    elf.versions.set(library, [...(elf.versions.get(library) ?? []), ...names]);
    const next = need.getUint32(12, true);
    if (next === 0) break;
    at += next;
  }
}

function string(image: Image, offset: number, max: number): string {
  const view = image.view(offset, max);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const end = bytes.indexOf(0);
  if (end < 0) throw bad(image.name, "ELF_STRINGS", "a name does not end");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end));
  } catch {
    throw bad(image.name, "ELF_STRINGS", "a name is not UTF-8");
  }
}

function splitPath(text: string): string[] {
  return text.split(":").filter((part) => part !== "");
}

function hasMagic(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

function bad(name: string, code: string, what: string): FormatError {
  return new FormatError(code, `${name}: is not a sound ELF file: ${what}`, {
    hint: "It is damaged or not a program or library of this system.",
    details: { path: name },
  });
}
