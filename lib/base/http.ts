/**
 * HTTP for the few things that need a network: bounded, retried, hashed while it streams; downloads go on where they ended.
 * `--offline` fails before any socket.
 */
import { open, rename, rm } from "node:fs/promises";

import { requireNetwork } from "./context.ts";
import { CheckError, NetworkError } from "./errors.ts";
import {
  type HttpContext,
  type HttpOptions,
  type HttpResponse,
  redacted,
  request,
  retrying,
  Transient,
  truncated,
} from "./http-request.ts";
import { ioError } from "./io.ts";

export {
  type Access,
  type HttpAccess,
  type HttpOptions,
  redacted,
  retryAfterMs,
} from "./http-request.ts";

export interface HttpAnswer {
  /** Of the last redirect. */
  url: string;
  headers: Headers;
  bytes: Uint8Array;
}

export interface DownloadOptions extends HttpOptions {
  /** Where the file goes, whole or not at all; an earlier one is replaced. */
  path: string;
  /**
   * Where it grows; default `path` with `.part`, and `path` itself is allowed. With `sha256` it outlives a failure, and the next
   * download goes on from it.
   */
  part?: string;
  /** What the file should have, as far as one knows: tells a cut answer from a changed file. */
  size?: number;
  /** Label of the progress bar; default the file's name in the URL. */
  label?: string;
}

/**
 * GET into memory. Errors: `NetworkError` `OFFLINE`, `HTTP_URL`, `HTTP_STATUS`, `HTTP_UNREACHABLE`, `HTTP_TIMEOUT`, `HTTP_TRUNCATED`,
 * `HTTP_TOO_LARGE`, `HTTP_REDIRECT`, `HTTP_PLAIN`; `CheckError("HTTP_DIGEST")`.
 */
export async function httpGet(
  context: HttpContext,
  url: string,
  options: HttpOptions,
): Promise<HttpAnswer> {
  return await retrying({ context, url, options }, () =>
    request(url, options, {}, async (response) => {
      const hash = new Bun.CryptoHasher("sha256");
      const parts: Uint8Array[] = [];
      for await (const part of response.body(options.maxBytes)) {
        hash.update(part);
        parts.push(part);
      }
      checkDigest(response, options, hash.digest("hex"));
      return { url: response.url, headers: response.headers, bytes: Buffer.concat(parts) };
    }),
  );
}

/**
 * GET into a file. A part that is there already is hashed and asked on from its end (RFC 9110 §14); a server that knows no ranges, or
 * has another file meanwhile, sends all of it. What was put together and has the wrong digest is fetched once more from the start.
 * Errors as `httpGet`, and `HTTP_PAGE` for a web page in place of the file.
 */
export async function httpDownload(
  context: HttpContext,
  url: string,
  options: DownloadOptions,
): Promise<{ size: number; sha256: string }> {
  requireNetwork(context, options.purpose ?? `Fetching ${redacted(url)}`);
  const part = options.part ?? `${options.path}.part`;
  const growing = await GrowingFile.open(part, options.sha256 !== undefined);
  try {
    const saved = () => growing.size;
    const isWhole = growing.size > 0 && growing.digest() === options.sha256;
    const sha256 = isWhole
      ? growing.digest()
      : await retrying({ context, url, options, saved }, () =>
          fetchOn(context, url, options, growing),
        );
    await growing.finish(options.path);
    return { size: growing.size, sha256 };
  } catch (error) {
    const isWorthy = options.sha256 !== undefined && growing.size > 0 && isBreakOff(error);
    await growing.close(!isWorthy);
    throw error;
  }
}

/** Whether what came before the error may be the beginning of the right file. */
function isBreakOff(error: unknown): boolean {
  const codes = ["HTTP_STATUS", "HTTP_TIMEOUT", "HTTP_TRUNCATED", "HTTP_UNREACHABLE"];
  return error instanceof NetworkError && codes.includes(error.code);
}

