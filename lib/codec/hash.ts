/**
 * SHA-256, the only digest of the format. Native and streaming: a file is read in pieces of 1 MiB into one buffer.
 * `sha256Ranges` spreads several ranges of a file over the processor's cores; a worker hashes with the same code.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

import { EnvironmentError, ioError, type Progress, silentProgress } from "../base/mod.ts";

const PIECE = 1 << 20;
/** The event loop gets a turn after this many bytes, so that progress, signals and workers are heard. */
const TURN = 32 << 20;

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

export interface ByteRange {
  offset: number;
  length: number;
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
    const hex = await hashRange(file, path, { offset, length }, (n) => {
      task.advance(n);
      options.advance?.(n);
    });
    task.done();
    return hex;
  } catch (error) {
    throw ioError(error, path);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

async function hashRange(
  file: number,
  path: string,
  range: ByteRange,
  advance: (bytes: number) => void,
): Promise<string> {
  const hash = new Sha256();
  const buffer = new Uint8Array(Math.min(PIECE, Math.max(range.length, 1)));
  let done = 0;
  let turn = TURN;
  while (done < range.length) {
    const want = Math.min(buffer.length, range.length - done);
    const got = readSync(file, buffer, 0, want, range.offset + done);
    if (got === 0) throw shortFile(path, range);
    hash.update(got === buffer.length ? buffer : buffer.subarray(0, got));
    done += got;
    advance(got);
    if (done >= turn) {
      turn += TURN;
      await Bun.sleep(0);
    }
  }
  return hash.hex();
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
