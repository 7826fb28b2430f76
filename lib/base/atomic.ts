/**
 * Outputs that are there whole or not at all: a temporary name in the same folder, fsync, then rename.
 * A failed or killed command leaves the old file as it was. Temporary files of a command that is interrupted are removed
 * by `discardUnfinished`.
 */
import { randomBytes } from "node:crypto";
import { existsSync, lstatSync } from "node:fs";
import { type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { EnvironmentError } from "./errors.ts";
import { ioError } from "./io.ts";
import { beginUnfinished, endUnfinished } from "./scratch.ts";

export interface AtomicOptions {
  /** Exact mode of the finished file; default 0666 less the umask. */
  mode?: number;
  /** Replace an existing file. Without it an existing target is `EnvironmentError("FILE_EXISTS")`. */
  force?: boolean;
}

/** One output file while it is written. Call `commit` or `abort`; `await using` aborts what was not committed. */
export class AtomicFile {
  /** Where the next `write` goes; grows with it. */
  position = 0;
  #open = true;

  private constructor(
    /** The final path. */
    readonly path: string,
    /** The temporary file next to it. */
    readonly temporary: string,
    private readonly file: FileHandle,
    private readonly options: AtomicOptions,
  ) {}

  /** Opens the temporary file. Throws `EnvironmentError`: `FILE_EXISTS`, `IS_FOLDER`, `FILE_MISSING` (no such folder), … */
  static async create(path: string, options: AtomicOptions = {}): Promise<AtomicFile> {
    // A part of the name only: the temporary name must fit where the final name fits.
    const short = basename(path).slice(0, 40);
    const temporary = join(dirname(path), `.${short}.${randomBytes(6).toString("hex")}.tmp`);
    try {
      refuseExisting(path, options.force === true);
      const file = await open(temporary, "wx+", options.mode ?? 0o666);
      beginUnfinished(temporary);
      return new AtomicFile(path, temporary, file, options);
    } catch (error) {
      throw ioError(error, existsSync(dirname(path)) ? path : dirname(path));
    }
  }

  /** Appends at `position`. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.writeAt(bytes, this.position);
    this.position += bytes.length;
  }

  /** Writes at `offset` bytes from the start and leaves `position` alone. */
  async writeAt(bytes: Uint8Array, offset: number): Promise<void> {
    let done = 0;
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await this.file.write(
          bytes,
          done,
          bytes.length - done,
          offset + done,
        );
        done += bytesWritten;
      }
    } catch (error) {
      throw ioError(error, this.path);
    }
  }

  /** Reads back what was written: up to `length` bytes from `offset`, fewer at the end. */
  async readAt(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.file.read(bytes, done, length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  }

  /** Makes the file durable under its final name. On failure the temporary file is removed. */
  async commit(): Promise<void> {
    try {
      if (this.options.mode !== undefined) await this.file.chmod(this.options.mode);
      await this.file.sync();
      await this.#close();
      await publish(this.temporary, this.path, this.options.force === true);
      endUnfinished(this.temporary);
    } catch (error) {
      await this.abort();
      throw ioError(error, this.path);
    }
    await syncFolder(dirname(this.path));
  }

  /** Removes the temporary file. Harmless after `commit` and when called twice. */
  async abort(): Promise<void> {
    await this.#close();
    if (!endUnfinished(this.temporary)) return;
    await unlink(this.temporary).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.file.close();
  }
}

/** Writes a small file whole or not at all; options and errors as `AtomicFile.create`. */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string,
  options: AtomicOptions = {},
): Promise<void> {
  await using file = await AtomicFile.create(path, options);
  await file.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  await file.commit();
}

function refuseExisting(path: string, force: boolean): void {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (info === undefined) return;
  if (info.isDirectory()) {
    throw new EnvironmentError("IS_FOLDER", `${path}: is a folder`, { hint: "Name a file." });
  }
  if (!force) throw fileExists(path);
}

/** Gives the finished file its name; without `force` a file that appeared meanwhile is not replaced. */
async function publish(temporary: string, path: string, force: boolean): Promise<void> {
  if (force) return await rename(temporary, path);
  try {
    await link(temporary, path);
    await unlink(temporary);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw fileExists(path);
    // File systems without hard links (FAT, some network mounts).
    refuseExisting(path, false);
    await rename(temporary, path);
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  // The file itself is durable already, and some file systems refuse to sync a folder.
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function fileExists(path: string): EnvironmentError {
  return new EnvironmentError("FILE_EXISTS", `${path}: exists already`, {
    hint: "Use `--force` to replace it.",
    details: { path },
  });
}
