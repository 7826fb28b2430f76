/** A scratch file that grows at its end and can be read anywhere; removed with the folder it lies in. */
import { type FileHandle, open } from "node:fs/promises";

import { EnvironmentError, ioError } from "../../base/mod.ts";
import { Garbage } from "../../codec/mod.ts";

const PIECE = 1 << 20;

export class Spool implements AsyncDisposable {
  size = 0;
  readonly #garbage = new Garbage();

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  static async create(path: string): Promise<Spool> {
    try {
      return new Spool(path, await open(path, "wx+", 0o600));
    } catch (error) {
      throw ioError(error, path);
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.write(bytes, this.size);
  }

  /** Writes at any place; what lies between is zero. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const left = bytes.length - done;
        done += (await this.handle.write(bytes, done, left, position + done)).bytesWritten;
      }
    } catch (error) {
      throw ioError(error, this.path);
    }
    this.size = Math.max(this.size, position + bytes.length);
    this.#garbage.add(bytes.length);
  }

  /** Exactly `length` bytes from `offset`. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#garbage.add(length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const { bytesRead } = await this.handle.read(bytes, done, length - done, offset + done);
      if (bytesRead === 0) {
        throw new EnvironmentError("FILE_CHANGED", `${this.path}: became shorter`, {
          hint: "Something else writes to the scratch folder; try again.",
        });
      }
      done += bytesRead;
    }
    return bytes;
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < this.size; at += PIECE) {
      yield await this.read(at, Math.min(PIECE, this.size - at));
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
