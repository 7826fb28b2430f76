/**
 * SHA-256, the only digest of the format. Native and streaming: a file is read in pieces of 1 MiB into one buffer.
 */
import { closeSync, fstatSync, openSync } from "node:fs";

import { EnvironmentError, ioError, type Progress, silentProgress } from "../base/mod.ts";
import { type ByteRange, hashRange } from "./_range.ts";

export type { ByteRange } from "./_range.ts";

export class Sha256 {
  readonly #hasher = new Bun.CryptoHasher("sha256");

  update(bytes: Uint8Array): this {
    this.#hasher.update(bytes);
    return this;
  }

  /** 32 bytes. The object cannot be used again. */
  digest(): Uint8Array {
    return new Uint8Array(this.#hasher.digest());
  }

  /** 64 lower-case hex digits. The object cannot be used again. */
  hex(): string {
    return this.#hasher.digest("hex");
  }
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Sha256().update(bytes).digest();
}

export function sha256Hex(bytes: Uint8Array): string {
  return new Sha256().update(bytes).hex();
}

export interface HashFileOptions {
  /** Default 0. */
  offset?: number;
  /** Default: up to the end of the file. */
  length?: number;
  /** Called with the number of bytes after each piece. */
  advance?: (bytes: number) => void;
  progress?: Progress;
}

/**
 * SHA-256 of a file or of a range of it, as hex. `EnvironmentError` when the file cannot be read or ends before the
 * range does (`FILE_SHORT`).
 */
export async function sha256File(path: string, options: HashFileOptions = {}): Promise<string> {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const offset = options.offset ?? 0;
    const length = options.length ?? fstatSync(file).size - offset;
    const task = (options.progress ?? silentProgress).task(`Hashing ${path}`, length);
    const hex = await hashRange(file, { offset, length }, (n) => {
      task.advance(n);
      options.advance?.(n);
    });
    task.done();
    if (hex === undefined) throw shortFile(path, { offset, length });
    return hex;
  } catch (error) {
    throw ioError(error, path);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function shortFile(path: string, range: ByteRange): EnvironmentError {
  return new EnvironmentError(
    "FILE_SHORT",
    `${path}: ends before byte ${range.offset + range.length}`,
    {
      hint: "The file is truncated or was changed while it was read.",
      details: { path, ...range },
    },
  );
}
