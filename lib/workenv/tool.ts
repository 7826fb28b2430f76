/** What sealift itself keeps in the cache beside what the launchers keep: all of it can be made or fetched again. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

import { ioError } from "../base/mod.ts";
import { checkBase } from "./safety.ts";
import { measure, removeTree } from "./tree.ts";

/** Folders of the base that hold nothing but copies. */
const COPIES = ["launchers", "python", "stubs", "wheels"];
/** Holds one folder per running `pack`; what is older was left by one that was killed. */
const SCRATCH = "tmp";
const SCRATCH_AGE = 86_400_000;

export interface ToolFolder {
  path: string;
  /** Bytes on disk. */
  size: number;
  kind: "copies" | "scratch";
}

/** Removable folders below the base. Links and files in their place are left alone. */
export async function readToolFolders(base: string, now = Date.now()): Promise<ToolFolder[]> {
  if (!checkBase(base)) return [];
  const found: ToolFolder[] = [];
  for (const name of COPIES) {
    const path = join(base, name);
    if (await folderAge(path, now)) found.push({ path, kind: "copies", ...(await sizeOf(path)) });
  }
  if (!(await folderAge(join(base, SCRATCH), now))) return found;
  for (const name of (await readdir(join(base, SCRATCH))).sort()) {
    const path = join(base, SCRATCH, name);
    const age = await folderAge(path, now);
    if (age && age > SCRATCH_AGE) found.push({ path, kind: "scratch", ...(await sizeOf(path)) });
  }
  return found;
}

/** Milliseconds since a folder was changed, at least 1; undefined when it is no folder. */
async function folderAge(path: string, now: number): Promise<number | undefined> {
  try {
    const info = await lstat(path);
    return info.isDirectory() ? Math.max(1, now - info.mtimeMs) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw ioError(error, path);
  }
}

async function sizeOf(path: string): Promise<{ size: number }> {
  return { size: (await measure(path)).size };
}

/** Removes what `readToolFolders` found: scratch folders, with `all` the copies too, or one folder of copies alone. */
export async function cleanToolFolders(
  base: string,
  options: { all?: boolean; only?: "launchers"; dryRun?: boolean },
): Promise<ToolFolder[]> {
  const found = await readToolFolders(base);
  const chosen = found.filter(({ kind, path }) =>
    options.only === undefined
      ? options.all || kind === "scratch"
      : path === join(base, options.only),
  );
  if (!options.dryRun) for (const { path } of chosen) await removeTree(path);
  return chosen;
}
