/**
 * A package file open for reading: positioned, bounded reads. Nothing is read that was not checked against the
 * length of the file first.
 */
import { type FileHandle, open } from "node:fs/promises";

import { EnvironmentError, ioError } from "../base/mod.ts";
import type { Range } from "./layout.ts";

const PIECE = 1 << 20;

export class PackageFile {
  private constructor(
    readonly path: string,
    readonly size: number,
    /** Permission bits. */
    readonly mode: number,
    private readonly handle: FileHandle,
  ) {}

  /** Throws `EnvironmentError` when `path` is missing, not readable or not a regular file. */
  static async open(path: string): Promise<PackageFile> {
    try {
      const handle = await open(path, "r");
      const info = await handle.stat();
      if (info.isFile()) return new PackageFile(path, info.size, info.mode & 0o777, handle);
      await handle.close();
    } catch (error) {
      throw ioError(error, path);
    }
    throw new EnvironmentError("NOT_FILE", `${path}: is not a regular file`, {
      hint: "Name a package file.",
      details: { path },
    });
  }

  /** Exactly the bytes of `range`, which must lie inside the file. */
  async read(range: Range): Promise<Uint8Array> {
    const bytes = new Uint8Array(range.end - range.start);
    await this.fill(bytes, range.start);
    return bytes;
  }

  /** The bytes of `range` in pieces of at most 1 MiB. Each piece is the consumer's to keep. */
  async *stream(range: Range): AsyncGenerator<Uint8Array> {
    for (let at = range.start; at < range.end; at += PIECE) {
      yield await this.read({ start: at, end: Math.min(at + PIECE, range.end) });
    }
  }

  /** Hands the bytes of `range` on through one buffer of 1 MiB, which `write` must be done with when it returns. */
  async copy(range: Range, write: (piece: Uint8Array) => Promise<void>): Promise<void> {
    const buffer = new Uint8Array(Math.min(PIECE, range.end - range.start));
    for (let at = range.start; at < range.end; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, range.end - at));
      await this.fill(piece, at);
      await write(piece);
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async fill(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await this.handle.read(
          bytes,
          done,
          bytes.length - done,
          offset + done,
        );
        if (bytesRead === 0) throw shortened(this.path);
        done += bytesRead;
      }
    } catch (error) {
      throw ioError(error, this.path);
    }
  }
}

function shortened(path: string): EnvironmentError {
  return new EnvironmentError("FILE_CHANGED", `${path}: became shorter while it was read`, {
    hint: "Something else writes to the file; try again.",
    details: { path },
  });
}
