/**
 * Whether a work environment is still what its launcher made: every file of the marker with its size, time and mode,
 * and the shared slots too. Files that the program added are counted, not judged.
 */
import { lstat } from "node:fs/promises";
import { join } from "node:path";

import type { Cache, SharedSlot, WorkEnvironment } from "./cache.ts";
import type { ReadyFile } from "./ready.ts";
import { measure } from "./tree.ts";

export interface Difference {
  /** Relative to the environment; absolute in the store. */
  path: string;
  problem: string;
}

export interface Verification {
  ok: boolean;
  /** Files that were compared. */
  checked: number;
  /** Files that the marker does not list. */
  added: number;
  differences: Difference[];
}

/** Compares an environment and the shared slots that it uses with their markers. */
export async function verifyEnvironment(cache: Cache, one: WorkEnvironment): Promise<Verification> {
  const result: Verification = { ok: true, checked: 0, added: 0, differences: [] };
  await verifyFolder(one, (path) => path, result);
  for (const sha256 of one.shared) {
    const slot = cache.shared.find((candidate) => candidate.sha256 === sha256);
    const path = join(cache.base, "store", sha256);
    if (slot) await verifyFolder(slot, (name) => join(path, name), result);
    else result.differences.push({ path, problem: "the shared slot is missing" });
  }
  result.ok = result.differences.length === 0;
  return result;
}

async function verifyFolder(
  folder: WorkEnvironment | SharedSlot,
  shown: (path: string) => string,
  result: Verification,
): Promise<void> {
  const files = folder.marker?.ready.files;
  if (files === undefined) {
    const problem = folder.problem ?? "it was never finished";
    result.differences.push({ path: folder.path, problem });
    return;
  }
  for (const file of files) {
    result.checked += 1;
    const problem = await differs(folder.path, file);
    if (problem) result.differences.push({ path: shown(readable(file.path)), problem });
  }
  result.added += await countAdded(folder.path, files);
}

/** Files that are there and not in the marker; what the launcher keeps in `.sealift` does not count. */
async function countAdded(root: string, files: ReadyFile[]): Promise<number> {
  const all = await measure(root);
  const own = await measure(join(root, ".sealift"));
  let listed = 0;
  for (const { kind, path } of files) {
    if (kind !== "d" && (await lstat(onDisk(root, path)).catch(() => undefined))) listed += 1;
  }
  return Math.max(0, all.files - own.files - listed);
}

/** How a file differs from its line in the marker; undefined when it does not. */
async function differs(root: string, file: ReadyFile): Promise<string | undefined> {
  const info = await lstat(onDisk(root, file.path), { bigint: true }).catch(() => undefined);
  if (info === undefined) return "is missing";
  const kind = info.isDirectory() ? "d" : info.isFile() ? "f" : info.isSymbolicLink() ? "l" : "";
  if (kind !== file.kind) return "is of another kind";
  if (kind === "l") return undefined;
  const mode = Number(info.mode) & 0o777;
  if (process.platform !== "win32" && mode !== file.mode) {
    return `has mode ${mode.toString(8)} instead of ${file.mode.toString(8)}`;
  }
  if (kind === "d") return undefined;
  if (info.size !== BigInt(file.size)) return `has ${info.size} bytes instead of ${file.size}`;
  return info.mtimeNs === file.mtime ? undefined : "was written to since";
}

/** The path of a marker's file, with the very bytes of its name where the system allows any. */
function onDisk(root: string, path: string): string | Buffer {
  if (process.platform === "win32") return join(root, readable(path));
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
}

/** A path of one character per byte as text. */
function readable(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}
