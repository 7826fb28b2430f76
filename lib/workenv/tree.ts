/** Walking and deleting folders of the cache without ever following a symbolic link. */
import { chmod, lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { ioError } from "../base/mod.ts";

/** Bytes on disk and number of files; hard links count once. What cannot be read counts as nothing. */
export async function measure(folder: string): Promise<{ size: number; files: number }> {
  const seen = new Set<number>();
  let size = 0;
  let files = 0;
  const walk = async (path: string): Promise<void> => {
    for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) {
        await walk(child);
        continue;
      }
      const info = await lstat(child).catch(() => undefined);
      if (info === undefined) continue;
      files += 1;
      if (info.nlink > 1 && seen.has(info.ino)) continue;
      seen.add(info.ino);
      size += info.size;
    }
  };
  await walk(folder);
  return { size, files };
}

/** Deletes a folder and all below it, also what a program left without write permission. */
export async function removeTree(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM") throw ioError(error, folder);
    await unlockFolders(folder);
    await rm(folder, { recursive: true, force: true }).catch((again: unknown) => {
      throw ioError(again, folder);
    });
  }
}

async function unlockFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700).catch(() => undefined);
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await unlockFolders(join(folder, entry.name));
  }
}
