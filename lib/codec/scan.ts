/**
 * A folder on disk as the entries of a tree: normalised, so that the same content gives the same package whatever the
 * umask, owner, time or file system it lies on.
 */
import { lstatSync, readdirSync, readlinkSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";

import { EnvironmentError, FormatError, ioError, quoted } from "../base/mod.ts";
import { tarError } from "./_tar.ts";
import type { TreeEntry } from "./entry.ts";
import { arrangeTree } from "./writer.ts";

export interface ScanOptions {
  /** Globs of paths relative to the root: take only what matches, or lies below what matches. */
  include?: readonly string[];
  /** Globs: leave out what matches, and all below it. */
  exclude?: readonly string[];
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * All entries below `root`, arranged for `tarStream`. Modes become 0644 or 0755; symbolic links are kept, hard links become
 * files of their own. `FormatError`: `TAR_TYPE` for sockets, devices and fifos, `TAR_LINK` for links that leave the root,
 * `TAR_PATH` for names that are not UTF-8 or not portable, `TAR_DUPLICATE` for names that differ in case only.
 * `EnvironmentError` when something cannot be read.
 */
export async function scanTree(root: string, options: ScanOptions = {}): Promise<TreeEntry[]> {
  if (!attempt(root, () => statSync(root)).isDirectory()) {
    throw new EnvironmentError("NOT_FOLDER", `${root}: is not a folder`, {
      hint: "Name a folder.",
    });
  }
  const include = options.include?.map(glob);
  const exclude = (options.exclude ?? []).map(glob);
  const entries: TreeEntry[] = [];
  const pending: { path: string; taken: boolean }[] = [{ path: "", taken: include === undefined }];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const name of readNames(join(root, folder.path), folder.path)) {
      const path = folder.path === "" ? name : `${folder.path}/${name}`;
      if (exclude.some((pattern) => pattern.match(path))) continue;
      const taken = folder.taken || (include ?? []).some((pattern) => pattern.match(path));
      const source = join(root, path);
      const info = attempt(source, () => lstatSync(source));
      if (info.isDirectory()) pending.push({ path, taken });
      // A folder that is not taken itself comes back as the parent of what is.
      if (taken) entries.push(toEntry(path, source, info));
    }
  }
  return arrangeTree(entries);
}

function glob(pattern: string): Bun.Glob {
  return new Bun.Glob(pattern.replace(/^\.\//, "").replace(/\/+$/, ""));
}

function readNames(folder: string, path: string): string[] {
  const names = attempt(folder, () => readdirSync(folder, { encoding: "buffer" }));
  return names.map((name) => {
    try {
      return decoder.decode(name);
    } catch {
      const text = [path, name.toString("latin1")].filter(Boolean).join("/");
      throw refusal("TAR_PATH", text, "has a name that is not UTF-8", "Rename or exclude it.");
    }
  });
}

function toEntry(path: string, source: string, info: Stats): TreeEntry {
  if (info.isDirectory()) return { path, type: "directory", mode: 0o755, size: 0 };
  if (info.isFile()) {
    const mode = info.mode & 0o111 ? 0o755 : 0o644;
    return { path, type: "file", mode, size: info.size, source };
  }
  if (info.isSymbolicLink()) {
    const target = attempt(source, () => readlinkSync(source, { encoding: "buffer" }));
    return { path, type: "symlink", mode: 0o777, size: 0, link: linkText(path, target) };
  }
  const hint = "Only files, folders and symbolic links can be packed; exclude it.";
  throw refusal("TAR_TYPE", path, `is a ${kindOf(info)}`, hint);
}

function linkText(path: string, target: Buffer): string {
  try {
    return decoder.decode(target);
  } catch {
    throw refusal("TAR_LINK", path, "leads to a name that is not UTF-8", "Exclude it.");
  }
}

function kindOf(info: Stats): string {
  if (info.isSocket()) return "socket";
  if (info.isFIFO()) return "fifo";
  return info.isBlockDevice() ? "block device" : "character device";
}

function refusal(code: string, path: string, what: string, hint: string): FormatError {
  return tarError(code, `The file ${quoted(path)} ${what}`, { path }, hint);
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ioError(error, path);
  }
}
