/**
 * HTTP for the few things that need a network: bounded, retried, hashed while it streams.
 *
 * The only module that knows `ofetch`. Redirects are followed by hand: never from https to http, and credentials are not sent to
 * another origin. A server's `Retry-After` is honoured up to a minute. `--offline` fails before any socket.
 */
import type { FetchResponse } from "ofetch";

import { AtomicFile } from "./atomic.ts";
import { type Context, requireNetwork } from "./context.ts";
import { CheckError, NetworkError, SealiftError } from "./errors.ts";

export interface HttpOptions {
  /** Bound of the body in bytes, after content decoding. */
  maxBytes: number;
  /** Lower-case hex; another digest is `CheckError("HTTP_DIGEST")`. */
  sha256?: string;
  headers?: Record<string, string>;
  /** What the network is needed for, in the message under `--offline`; default the URL. */
  purpose?: string;
  /** Attempts in all; default 4. */
  attempts?: number;
  /** Silence after which a connection is given up; default 60,000. */
  idleMs?: number;
  /** Asked for the address and for every redirect; default: any address, no login. */
  access?: HttpAccess;
}

/** What a connection to one address may do. */
export interface Access {
  /** Sent to this address and, unless they come up again, to no other. */
  headers: Record<string, string>;
  /** Plain http will do. */
  plain: boolean;
  /** Unproven certificates and a redirect from https to plain http will do. */
  trusted: boolean;
  /** Certificates in PEM that count instead of the system's. */
  ca?: string;
}
export type HttpAccess = (url: URL) => Access;

export interface HttpAnswer {
  /** Of the last redirect. */
  url: string;
  headers: Headers;
  bytes: Uint8Array;
}

export interface DownloadOptions extends HttpOptions {
  /** Where the file goes, whole or not at all. */
  path: string;
  force?: boolean;
  mode?: number;
  /** Label of the progress bar; default the file's name in the URL. */
  label?: string;
}

type HttpContext = Pick<Context, "offline" | "progress">;

const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_REDIRECTS = 10;
const MAX_WAIT_MS = 60_000;

/**
 * GET into memory. Errors: `NetworkError` `OFFLINE`, `HTTP_URL`, `HTTP_STATUS`, `HTTP_UNREACHABLE`, `HTTP_TIMEOUT`, `HTTP_TRUNCATED`,
 * `HTTP_TOO_LARGE`, `HTTP_REDIRECT`; `CheckError("HTTP_DIGEST")`.
 */
export async function httpGet(
  context: HttpContext,
  url: string,
  options: HttpOptions,
): Promise<HttpAnswer> {
  return await retrying(context, url, options, async (response, finalUrl, body) => {
    const parts: Uint8Array[] = [];
    for await (const part of body) parts.push(part);
    return { url: finalUrl, headers: response.headers, bytes: Buffer.concat(parts) };
  });
}

/** GET into a file; errors as `httpGet` and those of `AtomicFile`. */
export async function httpDownload(
  context: HttpContext,
  url: string,
  options: DownloadOptions,
): Promise<{ size: number; sha256: string }> {
  requireNetwork(context, options.purpose ?? `Fetching ${redacted(url)}`);
  const { createHash } = await import("node:crypto");
  return await retrying(context, url, options, async (response, finalUrl, body) => {
    await using file = await AtomicFile.create(options.path, options);
    const hash = createHash("sha256");
    const label = options.label ?? new URL(finalUrl).pathname.split("/").at(-1) ?? "download";
    const task = context.progress.task(label, lengthOf(response));
    try {
      for await (const part of body) {
        hash.update(part);
        await file.write(part);
        task.advance(part.length);
      }
    } finally {
      task.done();
    }
    await file.commit();
    return { size: file.position, sha256: hash.digest("hex") };
  });
}

