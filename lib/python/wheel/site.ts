/**
 * From wheels to the files of a package. Every wheel is unpacked once per machine (by content) and its bytecode compiled once per interpreter;
 * a tree is only a list that points there. INSTALLER and RECORD are written anew, so they do not depend on who built the wheel.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { type Context, FormatError } from "../../base/mod.ts";
import { compareNames, sha256Hex, type TreeEntry } from "../../codec/mod.ts";
import { cachedFolder, publishFolder, temporaryFolder } from "../cache.ts";
import type { NativeItem, Replacement } from "../native/native.ts";
import { csvCell } from "../pep/metadata.ts";
import { normaliseName } from "../pep/names.ts";
import type { Compiler } from "../runtime/runtime.ts";
import { bytesEntry, startScript, textEntry } from "../runtime/start.ts";
import type { Layout, Target } from "../runtime/target.ts";
import {
  type BytecodeKind,
  bytecodePath,
  compileBytecode,
  type CompileJob,
  kindName,
} from "./bytecode.ts";
import { builtKey, forgetFolders } from "./machine.ts";
import { pinningTexts, unpackWheel, type WheelFile, type WheelInfo } from "./wheel.ts";

/** Raised when unpacking or compiling the same wheel would give another result. */
const RECIPE = 2;

/** A file of a wheel; `source` is set when another file stands for it. */
export interface StagedFile extends WheelFile {
  source?: string;
}

export interface StagedWheel extends WheelInfo {
  files: StagedFile[];
  /** File name of the wheel. */
  file: string;
  /** Names the content: SHA-256 of the wheel, or of its RECORD when it was built here. */
  key: string;
  folder: string;
  /** Where its sources come from, when that is no index: `git+URL@COMMIT`, an address, or a folder relative to the project. */
  origin?: string;
}

/** Unpacks the wheel at `path`, unless the cache has it. Without `sha256` (built here) RECORD names the content. */
export async function stageWheel(
  ctx: Context,
  path: string,
  sha256?: string,
): Promise<StagedWheel> {
  const key = sha256 ?? builtKey(pinningTexts(path));
  const folder = join(ctx.cacheDir, "python", "unpacked", `${key}-${RECIPE}`);
  await cachedFolder(folder, async (work) => {
    mkdirSync(join(work, "files"));
    const unpacked = await unpackWheel(path, join(work, "files"));
    const info = sha256 === undefined ? forgetFolders(unpacked, join(work, "files")) : unpacked;
    writeFileSync(join(work, "wheel.json"), JSON.stringify(info));
  });
  const info = JSON.parse(readFileSync(join(folder, "wheel.json"), "utf8")) as WheelInfo;
  return { ...info, file: basename(path), key, folder };
}

export interface Bytecode {
  /** Wheel key → folder with the `.pyc` files, at their places below site-packages. */
  folders: Map<string, string>;
  /** Wheel key → files that are not valid for this interpreter. */
  skipped: Map<string, string[]>;
}

/** Compiles what the cache does not have, all in one run of the packed interpreter or one like it; nothing without a `kind`. */
export async function compileWheels(
  ctx: Context,
  wheels: StagedWheel[],
  target: Pick<Target, "cacheTag">,
  compiler: Compiler | undefined,
  kind: BytecodeKind | undefined,
): Promise<Bytecode> {
  if (kind === undefined || compiler === undefined)
    return { folders: new Map(), skipped: new Map() };
  const interpreter = sha256Hex(new TextEncoder().encode(compiler.build)).slice(0, 16);
  const base = join(
    ctx.cacheDir,
    "python",
    "bytecode",
    `${target.cacheTag}-${interpreter}-${kindName(kind)}-${RECIPE}`,
  );
  const folders = new Map(wheels.map((wheel) => [wheel.key, join(base, wheel.key)]));
  const missing = wheels.filter((wheel) => !existsSync(join(base, wheel.key)));
  const work = missing.map((wheel) => ({ wheel, folder: temporaryFolder(join(base, wheel.key)) }));
  try {
    if (missing.length > 0)
      ctx.progress.step(
        `Compiling ${missing.length} ${missing.length === 1 ? "package" : "packages"}`,
      );
    const jobs = work.flatMap(({ wheel, folder }) =>
      compileJobs(wheel, folder, target.cacheTag, kind),
    );
    const failed = new Set(await compileBytecode(compiler.program, jobs, kind));
    for (const { wheel, folder } of work) {
      const lost = sources(wheel).filter((f) => failed.has(join(wheel.folder, "files", f.member)));
      writeFileSync(join(folder, "skipped.json"), JSON.stringify(lost.map((f) => f.path).sort()));
      publishFolder(folder, join(base, wheel.key));
    }
  } finally {
    for (const { folder } of work) rmSync(folder, { recursive: true, force: true });
  }
  const skipped = new Map(
    [...folders].map(([key, folder]) => [
      key,
      JSON.parse(readFileSync(join(folder, "skipped.json"), "utf8")) as string[],
    ]),
  );
  return { folders, skipped };
}

