/**
 * A tar stream onto the disk (format.md section 6): directories and files as they come, then hard links, then symbolic links,
 * so that nothing is ever written through a link. Links that are in the destination already are refused, not followed.
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

import { EnvironmentError, ioError, isSystemError } from "../base/mod.ts";
import { parentOf, type TreeEntry } from "./entry.ts";
import { readTar, type ReadTarOptions, type TarMember } from "./reader.ts";

export interface ExtractOptions extends ReadTarOptions {
  /** Replace files and links that are there. Without it they are `EnvironmentError("FILE_EXISTS")`. */
  force?: boolean;
  /** Called with the number of bytes written. */
  advance?: (bytes: number) => void;
}

export interface Extracted {
  /** Files and links made. */
  files: number;
  /** Bytes of content. */
  bytes: number;
}

/**
 * Extracts into `dir`, which is made if it is missing. Modes (directories `| 0700`) and modification times are restored.
 * Throws what `readTar` throws, and `EnvironmentError`: `PATH_LINK` when a symbolic link or a file of the destination stands where a
 * directory must be, `FILE_EXISTS`, or what the disk says. What was extracted before an error stays.
 */
export async function extractTar(
  stream: AsyncIterable<Uint8Array>,
  dir: string,
  options: ExtractOptions = {},
): Promise<Extracted> {
  const target = new Target(dir, options);
  for await (const member of readTar(stream, options)) await target.place(member);
  target.finish();
  return { files: target.files, bytes: target.bytes };
}

/** Members between two runs of the collector. */
const TIDY = 2000;

class Target {
  files = 0;
  bytes = 0;
  #members = 0;
  readonly #made = new Set<string>([""]);
  readonly #hardLinks: TreeEntry[] = [];
  readonly #symlinks: TreeEntry[] = [];
  readonly #directories: TreeEntry[] = [];

  constructor(
    private readonly root: string,
    private readonly options: ExtractOptions,
  ) {
    attempt(root, () => mkdirSync(root, { recursive: true }));
  }

  async place({ entry, body }: TarMember): Promise<void> {
    // Pieces of content are large, but few objects: the collector would let them pile up.
    if (++this.#members % TIDY === 0) Bun.gc(true);
    if (entry.type === "directory") {
      this.#makeDirectory(entry.path);
      this.#directories.push(entry);
      return;
    }
    this.#makeDirectory(parentOf(entry.path));
    if (entry.type === "file") await this.#writeFile(entry, body);
    else (entry.type === "hardlink" ? this.#hardLinks : this.#symlinks).push(entry);
  }

  finish(): void {
    for (const entry of this.#hardLinks) {
      const path = this.#path(entry);
      this.#make(path, () => linkSync(join(this.root, entry.link as string), path));
    }
    for (const entry of this.#symlinks) {
      const path = this.#path(entry);
      this.#make(path, () => symlinkSync(entry.link as string, path));
      attempt(path, () => lutimesSync(path, entry.mtime ?? 0, entry.mtime ?? 0));
    }
    // Last and innermost first: making something in a directory changes its time.
    for (const entry of this.#directories.reverse()) {
      const path = this.#path(entry);
      attempt(path, () => chmodSync(path, entry.mode | 0o700));
      attempt(path, () => utimesSync(path, entry.mtime ?? 0, entry.mtime ?? 0));
    }
  }

  #path(entry: TreeEntry): string {
    return join(this.root, entry.path);
  }

  /** Every part is made, or is a real directory already. */
  #makeDirectory(path: string): void {
    if (this.#made.has(path)) return;
    this.#makeDirectory(parentOf(path));
    const full = join(this.root, path);
    try {
      mkdirSync(full, { mode: 0o755 });
    } catch (error) {
      if (!isSystemError(error) || error.code !== "EEXIST") throw ioError(error, full);
      if (!lstatSync(full).isDirectory()) throw notDirectory(full);
    }
    this.#made.add(path);
  }

  async #writeFile(entry: TreeEntry, body: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#path(entry);
    // O_EXCL does not follow a link that stands there.
    const file = this.#make(path, () => openSync(path, "wx", 0o600));
    try {
      for await (const piece of body) {
        attempt(path, () => writeAll(file, piece));
        this.bytes += piece.length;
        this.options.advance?.(piece.length);
      }
      attempt(path, () => {
        fchmodSync(file, entry.mode);
        futimesSync(file, entry.mtime ?? 0, entry.mtime ?? 0);
      });
    } finally {
      closeSync(file);
    }
  }

  /** Makes a file or link; with `force`, in place of one that is there. */
  #make<T>(path: string, create: () => T): T {
    this.files++;
    try {
      return create();
    } catch (error) {
      const exists = isSystemError(error) && error.code === "EEXIST";
      if (!exists || this.options.force !== true) throw ioError(error, path);
    }
    return attempt(path, () => {
      unlinkSync(path);
      return create();
    });
  }
}

function writeAll(file: number, piece: Uint8Array): void {
  for (let at = 0; at < piece.length;) at += writeSync(file, piece, at, piece.length - at);
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ioError(error, path);
  }
}

function notDirectory(path: string): EnvironmentError {
  return new EnvironmentError(
    "PATH_LINK",
    `${path}: a link or file stands where a folder must be`,
    {
      hint: "Extract into an empty folder.",
      details: { path },
    },
  );
}
