/** Archives of sources that are no source distributions: what a forge hands out for a tag, or any folder that somebody packed. */
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";

import { FormatError } from "../../base/mod.ts";
import { type Compression, decompressStream, extractTar } from "../../codec/mod.ts";
import { checkNames } from "../wheel/wheel.ts";
import { ZipFile } from "../wheel/zip.ts";

/** Of one unpacked archive. */
const MAX_SOURCES = 4 * 2 ** 30;

const KINDS: [RegExp, Compression][] = [
  [/\.(?:tar\.gz|tgz)$/, "gzip"],
  [/\.(?:tar\.bz2|tbz2)$/, "bzip2"],
  [/\.(?:tar\.xz|txz)$/, "xz"],
  [/\.tar\.zst$/, "zstd"],
];

/**
 * Unpacks into the empty `folder`; gives the folder of the sources, because most archives have one around everything.
 * `ARCHIVE_KIND`, `ARCHIVE_NAMES`, and what reading a zip or tar throws.
 */
export async function unpackSources(path: string, folder: string): Promise<string> {
  const kind = KINDS.find(([pattern]) => pattern.test(path))?.[1];
  if (kind !== undefined) {
    const bytes = createReadStream(path) as unknown as AsyncIterable<Uint8Array>;
    const tar = decompressStream(kind, { maxOutput: MAX_SOURCES })(bytes);
    await extractTar(tar, folder, { maxBytes: MAX_SOURCES });
  } else if (path.endsWith(".zip")) {
    unpackZip(path, folder);
  } else {
    throw new FormatError(
      "ARCHIVE_KIND",
      `${basename(path)} is no archive of sources that can be unpacked`,
      {
        hint: "Archives are .tar.gz, .tar.bz2, .tar.xz, .tar.zst and .zip.",
        details: { path },
      },
    );
  }
  const [only = "", ...others] = readdirSync(folder);
  const isWrapped = others.length === 0 && statSync(join(folder, only)).isDirectory();
  return isWrapped ? join(folder, only) : folder;
}

function unpackZip(path: string, folder: string): void {
  using zip = ZipFile.open(path, { total: MAX_SOURCES });
  checkNames(zip, "ARCHIVE_NAMES");
  for (const entry of zip.entries) {
    const target = join(folder, entry.name);
    mkdirSync(entry.directory ? target : dirname(target), { recursive: true });
    if (entry.directory) continue;
    writeFileSync(target, zip.bytes(entry));
    if (entry.executable) chmodSync(target, 0o755);
  }
}

/** A folder inside unpacked sources, and none that a link leads to outside of them. `SUBDIRECTORY`. */
export function folderBelow(
  folder: string,
  subdirectory: string | undefined,
  origin: string,
): string {
  const inside = resolve(folder, subdirectory ?? ".");
  if (statSync(inside, { throwIfNoEntry: false })?.isDirectory()) {
    const path = relative(realpathSync(folder), realpathSync(inside));
    if (path !== ".." && !path.startsWith(`..${sep}`)) return inside;
  }
  throw new FormatError("SUBDIRECTORY", `${origin}: holds no folder ${subdirectory}`, {
    hint: "Correct the subdirectory, and make the lock again.",
    details: { subdirectory },
  });
}