/** The milliseconds that `Retry-After` asks for (seconds or a date), `undefined` when there is none or it makes no sense. */
export function retryAfterMs(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  if (!header.endsWith("GMT")) return undefined;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

type Consume<T> = (
  response: FetchResponse<unknown>,
  url: string,
  body: AsyncIterable<Uint8Array>,
) => Promise<T>;

/** A failure that another attempt may cure. */
class Transient {
  constructor(
    readonly error: NetworkError,
    readonly waitMs?: number,
  ) {}
}

async function retrying<T>(
  context: HttpContext,
  url: string,
  options: HttpOptions,
  consume: Consume<T>,
): Promise<T> {
  requireNetwork(context, options.purpose ?? `Fetching ${redacted(url)}`);
  checkUrl(url);
  const attempts = options.attempts ?? 4;
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(url, options, consume);
    } catch (thrown) {
      if (!(thrown instanceof Transient)) throw thrown;
      const wait = thrown.waitMs ?? 500 * 2 ** (attempt - 1);
      if (attempt >= attempts || wait > MAX_WAIT_MS) throw thrown.error;
      context.progress.step(
        `${thrown.error.message}; trying again in ${(wait / 1000).toFixed(1)} s`,
      );
      await Bun.sleep(wait);
    }
  }
}

async function once<T>(url: string, options: HttpOptions, consume: Consume<T>): Promise<T> {
  const idle = new IdleTimer(options.idleMs ?? 60_000);
  try {
    const { response, finalUrl } = await follow(url, options, idle);
    if (!response.ok) throw await refusedStatus(response, finalUrl);
    return await consume(response, finalUrl, checkedBody(response, finalUrl, options, idle));
  } catch (error) {
    throw asNetworkError(error, url, idle.expired);
  } finally {
    idle.stop();
  }
}

/** Sends the request and follows redirects until something else answers. */
async function follow(
  url: string,
  options: HttpOptions,
  idle: IdleTimer,
): Promise<{ response: FetchResponse<unknown>; finalUrl: string }> {
  const { ofetch } = await import("ofetch");
  let headers: Record<string, string> = { "user-agent": "sealift", ...options.headers };
  let target = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const access = options.access?.(new URL(target));
    checkPlain(target, access);
    const response = await ofetch.raw(target, {
      headers: { ...headers, ...access?.headers },
      redirect: "manual",
      responseType: "stream",
      ignoreResponseError: true,
      retry: false,
      signal: idle.signal,
      ...tlsOptions(access),
    });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) {
      return { response, finalUrl: target };
    }
    await response.body?.cancel();
    const next = URL.parse(location, target);
    checkRedirect(target, next, options.access);
    if (next.origin !== new URL(target).origin) headers = withoutCredentials(headers);
    target = next.href;
  }
  throw new NetworkError(
    "HTTP_REDIRECT",
    `${redacted(url)}: more than ${MAX_REDIRECTS} redirects`,
    {
      hint: "Check the address.",
    },
  );
}

function tlsOptions(access: Access | undefined): object {
  if (access === undefined) return {};
  const { ca, trusted } = access;
  return { tls: { rejectUnauthorized: !trusted, ...(ca !== undefined && { ca }) } };
}

function checkPlain(url: string, access: Access | undefined): void {
  if (access === undefined || access.plain || url.startsWith("https:")) return;
  throw new NetworkError("HTTP_PLAIN", `${redacted(url)}: plain http shows and trusts everybody`, {
    hint: "Use https, or name the host as a trusted one.",
    details: { host: new URL(url).host },
  });
}

function checkRedirect(
  from: string,
  to: URL | null,
  access: HttpAccess | undefined,
): asserts to is URL {
  const isWeb = to?.protocol === "https:" || to?.protocol === "http:";
  const downgrade = from.startsWith("https:") && to?.protocol === "http:";
  if (isWeb && (!downgrade || access?.(to).trusted === true)) return;
  throw new NetworkError(
    "HTTP_REDIRECT",
    `${redacted(from)}: it redirects to ${redacted(to?.href ?? "nowhere")}, which is not safe`,
    {
      hint: "Use the address of a server that stays on https.",
    },
  );
}

function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  const secret = /^(?:authorization|cookie|proxy-authorization|x-.*(?:token|key).*)$/i;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !secret.test(name)));
}