async function fetchOn(
  context: HttpContext,
  url: string,
  options: DownloadOptions,
  file: GrowingFile,
): Promise<string> {
  // Not encoded, because a range is one of the encoded bytes.
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (file.size > 0) {
    headers.range = `bytes=${file.size}-`;
    if (file.validator !== undefined) headers["if-range"] = file.validator;
  }
  return await request(url, options, headers, async (response) => {
    const isContinued = response.status === 206 && startsAt(response, file.size);
    if (response.status === 206 && !isContinued) throw await restarted(file, url, "another range");
    if (response.status === 416) throw await restarted(file, url, "no more bytes");
    if (!isContinued) await file.clear();
    const resumed = file.size > 0;
    file.validator = validatorOf(response.headers);
    const total = response.length === undefined ? undefined : file.size + response.length;
    const label = options.label ?? new URL(response.url).pathname.split("/").at(-1) ?? "download";
    const task = context.progress.task(label, total);
    task.advance(file.size);
    try {
      for await (const piece of response.body(options.maxBytes - file.size)) {
        await file.write(piece);
        task.advance(piece.length);
      }
    } finally {
      task.done();
    }
    const digest = file.digest();
    if (options.sha256 === undefined || digest === options.sha256) return digest;
    if (options.size !== undefined && file.size < options.size)
      throw truncated(response.url, options.size, file.size);
    if (resumed) throw await restarted(file, url, "parts of two files");
    checkDigest(response, options, digest);
    return digest;
  });
}

function startsAt(response: HttpResponse, offset: number): boolean {
  const [, first] = /^bytes (\d{1,15})-/.exec(response.headers.get("content-range") ?? "") ?? [];
  return offset > 0 && Number(first) === offset;
}

/** A strong one; weak tags promise no equal bytes (RFC 9110 §13.1.5). */
function validatorOf(headers: Headers): string | undefined {
  const tag = headers.get("etag");
  return tag?.startsWith('"') ? tag : (headers.get("last-modified") ?? undefined);
}

/** Drops the part; the next attempt starts anew. */
async function restarted(file: GrowingFile, url: string, what: string): Promise<Transient> {
  await file.clear();
  const error = new NetworkError("HTTP_RANGE", `${redacted(url)}: the server sent ${what}`, {
    hint: "Try again.",
  });
  return new Transient(error, 0);
}

function checkDigest(response: HttpResponse, options: HttpOptions, digest: string): void {
  if (options.sha256 === undefined || digest === options.sha256) return;
  const where = redacted(response.url);
  if (response.headers.get("content-type")?.startsWith("text/html")) {
    throw new NetworkError("HTTP_PAGE", `${where}: the server sent a web page, not the file`, {
      hint: "A proxy or a login page may stand in between; open the address in a browser.",
    });
  }
  throw new CheckError("HTTP_DIGEST", `${where}: the SHA-256 differs from the expected one`, {
    hint: "Do not use this file; find out who changed it.",
    details: { expected: options.sha256, actual: digest },
  });
}

/** A file that is appended to, with the digest of all that is in it. */
class GrowingFile {
  size = 0;
  /** Names the version that the bytes are of. */
  validator: string | undefined;
  #hash = new Bun.CryptoHasher("sha256");

  private constructor(
    readonly path: string,
    private readonly file: Awaited<ReturnType<typeof open>>,
  ) {}

  /** @param keep whether bytes that are there already count */
  static async open(path: string, keep: boolean): Promise<GrowingFile> {
    try {
      const file = new GrowingFile(path, await open(path, "a+"));
      await (keep ? file.#readBack() : file.clear());
      return file;
    } catch (error) {
      throw ioError(error, path);
    }
  }

  async #readBack(): Promise<void> {
    const buffer = new Uint8Array(1 << 20);
    for (;;) {
      const { bytesRead } = await this.file.read(buffer, 0, buffer.length, this.size);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.size += bytesRead;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        done += (await this.file.write(bytes, done, bytes.length - done)).bytesWritten;
      }
    } catch (error) {
      throw ioError(error, this.path);
    }
    this.#hash.update(bytes);
    this.size += bytes.length;
  }

  async clear(): Promise<void> {
    await this.file.truncate(0);
    this.#hash = new Bun.CryptoHasher("sha256");
    this.size = 0;
    this.validator = undefined;
  }

  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Makes it durable under its final name. */
  async finish(path: string): Promise<void> {
    try {
      await this.file.sync();
      await this.file.close();
      if (path !== this.path) await rename(this.path, path);
    } catch (error) {
      throw ioError(error, path);
    }
  }

  async close(remove: boolean): Promise<void> {
    await this.file.close().catch(() => undefined);
    if (remove) await rm(this.path, { force: true });
  }
}
