/**
 * Folders that appear in the cache whole or not at all: filled under a temporary name next to their place, then renamed. Two packs
 * at once may both fill one; the first rename wins and the other's work is dropped, because equal names mean equal content.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";

import { beginUnfinished, endUnfinished, ioError } from "../base/mod.ts";

/** A new empty folder next to `place`, on the same file system. The caller publishes or removes it; a signal removes it too. */
export function temporaryFolder(place: string): string {
  const folder = `${place}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    mkdirSync(dirname(place), { recursive: true, mode: 0o700 });
    mkdirSync(folder, { mode: 0o700 });
    beginUnfinished(folder);
  } catch (error) {
    throw ioError(error, folder);
  }
  return folder;
}

/** Gives the finished `folder` its name. When another process was faster its folder stays and this one is removed. */
export function publishFolder(folder: string, place: string): void {
  try {
    renameSync(folder, place);
    endUnfinished(folder);
  } catch (error) {
    if (!existsSync(place)) throw ioError(error, place);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `place`, filled by `fill` unless it is there already. Whatever goes wrong, no half-filled folder remains. */
export async function cachedFolder(
  place: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  if (existsSync(place)) return place;
  const folder = temporaryFolder(place);
  try {
    await fill(folder);
    publishFolder(folder, place);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return place;
}
