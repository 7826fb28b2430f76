/**
 * One HTTP request with everything around it that can go wrong: redirects followed by hand (never from https to http, and logins are
 * not sent to another origin), attempts with growing pauses, silence and trickles given up, bodies bounded. `Retry-After` is honoured up
 * to a minute. The only module that knows `ofetch`.
 */
import type { FetchResponse } from "ofetch";

import { type Context, requireNetwork } from "./context.ts";
import { NetworkError, SealiftError } from "./errors.ts";

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
  /** Ends the request and its attempts. */
  signal?: AbortSignal;
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

export type HttpContext = Pick<Context, "offline" | "progress">;

const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_REDIRECTS = 10;
const MAX_WAIT_MS = 60_000;
const RANGE_REFUSED = 416;
/** An attempt that brought so much was worth it. */
const GOOD_PIECE = 1 << 20;
/** A connection that brings less than this in the time of silence is as good as silent. */
const TRICKLE = 4096;

/** The milliseconds that `Retry-After` asks for (seconds or a date), `undefined` when there is none or it makes no sense. */
export function retryAfterMs(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  if (!header.endsWith("GMT")) return undefined;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** What came, with a body that is bounded: `maxBytes`, the announced length, and a limit to silence. */
export interface HttpResponse {
  status: number;
  headers: Headers;
  /** Of the last redirect. */
  url: string;
  /** Announced length of the body; unknown when it is encoded. */
  length: number | undefined;
  body(maxBytes: number): AsyncIterable<Uint8Array>;
}

/** A failure that another attempt may cure. */
export class Transient {
  constructor(
    readonly error: NetworkError,
    readonly waitMs?: number,
  ) {}
}

export interface Attempts {
  context: HttpContext;
  url: string;
  options: HttpOptions;
  /** Bytes that are safe: an attempt that added a good piece counts as the first again. */
  saved?: () => number;
}

/** Repeats `attempt` while another one may help. */
export async function retrying<T>(how: Attempts, attempt: () => Promise<T>): Promise<T> {
  const { context, url, options, saved = () => 0 } = how;
  requireNetwork(context, options.purpose ?? `Fetching ${redacted(url)}`);
  checkUrl(url);
  const attempts = options.attempts ?? 4;
  for (let count = 1; ; count++) {
    const before = saved();
    try {
      return await attempt();
    } catch (thrown) {
      if (!(thrown instanceof Transient)) throw thrown;
      if (saved() - before >= GOOD_PIECE) count = 1;
      const wait = thrown.waitMs ?? 500 * 2 ** (count - 1);
      const isLast = count >= attempts || wait > MAX_WAIT_MS || options.signal?.aborted;
      if (isLast) throw thrown.error;
      context.progress.step(
        `${thrown.error.message}; trying again in ${(wait / 1000).toFixed(1)} s`,
      );
      await pause(wait, options.signal);
      if (options.signal?.aborted) throw thrown.error;
    }
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { setTimeout: wait } = await import("node:timers/promises");
  await wait(ms, undefined, { ...(signal && { signal }) }).catch((error: Error) => {
    if (error.name !== "AbortError") throw error;
  });
}

/** One attempt: sends the request with `headers` beside those of the options, and hands on what came. */
export async function request<T>(
  url: string,
  options: HttpOptions,
  headers: Record<string, string>,
  consume: (response: HttpResponse) => Promise<T>,
): Promise<T> {
  const idle = new IdleTimer(options.idleMs ?? 60_000);
  try {
    const { response, finalUrl } = await follow(url, options, headers, idle);
    const isAnswer = response.ok || (response.status === RANGE_REFUSED && headers.range);
    if (!isAnswer) throw await refusedStatus(response, finalUrl);
    return await consume({
      status: response.status,
      headers: response.headers,
      url: finalUrl,
      length: lengthOf(response),
      body: (maxBytes) => boundedBody(response, finalUrl, maxBytes, idle),
    });
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
  own: Record<string, string>,
  idle: IdleTimer,
): Promise<{ response: FetchResponse<unknown>; finalUrl: string }> {
  const { ofetch } = await import("ofetch");
  const { target: first, login } = splitLogin(url);
  let headers: Record<string, string> = {
    "user-agent": "sealift",
    ...login,
    ...options.headers,
    ...own,
  };
  let target = first;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const access = options.access?.(new URL(target));
    checkPlain(target, access);
    const response = await ofetch.raw(target, {
      headers: { ...headers, ...access?.headers },
      redirect: "manual",
      responseType: "stream",
      ignoreResponseError: true,
      retry: false,
      signal: options.signal ? AbortSignal.any([idle.signal, options.signal]) : idle.signal,
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
    target = splitLogin(next.href).target;
  }
  throw new NetworkError(
    "HTTP_REDIRECT",
    `${redacted(url)}: more than ${MAX_REDIRECTS} redirects`,
    {
      hint: "Check the address.",
    },
  );
}

/** A login in an address goes into a header, where redirects can leave it behind. */
function splitLogin(url: string): { target: string; login: Record<string, string> } {
  const parsed = new URL(url);
  const { username, password } = parsed;
  if (username === "" && password === "") return { target: url, login: {} };
  parsed.username = "";
  parsed.password = "";
  const pair = [username, password].map(decoded).join(":");
  const login = { authorization: `Basic ${Buffer.from(pair, "utf8").toString("base64")}` };
  return { target: parsed.href, login };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
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

async function* boundedBody(
  response: FetchResponse<unknown>,
  url: string,
  maxBytes: number,
  idle: IdleTimer,
): AsyncGenerator<Uint8Array> {
  const announced = lengthOf(response);
  if ((announced ?? 0) > maxBytes) throw tooLarge(url, maxBytes);
  let length = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    idle.touch(part.length);
    length += part.length;
    if (length > maxBytes) throw tooLarge(url, maxBytes);
    yield part;
  }
  if (announced !== undefined && length !== announced) throw truncated(url, announced, length);
}

/** Fewer bytes than there should be; another attempt may bring them. */
export function truncated(url: string, expected: number, actual: number): Transient {
  return new Transient(
    new NetworkError("HTTP_TRUNCATED", `${redacted(url)}: ${actual} of ${expected} bytes arrived`, {
      hint: "Try again; a proxy may cut long answers.",
      details: { expected, actual },
    }),
  );
}

/** The announced length, when the body is not encoded (then the number means something else). */
function lengthOf(response: FetchResponse<unknown>): number | undefined {
  if (response.headers.has("content-encoding")) return undefined;
  const text = response.headers.get("content-length");
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Aborts a request after a time of silence, or of a trickle that would take for ever. */
class IdleTimer {
  expired = false;
  #arrived = 0;
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
  touch(bytes: number): void {
    this.#arrived += bytes;
    if (this.#arrived < TRICKLE) return;
    this.#arrived = 0;
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

/** An address as it may be shown: without user, password and query. What cannot be parsed may hold a password, too. */
export function redacted(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return url.replace(/\/\/.*@/s, "//").slice(0, 200);
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}