/** The body with its bounds: `maxBytes`, the announced length, the digest, and a limit to silence. */
async function* checkedBody(
  response: FetchResponse<unknown>,
  url: string,
  options: HttpOptions,
  idle: IdleTimer,
): AsyncGenerator<Uint8Array> {
  const announced = lengthOf(response);
  if ((announced ?? 0) > options.maxBytes) throw tooLarge(url, options.maxBytes);
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  let length = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    idle.touch();
    length += part.length;
    if (length > options.maxBytes) throw tooLarge(url, options.maxBytes);
    hash.update(part);
    yield part;
  }
  if (announced !== undefined && length !== announced) {
    throw new Transient(
      new NetworkError(
        "HTTP_TRUNCATED",
        `${redacted(url)}: ${length} of ${announced} bytes arrived`,
        {
          hint: "Try again; a proxy may cut long answers.",
          details: { expected: announced, actual: length },
        },
      ),
    );
  }
  const digest = hash.digest("hex");
  if (options.sha256 !== undefined && digest !== options.sha256) {
    throw new CheckError(
      "HTTP_DIGEST",
      `${redacted(url)}: the SHA-256 differs from the expected one`,
      {
        hint: "Do not use this file; find out who changed it.",
        details: { expected: options.sha256, actual: digest },
      },
    );
  }
}

/** The announced length, when the body is not encoded (then the number means something else). */
function lengthOf(response: FetchResponse<unknown>): number | undefined {
  if (response.headers.has("content-encoding")) return undefined;
  const text = response.headers.get("content-length");
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Aborts a request after a time of silence. */
class IdleTimer {
  expired = false;
  readonly #controller = new AbortController();
  readonly #timer: Timer;

  constructor(ms: number) {
    this.#timer = setTimeout(() => {
      this.expired = true;
      this.#controller.abort();
    }, ms);
  }
  get signal(): AbortSignal {
    return this.#controller.signal;
  }
  touch(): void {
    this.#timer.refresh();
  }
  stop(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

async function refusedStatus(
  response: FetchResponse<unknown>,
  url: string,
): Promise<Transient | NetworkError> {
  await response.body?.cancel();
  const error = new NetworkError(
    "HTTP_STATUS",
    `${redacted(url)}: the server answered ${response.status}`,
    {
      hint:
        response.status === 401 || response.status === 403
          ? "Check the credentials."
          : "Check the address.",
      details: { status: response.status },
    },
  );
  return RETRIED.has(response.status)
    ? new Transient(error, retryAfterMs(response.headers.get("retry-after")))
    : error;
}

function asNetworkError(error: unknown, url: string, timedOut: boolean): unknown {
  if (error instanceof Transient || error instanceof SealiftError) return error;
  if (timedOut) {
    return new Transient(
      new NetworkError("HTTP_TIMEOUT", `${redacted(url)}: no answer in time`, {
        hint: "Check the connection, or try again.",
        cause: error,
      }),
    );
  }
  const cause = (error as { cause?: unknown } | null)?.cause ?? error;
  const reason = (cause as NodeJS.ErrnoException | null)?.code ?? "connection failed";
  return new Transient(
    new NetworkError("HTTP_UNREACHABLE", `${redacted(url)}: cannot be reached (${reason})`, {
      hint: "Check the address, the connection and the proxy variables.",
      cause: error,
    }),
  );
}

function checkUrl(url: string): void {
  const parsed = URL.parse(url);
  if (parsed?.protocol === "https:" || parsed?.protocol === "http:") return;
  throw new NetworkError("HTTP_URL", `${redacted(url)}: is not an http or https address`, {
    hint: "Check the address.",
  });
}

function tooLarge(url: string, max: number): NetworkError {
  return new NetworkError(
    "HTTP_TOO_LARGE",
    `${redacted(url)}: the answer is larger than ${max} bytes`,
    {
      hint: "Check the address.",
      details: { max },
    },
  );
}

/** An address as it may be shown: without user, password and query. */
export function redacted(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? url.slice(0, 200) : `${parsed.origin}${parsed.pathname}`;
}
