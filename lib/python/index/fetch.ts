/**
 * The files of a lock into the cache, several at a time: `<cache>/wheels/<sha256>/<file>`. The digest is the address, so a file that is
 * there is the right one and is never asked for again; `--offline` works as long as the cache or a folder of `find_links` holds it.
 */
import { copyFileSync, existsSync, linkSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { CheckError, httpDownload, ioError, redacted, requireNetwork } from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import type { LockedFile } from "../lock/locked.ts";
import { indexAccess } from "./index-access.ts";
import { type PythonContext, settingsOf } from "./index-settings.ts";
import { claimPart, removeOldParts } from "./partial.ts";

/** A wheel beyond this size is not fetched; the largest on the public index are below 4 GiB. */
const MAX_WHEEL = 8 * 2 ** 30;
const CONNECTIONS = 8;
/** Between two looks whether another process has brought a file. */
const WAIT_MS = 100;

/** The cached path of every file, in order. `base` is the folder that relative paths of the lock start from. */
export async function fetchFiles(
  ctx: PythonContext,
  files: LockedFile[],
  base: string,
): Promise<string[]> {
  const missing = files.filter((file) => !existsSync(placeOf(ctx, file))).length;
  if (missing > 0) {
    ctx.progress.step(`Fetching ${missing} of ${files.length} packages`);
    prepare(join(ctx.cacheDir, "wheels"));
  }
  const paths: string[] = new Array(files.length);
  const failures: unknown[] = [];
  const stop = new AbortController();
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < files.length && !stop.signal.aborted; i = next++) {
      const file = files[i];
      if (file !== undefined) paths[i] = await fetchFile(ctx, file, base, stop.signal);
    }
  };
  const workers = Array.from({ length: Math.min(CONNECTIONS, files.length) }, () =>
    worker().catch((error: unknown) => {
      failures.push(error);
      // What the others have so far is kept for the next run.
      stop.abort();
    }),
  );
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
  return paths;
}

function prepare(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    removeOldParts(folder);
  } catch (error) {
    throw ioError(error, folder);
  }
}

function placeOf(ctx: PythonContext, file: LockedFile): string {
  return join(ctx.cacheDir, "wheels", file.sha256);
}

/** Files on their way in this process: one that stands twice in a lock comes once. */
const underWay = new Map<string, Promise<void>>();

async function fetchFile(
  ctx: PythonContext,
  file: LockedFile,
  base: string,
  signal: AbortSignal,
): Promise<string> {
  const place = placeOf(ctx, file);
  while (!existsSync(place)) {
    // Another file failed, and its error is the one to tell.
    if (signal.aborted) return "";
    const first = underWay.get(place);
    const bringing = first ?? bring(ctx, file, base, place, signal);
    underWay.set(place, bringing);
    try {
      await bringing;
    } finally {
      if (first === undefined) underWay.delete(place);
    }
  }
  return await named(place, file);
}

const waitedFor = new Set<string>();

/** Fills `place`, or waits a moment when another process is about to. */
async function bring(
  ctx: PythonContext,
  file: LockedFile,
  base: string,
  place: string,
  signal: AbortSignal,
): Promise<void> {
  const { location, sha256, size } = file;
  const from = "path" in location ? resolve(base, location.path) : await linked(ctx, file);
  if (from !== undefined) {
    await cachedFolder(place, (folder) => copyChecked(from, join(folder, file.file), file));
    return;
  }
  if (!("url" in location)) return;
  const purpose = `Fetching ${file.file} (${redacted(location.url)})`;
  requireNetwork(ctx, purpose);
  using part = claimPart(dirname(place), sha256);
  if (part === undefined) {
    if (!waitedFor.has(place)) ctx.progress.step(`Waiting for another pack to fetch ${file.file}`);
    waitedFor.add(place);
    return await Bun.sleep(WAIT_MS);
  }
  // Between the look into the cache and the claim another process may have finished.
  if (existsSync(place)) return rmSync(part.path, { force: true });
  const settings = settingsOf(ctx);
  await httpDownload(ctx, location.url, {
    path: part.path,
    part: part.path,
    sha256,
    // The size in a lock is a hint and not a promise, so it bounds but needs not be met.
    maxBytes: Math.min(size ?? MAX_WHEEL, MAX_WHEEL),
    ...(size !== undefined && { size }),
    ...(settings.idleMs !== undefined && { idleMs: settings.idleMs }),
    purpose,
    label: file.file,
    signal,
    access: indexAccess(settings),
  });
  await cachedFolder(place, async (folder) => renameSync(part.path, join(folder, file.file)));
}

/** A file of that name and content in a folder of wheels. */
async function linked(ctx: PythonContext, file: LockedFile): Promise<string | undefined> {
  for (const folder of settingsOf(ctx).findLinks) {
    const path = join(folder, file.file);
    if (existsSync(path) && (await sha256File(path)) === file.sha256) return path;
  }
  return undefined;
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
