/**
 * For which system and machine a program or library is, whatever the system: ELF, Mach-O (also universal, `<mach-o/fat.h>`) and PE. Of
 * Mach-O also the libraries that it loads. Only headers are read; every offset and count is checked against the file.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

import { ioError } from "../../base/mod.ts";

export interface Binary {
  /** As `sys.platform` says. */
  platform: "linux" | "darwin" | "win32";
  /** `amd64`, `arm64`; several in a universal file, none that packages are for = empty. */
  machines: string[];
  /** Mach-O: names of the libraries that it loads, with `@executable_path` and the like as they stand. */
  loads: string[];
}

const ELF_MACHINES: Record<number, string> = { 62: "amd64", 183: "arm64" };
const MACHO_MACHINES: Record<number, string> = { 0x01000007: "amd64", 0x0100000c: "arm64" };
const PE_MACHINES: Record<number, string> = { 0x8664: "amd64", 0xaa64: "arm64" };

const MACHO_64 = 0xfeedfacf;
const FAT = 0xcafebabe;
/** LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_REEXPORT_DYLIB, LC_LAZY_LOAD_DYLIB, LC_LOAD_UPWARD_DYLIB. */
const LOADS = new Set([0xc, 0x80000018, 0x8000001f, 0x20, 0x80000023]);
const COMMANDS_MAX = 1 << 20;
const ARCHES_MAX = 32;

type Read = (offset: number, length: number) => Buffer | undefined;

/** `undefined` for a file of no such kind, or one that is cut off. */
export function readBinary(path: string): Binary | undefined {
  let file: number | undefined;
  try {
    const opened = (file = openSync(path, "r"));
    const size = fstatSync(opened).size;
    return parse((offset, length) => {
      if (offset < 0 || length < 0 || offset + length > size) return undefined;
      const bytes = Buffer.alloc(length);
      return readSync(opened, bytes, 0, length, offset) === length ? bytes : undefined;
    });
  } catch (error) {
    throw ioError(error, path);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The same from memory. */
export function parseBinary(bytes: Uint8Array): Binary | undefined {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return parse((offset, length) =>
    offset < 0 || length < 0 || offset + length > all.length
      ? undefined
      : all.subarray(offset, offset + length),
  );
}

function parse(read: Read): Binary | undefined {
  const magic = read(0, 4);
  if (magic === undefined) return undefined;
  if (magic.readUInt32BE() === 0x7f454c46) return elf(read);
  if (magic.readUInt32LE() === MACHO_64) return macho(read, 0);
  if (magic.readUInt32BE() === FAT) return universal(read);
  if (magic.toString("latin1", 0, 2) === "MZ") return pe(read);
  return undefined;
}

function elf(read: Read): Binary | undefined {
  const header = read(0, 20);
  if (header === undefined || header[5] !== 1) return undefined;
  const machine = ELF_MACHINES[header.readUInt16LE(18)];
  return { platform: "linux", machines: machine === undefined ? [] : [machine], loads: [] };
}

/** `mach_header_64`, then load commands: type, size, body. */
function macho(read: Read, at: number): Binary | undefined {
  const header = read(at, 32);
  if (header === undefined || header.readUInt32LE() !== MACHO_64) return undefined;
  const [count, size] = [header.readUInt32LE(16), header.readUInt32LE(20)];
  const commands = size > COMMANDS_MAX ? undefined : read(at + 32, size);
  if (commands === undefined) return undefined;
  const loads: string[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + 8 > size) return undefined;
    const [type, length] = [commands.readUInt32LE(offset), commands.readUInt32LE(offset + 4)];
    if (length < 8 || offset + length > size) return undefined;
    if (LOADS.has(type) && length >= 24) {
      const name = commands.subarray(offset + commands.readUInt32LE(offset + 8), offset + length);
      loads.push(name.toString("utf8").replace(/\0.*$/s, ""));
    }
    offset += length;
  }
  const machine = MACHO_MACHINES[header.readUInt32LE(4)];
  return { platform: "darwin", machines: machine === undefined ? [] : [machine], loads };
}

/** `fat_header` and one `fat_arch` for each machine, big-endian. Java's class files begin alike, but count far more. */
function universal(read: Read): Binary | undefined {
  const count = read(4, 4)?.readUInt32BE() ?? 0;
  if (count === 0 || count > ARCHES_MAX) return undefined;
  const parts: Binary[] = [];
  for (let i = 0; i < count; i++) {
    const offset = read(8 + i * 20, 20)?.readUInt32BE(8);
    const part = offset === undefined ? undefined : macho(read, offset);
    if (part !== undefined) parts.push(part);
  }
  if (parts.length === 0) return undefined;
  return {
    platform: "darwin",
    machines: [...new Set(parts.flatMap((part) => part.machines))].sort(),
    loads: [...new Set(parts.flatMap((part) => part.loads))],
  };
}

function pe(read: Read): Binary | undefined {
  const at = read(0x3c, 4)?.readUInt32LE();
  const header = at === undefined ? undefined : read(at, 6);
  if (header === undefined || header.readUInt32BE() !== 0x50450000) return undefined;
  const machine = PE_MACHINES[header.readUInt16LE(4)];
  return { platform: "win32", machines: machine === undefined ? [] : [machine], loads: [] };
}
