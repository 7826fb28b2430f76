/**
 * The sources of a project: which files of its folder they are, a copy of them to build in (build backends and commands write
 * where they work), and one digest that names them.
 */
import { chmodSync, cpSync, existsSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { ioError } from "../../base/mod.ts";
import { compareNames, sha256File, sha256Hex } from "../../codec/mod.ts";

/** Never copied into the build: environments, caches, and outputs of earlier builds, which setuptools would take for sources. */
const LEFT_OUT = new Set([
  "__pycache__",
  ".venv",
  "venv",
  "env",
  "node_modules",
  ".tox",
  ".nox",
  ".mypy_cache",
  ".pytest_cache",
  ".ruff_cache",
  "build",
  "dist",
]);

/** Build backends may ask them for a version; two clones of one commit differ in them. */
const HISTORY = new Set([".git", ".hg", ".svn", ".bzr"]);

/** Copies the sources below `root` to `copy`, which does not exist; all of it can be written, also when the sources cannot. `EnvironmentError` when one cannot be read. */
export function copySources(root: string, copy: string): void {
  try {
    cpSync(root, copy, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (from) => from === root || isSource(from, root),
    });
    makeWritable(copy);
  } catch (error) {
    throw ioError(error, root);
  }
}

function makeWritable(path: string): void {
  const info = lstatSync(path);
  if (info.isSymbolicLink()) return;
  const isFolder = info.isDirectory();
  const needed = isFolder ? 0o700 : 0o600;
  if ((info.mode & needed) !== needed) chmodSync(path, (info.mode & 0o777) | needed);
  if (isFolder) for (const name of readdirSync(path)) makeWritable(join(path, name));
}

function isSource(path: string, root: string): boolean {
  const name = basename(path);
  const info = lstatSync(path);
  // A package made here before would else grow into the next one.
  if (!info.isDirectory())
    return (info.isFile() && !name.endsWith(".psp")) || info.isSymbolicLink();
  const isTop = resolve(path, "..") === root;
  const isLeftOut =
    LEFT_OUT.has(name) && (isTop || name === "__pycache__" || name === "node_modules");
  return !isLeftOut && !name.endsWith(".egg-info") && !existsSync(join(path, "pyvenv.cfg"));
}

/**
 * SHA-256 over the sources below `root`: one line `file <x or -> <sha256> <path>` or `link <target> <path>` for each, sorted.
 * The history of version control does not count.
 */
export async function sourceHash(root: string): Promise<string> {
  const lines: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const name of listNames(join(root, folder))) {
      const path = folder === "" ? name : `${folder}/${name}`;
      const full = join(root, path);
      if (HISTORY.has(name) || !isSource(full, root)) continue;
      const info = lstatSync(full);
      if (info.isDirectory()) await walk(path);
      else if (info.isSymbolicLink()) lines.push(`link ${readlinkSync(full)} ${path}\n`);
      else {
        const mode = (info.mode & 0o111) === 0 ? "-" : "x";
        lines.push(`file ${mode} ${await sha256File(full)} ${path}\n`);
      }
    }
  };
  await walk("");
  return sha256Hex(new TextEncoder().encode(lines.sort(compareNames).join("")));
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw ioError(error, folder);
  }
}
