/**
 * An interpreter from a file or an address instead of from the machine, in the layout of python-build-standalone (`python/…`, or
 * `python/install/…` in its full archives). The archive is unpacked once, under the SHA-256 of its bytes.
 */
import { createReadStream, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import {
  CheckError,
  type Context,
  EnvironmentError,
  FormatError,
  httpDownload,
  redacted,
} from "../../base/mod.ts";
import { type Compression, decompressStream, extractTar, sha256File } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import { indexAccess } from "../index/index-access.ts";
import { type PythonContext, settingsOf } from "../index/index-settings.ts";
import { isRemote, type PythonArchive } from "../project/python-table.ts";

const KINDS: [RegExp, Compression][] = [
  [/\.(?:tar\.gz|tgz)$/, "gzip"],
  [/\.(?:tar\.zst|tzst)$/, "zstd"],
  [/\.(?:tar\.xz|txz)$/, "xz"],
  [/\.(?:tar\.bz2|tbz2)$/, "bzip2"],
];
/** A full archive with debug information stays well below these. */
const MAX_TREE = 8 * 2 ** 30;
const MAX_ARCHIVE = 2 * 2 ** 30;

export interface ArchiveTree {
  prefix: string;
  /** SHA-256 of the archive. */
  digest: string;
  /** The archive, for messages. */
  origin: string;
}

/** Whether `--python` names an archive and not a program or a version. */
export function isArchiveName(text: string): boolean {
  return isRemote(text) || kindOf(text) !== undefined;
}

/**
 * The unpacked archive.
 * @param base folder that a relative path starts from
 * @throws FormatError `PYTHON_ARCHIVE`; CheckError `PYTHON_DIGEST`; NetworkError; EnvironmentError
 */
export async function unpackArchive(
  ctx: PythonContext,
  { location, sha256 }: PythonArchive,
  base: string,
): Promise<ArchiveTree> {
  const origin = isRemote(location) ? redacted(location) : resolve(base, location);
  const kind = kindOf(location);
  if (kind === undefined) throw bad(origin, "is no tar archive by its name");
  if (isRemote(location)) {
    if (sha256 === undefined) throw noDigest(origin);
    const place = placeOf(ctx, sha256);
    await cachedFolder(place, async (folder) => {
      const path = join(folder, "archive");
      await httpDownload(ctx, location, {
        path,
        sha256,
        maxBytes: MAX_ARCHIVE,
        purpose: `Fetching ${origin}`,
        label: basename(origin),
        access: indexAccess(settingsOf(ctx)),
      });
      await unpack(ctx, path, folder, { kind, origin });
      rmSync(path);
    });
    return { prefix: prefixOf(place, origin), digest: sha256, origin };
  }
  if (!statSync(origin, { throwIfNoEntry: false })?.isFile()) throw missing(origin);
  const digest = await sha256File(origin);
  if (sha256 !== undefined && sha256 !== digest) throw wrongDigest(origin, sha256, digest);
  const place = placeOf(ctx, digest);
  await cachedFolder(place, (folder) => unpack(ctx, origin, folder, { kind, origin }));
  return { prefix: prefixOf(place, origin), digest, origin };
}

function kindOf(location: string): Compression | undefined {
  const path = isRemote(location) ? new URL(location).pathname : location;
  return KINDS.find(([pattern]) => pattern.test(path))?.[1];
}

function placeOf(ctx: Context, digest: string): string {
  return join(ctx.cacheDir, "python", "archives", digest);
}

async function unpack(
  ctx: Context,
  path: string,
  folder: string,
  { kind, origin }: { kind: Compression; origin: string },
): Promise<void> {
  ctx.progress.step(`Unpacking ${origin}`);
  const tree = join(folder, "tree");
  mkdirSync(tree);
  const bytes = createReadStream(path) as unknown as AsyncIterable<Uint8Array>;
  await extractTar(decompressStream(kind, { maxOutput: MAX_TREE })(bytes), tree, {
    maxBytes: MAX_TREE,
  });
}

function prefixOf(place: string, origin: string): string {
  const found = ["tree/python/install", "tree/python"]
    .map((path) => join(place, path))
    .find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw bad(origin, "holds no folder python");
}

function wrongDigest(origin: string, expected: string, actual: string): CheckError {
  return new CheckError("PYTHON_DIGEST", `${origin}: the SHA-256 is not the one of the manifest`, {
    hint: "Do not use this file; find out who changed it.",
    details: { path: origin, expected, actual },
  });
}

function missing(origin: string): EnvironmentError {
  return new EnvironmentError("PYTHON_MISSING", `${origin} is no file`, {
    hint: "Name a version such as 3.12, the path of an interpreter, or an archive.",
    details: { path: origin },
  });
}

function noDigest(origin: string): FormatError {
  return new FormatError("PYTHON_ARCHIVE", `${origin}: an address needs its SHA-256`, {
    hint: "Write it behind the address: `--python URL#sha256=…`; in the manifest: `sha256` beside `archive`.",
    details: { path: origin },
  });
}

function bad(origin: string, what: string): FormatError {
  return new FormatError("PYTHON_ARCHIVE", `${origin}: ${what}`, {
    hint: "Use an archive of python-build-standalone (install_only, or full).",
    details: { path: origin },
  });
}
