/**
 * `--python ARCHIVE`: an interpreter from a file instead of from the machine, in the layout of python-build-standalone (`python/…`, or
 * `python/install/…` in its full archives). The archive is unpacked once, under the SHA-256 of its bytes; what follows is the same
 * as for an installed interpreter.
 */
import { createReadStream, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

import { type Context, FormatError } from "../../base/mod.ts";
import { type Compression, decompressStream, extractTar, sha256File } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";

const KINDS: [RegExp, Compression][] = [
  [/\.(?:tar\.gz|tgz)$/, "gzip"],
  [/\.(?:tar\.zst|tzst)$/, "zstd"],
  [/\.(?:tar\.xz|txz)$/, "xz"],
  [/\.(?:tar\.bz2|tbz2)$/, "bzip2"],
];
/** A full archive with debug information stays well below this. */
const MAX_TREE = 8 * 2 ** 30;

/** Runs `body` with the wish for `findPython`: the program inside the archive, or `options.python` as it is. */
export async function withArchive<T>(
  ctx: Context,
  options: { python?: string | undefined },
  body: (python: string | undefined) => Promise<T>,
): Promise<T> {
  const wish = options.python;
  const kind = KINDS.find(([pattern]) => pattern.test(wish ?? ""))?.[1];
  if (wish === undefined || kind === undefined) return await body(wish);
  return await body(await programInArchive(ctx, resolve(wish), kind));
}

async function programInArchive(ctx: Context, path: string, kind: Compression): Promise<string> {
  const digest = await sha256File(path);
  const place = join(ctx.cacheDir, "python", "archives", digest);
  await cachedFolder(place, async (folder) => {
    ctx.progress.step(`Unpacking ${path}`);
    const tree = join(folder, "tree");
    mkdirSync(tree);
    const bytes = createReadStream(path) as unknown as AsyncIterable<Uint8Array>;
    await extractTar(decompressStream(kind, { maxOutput: MAX_TREE })(bytes), tree, {
      maxBytes: MAX_TREE,
    });
  });
  for (const prefix of ["tree/python/install", "tree/python"]) {
    const bin = join(place, prefix, "bin");
    const program = existsSync(bin)
      ? readdirSync(bin).find((name) => /^python3\.\d+$/.test(name))
      : undefined;
    if (program !== undefined && statSync(join(bin, program)).isFile()) return join(bin, program);
  }
  throw new FormatError("PYTHON_ARCHIVE", `${path}: holds no python/bin/python3.x`, {
    hint: "Use an archive of python-build-standalone (install_only, or full).",
    details: { path },
  });
}
