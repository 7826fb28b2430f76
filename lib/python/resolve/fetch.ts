/**
 * The files of a lock into the cache, several at a time: `<cache>/wheels/<sha256>/<file>`. The digest is the address, so a file that is
 * there is the right one and is never asked for again; `--offline` works as long as the cache holds it.
 */
import { copyFileSync, existsSync, linkSync } from "node:fs";
import { join, resolve } from "node:path";

import { CheckError, type Context, httpDownload, ioError, redacted } from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import type { LockedFile } from "./pylock.ts";

/** A wheel beyond this size is not fetched; the largest on the public index are below 4 GiB. */
const MAX_WHEEL = 8 * 2 ** 30;
const CONNECTIONS = 8;

/** The cached path of every file, in order. `base` is the folder that relative paths of the lock start from. */
export async function fetchFiles(
  ctx: Context,
  files: LockedFile[],
  base: string,
): Promise<string[]> {
  const missing = files.filter((file) => !existsSync(placeOf(ctx, file))).length;
  if (missing > 0) ctx.progress.step(`Fetching ${missing} of ${files.length} packages`);
  const paths: string[] = new Array(files.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < files.length; i = next++) {
      const file = files[i];
      if (file !== undefined) paths[i] = await fetchFile(ctx, file, base);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONNECTIONS, files.length) }, worker));
  return paths;
}

function placeOf(ctx: Context, file: LockedFile): string {
  return join(ctx.cacheDir, "wheels", file.sha256);
}

async function fetchFile(ctx: Context, file: LockedFile, base: string): Promise<string> {
  const place = placeOf(ctx, file);
  const { location } = file;
  await cachedFolder(place, async (folder) => {
    const path = join(folder, file.file);
    if ("url" in location) {
      const { sha256, size } = file;
      // The size in a lock is a hint and not a promise, so it bounds but needs not be met.
      await httpDownload(ctx, location.url, {
        path,
        sha256,
        maxBytes: size ?? MAX_WHEEL,
        purpose: `Fetching ${file.file} (${redacted(location.url)})`,
        label: file.file,
      });
    } else {
      await copyChecked(resolve(base, location.path), path, file);
    }
  });
  return await named(place, file);
}

/** Two locks may know one content under two names; both names are kept. A link appears at once, a copy would not. */
async function named(place: string, file: LockedFile): Promise<string> {
  const path = join(place, file.file);
  if (existsSync(path)) return path;
  const [other = ""] = await Array.fromAsync(new Bun.Glob("*").scan({ cwd: place }));
  try {
    linkSync(join(place, other), path);
  } catch (error) {
    if (!existsSync(path)) throw ioError(error, path);
  }
  return path;
}

async function copyChecked(from: string, to: string, file: LockedFile): Promise<void> {
  try {
    copyFileSync(from, to);
  } catch (error) {
    throw ioError(error, from);
  }
  const actual = await sha256File(to);
  if (actual === file.sha256) return;
  throw new CheckError("WHEEL_DIGEST", `${from}: the SHA-256 differs from the lock's`, {
    hint: "Do not use this file; find out who changed it.",
    details: { path: from, expected: file.sha256, actual },
  });
}
