/**
 * Files and folders that exist only while a command works. They are removed when it is done, and by `discardUnfinished` when a
 * signal ends it. Only a killed process leaves them behind.
 */
import { chmodSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";

import { ioError } from "./io.ts";

const unfinished = new Set<string>();

/** Marks a path to be removed by `discardUnfinished`. */
export function beginUnfinished(path: string): void {
  unfinished.add(path);
}

/** Takes the mark off again. @returns whether there was one */
export function endUnfinished(path: string): boolean {
  return unfinished.delete(path);
}

/** Removes everything that is marked. Synchronous, for signal handlers. */
export function discardUnfinished(): void {
  for (const path of unfinished) removeFolder(path);
  unfinished.clear();
}

/** A new folder below `base`, which is made when it is missing; removed with all that is in it by `await using`. */
export async function scratchFolder(
  base: string,
  prefix: string,
): Promise<{ path: string } & AsyncDisposable> {
  let path: string;
  try {
    await mkdir(base, { recursive: true, mode: 0o700 });
    path = await mkdtemp(join(base, prefix));
  } catch (error) {
    throw ioError(error, base);
  }
  beginUnfinished(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      try {
        removeFolder(path);
      } catch {
        // Finished work does not fail because a scanner holds a scratch file open; `sealift clean` takes the folder later.
      }
      endUnfinished(path);
    },
  };
}

/** Also folders that a package made read-only. */
function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    makeWritable(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function makeWritable(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  chmodSync(path, 0o700);
  for (const name of readdirSync(path)) makeWritable(join(path, name));
}