function sources(wheel: StagedWheel): WheelFile[] {
  return wheel.files.filter((f) => f.scheme === "site" && f.path.endsWith(".py"));
}

function compileJobs(
  wheel: StagedWheel,
  folder: string,
  cacheTag: string,
  { level }: BytecodeKind,
): CompileJob[] {
  return sources(wheel).map((f) => ({
    source: join(wheel.folder, "files", f.member),
    name: f.path,
    target: join(folder, "files", bytecodePath(f.path, cacheTag, level)),
  }));
}

/** The wheels with other files in the places of some; `replaced` goes by the file's source. */
export function withReplaced(
  wheels: StagedWheel[],
  replaced: Map<string, Replacement>,
): StagedWheel[] {
  if (replaced.size === 0) return wheels;
  return wheels.map((wheel) => ({
    ...wheel,
    files: wheel.files.map((file) => ({ ...file, ...replaced.get(sourceOf(file, wheel)) })),
  }));
}

function sourceOf(file: StagedFile, wheel: StagedWheel): string {
  return file.source ?? join(wheel.folder, "files", file.member);
}

/** Files of the wheels that may be programs or libraries, with their places: below `site` for the packages, below the prefix for the rest. */
export function nativeItems(
  wheels: StagedWheel[],
  kind: "site" | "prefix",
  site = "",
): NativeItem[] {
  return wheels.flatMap((wheel) =>
    wheel.files.flatMap((file) => {
      const isSite = file.scheme === "site";
      const isNative =
        /\.so(?:\.[\d.]+)?$/.test(file.path) || file.executable || file.scheme === "scripts";
      if (!isNative || isSite !== (kind === "site") || file.scheme === "headers") return [];
      const path = isSite
        ? `${site}${file.path}`
        : file.scheme === "scripts"
          ? `bin/${file.path}`
          : file.path;
      return [{ source: sourceOf(file, wheel), path }];
    }),
  );
}

/**
 * Entries of one site-packages folder, relative to it, with bytecode; `replaced` files stand for those of the wheel.
 * `SITE_COLLISION` when two wheels own one file.
 */
export function siteEntries(
  wheels: StagedWheel[],
  bytecode: Bytecode,
  cacheTag: string,
  level: BytecodeKind["level"],
): TreeEntry[] {
  const tree = new Tree();
  for (const wheel of wheels) {
    const skipped = new Set(bytecode.skipped.get(wheel.key));
    const compiled = bytecode.folders.get(wheel.key);
    const record: string[] = [];
    const paths = new Set(wheel.files.map((file) => file.path));
    for (const file of wheel.files) {
      if (file.scheme !== "site" || isRewritten(file.path, wheel)) continue;
      if (isCached(file.path, paths)) continue;
      tree.add(fileEntry(file, file.path, wheel), wheel, file.sha256);
      record.push(recordRow(file.path, file.sha256, file.size));
      if (!file.path.endsWith(".py") || skipped.has(file.path) || compiled === undefined) continue;
      const path = bytecodePath(file.path, cacheTag, level);
      const source = join(compiled, "files", path);
      tree.add(
        { path, type: "file", mode: 0o644, size: Bun.file(source).size, source },
        wheel,
        `pyc of ${file.sha256}`,
      );
    }
    for (const entry of distInfoEntries(wheel, record)) tree.add(entry, wheel, "");
  }
  return tree.entries;
}

/** What the wheels put beside site-packages: data below the prefix, headers, and scripts (see start.ts). */
export function prefixEntries(wheels: StagedWheel[], layout: Layout): TreeEntry[] {
  const tree = new Tree();
  for (const wheel of wheels) {
    for (const file of wheel.files) {
      if (file.scheme === "site") continue;
      if (file.scheme === "scripts") tree.add(scriptEntry(file, wheel, layout), wheel, file.sha256);
      else {
        const headers = `include/site/${layout.library.replace("lib/", "")}/${normaliseName(wheel.name)}`;
        const path = file.scheme === "data" ? dataPath(file, layout) : `${headers}/${file.path}`;
        tree.add(fileEntry(file, path, wheel), wheel, file.sha256);
      }
    }
    for (const [name, reference] of Object.entries({
      ...wheel.consoleScripts,
      ...wheel.guiScripts,
    })) {
      const script = startScript(name, reference);
      // One name, two packages: the first owner keeps it, and the project stands first.
      if (!tree.has(script.path)) tree.add(script, wheel, reference);
    }
  }
  return tree.entries;
}

