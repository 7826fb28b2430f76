/**
 * Reading one wheel (PEP 427): which distribution it is, that RECORD and content agree both ways, and where each member goes.
 * Nothing is executed and nothing is installed: `unpackWheel` writes the members to a folder and returns a list of them.
 */
import { chmodSync, closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { FormatError, quoted } from "../../base/mod.ts";
import { parseEntryPoints, parseHeaders, parseRecord, type RecordRow } from "../pep/metadata.ts";
import { checkCommandName, normaliseName, parseObjectReference } from "../pep/names.ts";
import { parseWheelName, type WheelName } from "../pep/tags.ts";
import { SMALL_MEMBER, type ZipEntry, ZipFile } from "./zip.ts";

/** Where a member goes: site-packages, the prefix (`data`, `headers`), or `bin` as a script. */
export type Scheme = "site" | "data" | "headers" | "scripts";

export interface WheelFile {
  scheme: Scheme;
  /** Relative to the scheme's folder. */
  path: string;
  /** Member name, which is also its path below the unpacked folder. */
  member: string;
  size: number;
  sha256: string;
  executable: boolean;
}

export interface WheelInfo {
  name: string;
  version: string;
  /** Name of the `.dist-info` folder. */
  distInfo: string;
  requiresPython?: string;
  license?: string;
  /** Command name → object reference. */
  consoleScripts: Record<string, string>;
  guiScripts: Record<string, string>;
  files: WheelFile[];
}

const SIGNATURES = ["RECORD.jws", "RECORD.p7s"];
const MAX_TEXT = 16 << 20;

/** Checks the wheel at `path` and writes its members below `folder`, which must be empty. `WHEEL_…` and `ZIP_…` errors. */
export async function unpackWheel(path: string, folder: string): Promise<WheelInfo> {
  using zip = ZipFile.open(path);
  const wheel = readWheel(zip);
  checkNames(zip, "WHEEL_NAMES");
  const files: WheelFile[] = [];
  const folders = new Set<string>();
  for (const entry of zip.entries) {
    if (entry.directory) continue;
    const target = join(folder, entry.name);
    const parent = dirname(target);
    if (!folders.has(parent)) mkdirSync(parent, { recursive: true });
    folders.add(parent);
    const sha256 = await writeMember(zip, entry, target, wheel.record.get(entry.name), path);
    files.push({
      ...place(entry.name, path),
      member: entry.name,
      size: entry.size,
      sha256,
      executable: entry.executable,
    });
  }
  const { record: _, ...info } = wheel;
  return { ...info, files };
}

/** RECORD, which pins every member, and METADATA; two builds of the same tree differ in zip times, but not in these. */
export function pinningTexts(path: string): { record: Uint8Array; metadata: string } {
  using zip = ZipFile.open(path);
  const { distInfo } = readWheel(zip);
  return {
    record: member(zip, `${distInfo}/RECORD`),
    metadata: text(zip, `${distInfo}/METADATA`),
  };
}

interface Wheel extends Omit<WheelInfo, "files"> {
  record: Map<string, RecordRow>;
}

function readWheel(zip: ZipFile): Wheel {
  const file = basename(zip.path);
  const name = parseWheelName(file);
  const distInfo = findDistInfo(zip, name, file);
  checkWheelFile(text(zip, `${distInfo}/WHEEL`), file);
  const metadata = parseHeaders(text(zip, `${distInfo}/METADATA`));
  const title = metadata.get("name")?.[0] ?? "";
  const version = metadata.get("version")?.[0] ?? "";
  if (normaliseName(title) !== name.name || !sameVersion(version, name.version)) {
    throw bad(file, "WHEEL_METADATA", `METADATA is that of ${title} ${version}`);
  }
  const record = parseRecord(text(zip, `${distInfo}/RECORD`), file);
  checkRecordCovers(zip, record, distInfo, file);
  const groups = zip.entries.some((e) => e.name === `${distInfo}/entry_points.txt`)
    ? parseEntryPoints(text(zip, `${distInfo}/entry_points.txt`), file)
    : new Map<string, Map<string, string>>();
  const wheel: Wheel = {
    name: title,
    version,
    distInfo,
    consoleScripts: commands(groups.get("console_scripts"), file),
    guiScripts: commands(groups.get("gui_scripts"), file),
    record,
  };
  const requires = metadata.get("requires-python")?.[0];
  const license = metadata.get("license-expression")?.[0] ?? metadata.get("license")?.[0];
  if (requires !== undefined) wheel.requiresPython = requires;
  if (license !== undefined) wheel.license = license;
  return wheel;
}

function findDistInfo(zip: ZipFile, name: WheelName, file: string): string {
  const folders = new Set(
    zip.entries
      .map((e) => e.name.split("/")[0] ?? "")
      .filter((part) => part.endsWith(".dist-info")),
  );
  const [folder, ...others] = folders;
  if (folder === undefined || others.length > 0) {
    throw bad(file, "WHEEL_DIST_INFO", `it holds ${folders.size} .dist-info folders, not one`);
  }
  const [, title = "", version = ""] = /^(.+)-([^-]+)\.dist-info$/.exec(folder) ?? [];
  if (normaliseName(title) !== name.name || !sameVersion(version, name.version)) {
    throw bad(file, "WHEEL_DIST_INFO", `its .dist-info folder is ${folder}`);
  }
  return folder;
}

/** Equal but for the spelling that file names force (`-` and `_`, case, trailing local separators). */
function sameVersion(a: string, b: string): boolean {
  const plain = (v: string) => v.toLowerCase().replace(/[-_]/g, ".").replace(/^v/, "");
  return plain(a) === plain(b);
}

function checkWheelFile(content: string, file: string): void {
  const version = parseHeaders(content).get("wheel-version")?.[0] ?? "";
  if (!/^1\.\d+$/.test(version)) {
    throw bad(file, "WHEEL_VERSION", `its Wheel-Version is ${JSON.stringify(version)}, not 1.x`);
  }
}

/** RECORD must list every member but itself and its signatures, and nothing else. */
function checkRecordCovers(
  zip: ZipFile,
  record: Map<string, RecordRow>,
  distInfo: string,
  file: string,
): void {
  const free = new Set(["RECORD", ...SIGNATURES].map((n) => `${distInfo}/${n}`));
  const members = new Set<string>();
  for (const entry of zip.entries) {
    if (entry.directory) continue;
    members.add(entry.name);
    if (free.has(entry.name)) continue;
    const row = record.get(entry.name);
    if (row?.hash === undefined)
      throw bad(file, "WHEEL_RECORD", `RECORD has no hash for ${entry.name}`);
    if (row.size !== undefined && row.size !== entry.size) {
      throw bad(
        file,
        "WHEEL_RECORD",
        `RECORD says ${row.size} bytes for ${entry.name}, it has ${entry.size}`,
      );
    }
  }
  for (const path of record.keys()) {
    if (!members.has(path) && !free.has(path)) {
      throw bad(file, "WHEEL_RECORD", `RECORD lists ${path}, which is not there`);
    }
  }
}

/** Bytes of one part of a path on every usual file system. */
const MAX_NAME = 255;
/** Below what systems allow, with room for the folders of a cache and of a work environment. */
const MAX_PATH = 2048;

/** Names that fit a file system, on which no file is also a folder and none differ in case only; `code` is that of the error. */
export function checkNames(zip: ZipFile, code: string): void {
  const file = basename(zip.path);
  const kinds = new Map<string, { path: string; kind: "file" | "folder" }>();
  const note = (path: string, kind: "file" | "folder") => {
    const other = kinds.get(path.toLowerCase());
    if (other === undefined) kinds.set(path.toLowerCase(), { path, kind });
    else if (other.path !== path)
      throw bad(file, code, `${other.path} and ${path} differ only in case`);
    else if (other.kind !== kind) throw bad(file, code, `${path} is a file and a folder`);
  };
  for (const { name, directory } of zip.entries) {
    const parts = name.split("/");
    const isLong = parts.some((part) => Buffer.byteLength(part) > MAX_NAME);
    if (isLong || Buffer.byteLength(name) > MAX_PATH)
      throw bad(file, code, `the name ${quoted(name)} is too long`);
    for (let length = 1; length < parts.length; length++)
      note(parts.slice(0, length).join("/"), "folder");
    note(name, directory ? "folder" : "file");
  }
}

function commands(group: Map<string, string> | undefined, file: string): Record<string, string> {
  const where = `${file}: entry_points.txt`;
  for (const [name, reference] of group ?? []) {
    checkCommandName(name, where);
    parseObjectReference(reference, `${where}: ${name}`);
  }
  return Object.fromEntries(group ?? []);
}

/** Places of a work environment that belong to sealift, the launcher or the interpreter (runtime/start.ts). */
const RESERVED =
  /^(?:pyvenv\.cfg$|\.sealift(?:\/|$)|lib\/sealift\/|libexec\/|(?:bin|Scripts)\/pythonw?[\d.]*t?(?:\.exe)?$|.*\/_sealift\.pth$)/i;

function place(member: string, file: string): { scheme: Scheme; path: string } {
  const [folder = "", kind = "", ...rest] = member.split("/");
  // As installers see it: whatever the spelling of the name in front.
  if (!folder.endsWith(".data") || kind === "") return { scheme: "site", path: member };
  const path = rest.join("/");
  if (kind === "data" && RESERVED.test(path))
    throw bad(basename(file), "WHEEL_SCHEME", `${member} would stand in a reserved place`);
  if (path !== "") {
    if (kind === "purelib" || kind === "platlib") return { scheme: "site", path };
    if (kind === "scripts" || kind === "data" || kind === "headers") {
      if (kind === "scripts") checkCommandName(path, `${basename(file)}: ${kind}`);
      return { scheme: kind, path };
    }
  }
  throw bad(basename(file), "WHEEL_SCHEME", `${member} is in no known installation scheme`);
}

/** Writes one member and compares its hash; gives its SHA-256. */
async function writeMember(
  zip: ZipFile,
  entry: ZipEntry,
  target: string,
  row: RecordRow | undefined,
  path: string,
): Promise<string> {
  const algorithm = row?.hash?.algorithm ?? "sha256";
  const strong = new Bun.CryptoHasher(algorithm);
  const plain = algorithm === "sha256" ? strong : new Bun.CryptoHasher("sha256");
  const take = (piece: Uint8Array) => {
    strong.update(piece);
    if (plain !== strong) plain.update(piece);
  };
  if (entry.size <= SMALL_MEMBER) {
    const content = zip.bytes(entry);
    take(content);
    writeFileSync(target, content, { flag: "wx", mode: 0o644 });
  } else {
    const out = openSync(target, "wx", 0o644);
    try {
      for await (const piece of zip.stream(entry)) {
        take(piece);
        for (let done = 0; done < piece.length;) done += writeSync(out, piece, done);
      }
    } finally {
      closeSync(out);
    }
  }
  if (entry.executable) chmodSync(target, 0o755);
  const digest = strong.digest("hex");
  if (row?.hash !== undefined && row.hash.hex !== digest) {
    throw bad(basename(path), "WHEEL_HASH", `${entry.name} does not match its hash in RECORD`);
  }
  return plain === strong ? digest : plain.digest("hex");
}

function text(zip: ZipFile, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(member(zip, name));
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw bad(basename(zip.path), "WHEEL_METADATA", `${name} is not UTF-8`);
  }
}

function member(zip: ZipFile, name: string): Uint8Array {
  const entry = zip.entries.find((e) => e.name === name && !e.directory);
  if (entry === undefined) throw bad(basename(zip.path), "WHEEL_METADATA", `${name} is missing`);
  if (entry.size > MAX_TEXT)
    throw bad(basename(zip.path), "WHEEL_METADATA", `${name} is too large`);
  return zip.bytes(entry);
}

function bad(file: string, code: string, what: string): FormatError {
  return new FormatError(code, `${file}: ${what}`, {
    hint: "The wheel is damaged or was built by a broken tool; fetch it again or ask its publisher.",
    details: { file },
  });
}
