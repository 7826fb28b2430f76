import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  httpDownload,
  httpGet,
  redacted,
  retryAfterMs,
  silentProgress,
} from "../../lib/base/mod.ts";

const context = { offline: false, progress: silentProgress };
const limits = { maxBytes: 1000 };
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

let server: ReturnType<typeof Bun.serve>;
let other: ReturnType<typeof Bun.serve>;
let base: string;
let folder: string;
const hits = new Map<string, number>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "http-"));
  other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: echo });
  server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 5, fetch: answer });
  base = `http://127.0.0.1:${server.port}`;
});
afterAll(async () => {
  await Promise.all([server.stop(true), other.stop(true)]);
  rmSync(folder, { recursive: true, force: true });
});

function echo(request: Request): Response {
  return Response.json(Object.fromEntries(request.headers));
}

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const hit = (hits.get(pathname) ?? 0) + 1;
  hits.set(pathname, hit);
  switch (pathname) {
    case "/abc":
      return new Response("abc");
    case "/busy":
      return hit < 3
        ? new Response("", { status: 503, headers: { "retry-after": "0" } })
        : new Response("abc");
    case "/long-wait":
      return new Response("", { status: 429, headers: { "retry-after": "3600" } });
    case "/missing":
      return new Response("no", { status: 404 });
    case "/big":
      return new Response("x".repeat(1001));
    case "/endless":
      return new Response(endless());
    case "/loop":
      return Response.redirect(`${base}/loop`);
    case "/relative":
      return new Response("", { status: 302, headers: { location: "abc" } });
    case "/file":
      return new Response("", { status: 302, headers: { location: "file:///etc/passwd" } });
    case "/headers":
      return echo(request);
    case "/elsewhere":
      return Response.redirect(`http://127.0.0.1:${other.port}/headers`);
    case "/slow":
      await Bun.sleep(500);
      return new Response("abc");
    default:
      return new Response("", { status: 500 });
  }
}

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(512)) });
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => `${error.name} ${error.code}`,
  );
const text = async (path: string, options = {}) =>
  new TextDecoder().decode((await httpGet(context, base + path, { ...limits, ...options })).bytes);

describe("httpGet()", () => {
  test("gives the body and checks its digest", async () => {
    expect(await text("/abc", { sha256: ABC })).toBe("abc");
    expect(await codeOf(text("/abc", { sha256: "0".repeat(64) }))).toBe("CheckError HTTP_DIGEST");
  });

  test("opens no socket when offline, and says what for", async () => {
    const before = hits.get("/abc") ?? 0;
    const get = httpGet({ ...context, offline: true }, `${base}/abc`, {
      ...limits,
      purpose: "Reading the index",
    });
    expect(get).rejects.toThrow("Reading the index needs the network, and --offline forbids it");
    expect(await codeOf(get)).toBe("NetworkError OFFLINE");
    expect(hits.get("/abc") ?? 0).toBe(before);
  });

  test("tries again when the server is busy, after the time it asks for", async () => {
    expect(await text("/busy")).toBe("abc");
    expect(hits.get("/busy")).toBe(3);
  });

  test("does not wait longer than a minute", async () => {
    expect(await codeOf(text("/long-wait"))).toBe("NetworkError HTTP_STATUS");
    expect(hits.get("/long-wait")).toBe(1);
  });

  test("does not repeat what will not change", async () => {
    expect(await codeOf(text("/missing"))).toBe("NetworkError HTTP_STATUS");
    expect(hits.get("/missing")).toBe(1);
  });

  test.each(["/big", "/endless"])("refuses a body over its bound: %s", async (path) => {
    expect(await codeOf(text(path))).toBe("NetworkError HTTP_TOO_LARGE");
  });

  test.each([
    ["/loop", "NetworkError HTTP_REDIRECT"],
    ["/file", "NetworkError HTTP_REDIRECT"],
  ])("refuses the redirects of %s", async (path, code) => {
    expect(await codeOf(text(path))).toBe(code);
  });

  test("follows a relative redirect", async () => {
    expect(await text("/relative")).toBe("abc");
  });

  test("sends credentials to the first origin only", async () => {
    const headers = { authorization: "Bearer secret", "x-auth-token": "secret", accept: "text/x" };
    expect(await text("/headers", { headers })).toContain("Bearer secret");
    const elsewhere = await text("/elsewhere", { headers });
    expect(elsewhere).not.toContain("secret");
    expect(elsewhere).toContain("text/x");
  });

  test("takes a login out of the address, for the first origin only", async () => {
    const login = `Basic ${btoa("me@x:p/w")}`;
    const there = base.replace("//", "//me%40x:p%2Fw@");
    const got = async (url: string) =>
      new TextDecoder().decode((await httpGet(context, url, limits)).bytes);
    expect(await got(`${there}/headers`)).toContain(login);
    expect(await got(`${there}/elsewhere`)).not.toContain(login);
  });

  test("gives up on silence", async () => {
    expect(await codeOf(text("/slow", { idleMs: 50, attempts: 1 }))).toBe(
      "NetworkError HTTP_TIMEOUT",
    );
  });

  test("names a server that is not there", async () => {
    const gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: echo });
    const address = `http://127.0.0.1:${gone.port}/`;
    await gone.stop(true);
    expect(await codeOf(httpGet(context, address, { ...limits, attempts: 1 }))).toBe(
      "NetworkError HTTP_UNREACHABLE",
    );
  });

  test.each(["file:///etc/passwd", "nonsense", "data:,x"])(
    "refuses the address %s",
    async (url) => {
      expect(await codeOf(httpGet(context, url, limits))).toBe("NetworkError HTTP_URL");
    },
  );
});

describe("httpDownload()", () => {
  test("writes the file whole", async () => {
    const path = join(folder, "abc");
    expect(await httpDownload(context, `${base}/abc`, { ...limits, path })).toEqual({
      size: 3,
      sha256: ABC,
    });
    expect(readFileSync(path, "utf8")).toBe("abc");
  });

  test.each([
    ["/abc", { sha256: "0".repeat(64) }],
    ["/endless", {}],
    ["/missing", {}],
  ])("leaves nothing when %s fails", async (url, options) => {
    const path = join(folder, "failed");
    expect(
      await codeOf(httpDownload(context, base + url, { ...limits, ...options, path })),
    ).toBeDefined();
    expect(existsSync(path)).toBe(false);
  });
});

describe("retryAfterMs()", () => {
  test.each([
    ["3", 3000],
    [" 0 ", 0],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 9000],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
    ["soon", undefined],
    ["-1", undefined],
    [null, undefined],
  ])("reads %j as %j", (header, ms) => {
    expect(retryAfterMs(header, 1000)).toBe(ms as number);
  });
});

test("redacted() drops user, password and query", () => {
  expect(redacted("https://user:pass@example.org/a?token=1#x")).toBe("https://example.org/a");
  expect(redacted("ssh://user:pass@example.org:22/a")).toBe("ssh://example.org:22/a");
  expect(redacted("https://user:pa/ss@w@example.org:99999/a")).toBe("https://example.org:99999/a");
});