/** File systems that fold names have one spelling of a folder. */
function dataPath({ path }: StagedFile, { windows, base, scripts }: Layout): string {
  if (!windows) return path;
  return path.replace(/^lib(?=\/)/i, base).replace(/^scripts(?=\/)/i, scripts);
}

/** A script that begins `#!python` is Python for the packed interpreter; anything else is a program as it is. */
function scriptEntry(file: StagedFile, wheel: StagedWheel, { scripts }: Layout): TreeEntry {
  const source = sourceOf(file, wheel);
  if (file.size < 1 << 20) {
    const bytes = readFileSync(source);
    const firstLine = bytes.subarray(0, Math.max(bytes.indexOf(10), 0)).toString("latin1");
    if (/^#!pythonw?\b/.test(firstLine)) {
      return bytesEntry(`libexec/${file.path}`, bytes.subarray(firstLine.length + 1));
    }
  }
  return { ...fileEntry(file, `${scripts}/${file.path}`, wheel), mode: 0o755 };
}

function fileEntry(file: StagedFile, path: string, wheel: StagedWheel): TreeEntry {
  const mode = file.executable ? 0o755 : 0o644;
  return { path, type: "file", mode, size: file.size, source: sourceOf(file, wheel) };
}

/** Bytecode that a wheel brings beside its source, as some do by accident: it is made anew, for the interpreter that goes in. */
function isCached(path: string, paths: Set<string>): boolean {
  const [, folder, name] = /^((?:.*\/)?)__pycache__\/([^/.]+)\.[^/]+\.pyc$/.exec(path) ?? [];
  return name !== undefined && paths.has(`${folder}${name}.py`);
}

/** Signatures of RECORD would no longer fit the new one. */
function isRewritten(path: string, wheel: StagedWheel): boolean {
  const [folder, name, ...rest] = path.split("/");
  const rewritten = ["RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER"];
  return folder === wheel.distInfo && rest.length === 0 && rewritten.includes(name ?? "");
}

/** INSTALLER, and RECORD of what lies in the same folder (PEP 376), sorted. */
function distInfoEntries(wheel: StagedWheel, record: string[]): TreeEntry[] {
  const installer = textEntry(`${wheel.distInfo}/INSTALLER`, "sealift\n");
  const digest = sha256Hex(new TextEncoder().encode("sealift\n"));
  const rows = [
    ...record,
    recordRow(installer.path, digest, installer.size),
    `${csvCell(`${wheel.distInfo}/RECORD`)},,`,
  ];
  return [
    installer,
    textEntry(`${wheel.distInfo}/RECORD`, `${rows.sort(compareNames).join("\n")}\n`),
  ];
}

function recordRow(path: string, sha256: string, size: number): string {
  return `${csvCell(path)},sha256=${Buffer.from(sha256, "hex").toString("base64url")},${size}`;
}

/** Files by path; one path may come twice only with equal content (shared `__init__.py` of old namespace packages). */
class Tree {
  readonly entries: TreeEntry[] = [];
  readonly #owners = new Map<string, { wheel: StagedWheel; content: string; path: string }>();

  has(path: string): boolean {
    return this.#owners.has(path.toLowerCase());
  }

  add(entry: TreeEntry, wheel: StagedWheel, content: string): void {
    // Folded, because the format refuses names that differ in case only.
    const folded = entry.path.toLowerCase();
    const owner = this.#owners.get(folded);
    if (owner === undefined) {
      this.#owners.set(folded, { wheel, content, path: entry.path });
      this.entries.push(entry);
      return;
    }
    if (owner.path === entry.path && content !== "" && owner.content === content) return;
    const same = owner.path === entry.path ? "" : ` (as ${owner.path})`;
    throw new FormatError(
      "SITE_COLLISION",
      `${owner.wheel.file} and ${wheel.file} both hold ${entry.path}${same}`,
      {
        hint: "Leave one of the two packages out, use versions that do not overlap, or exclude the file with build.exclude_from_deps.",
        details: { path: entry.path, wheels: [owner.wheel.file, wheel.file] },
      },
    );
  }
}
