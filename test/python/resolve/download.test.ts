/** Downloads from servers that break off, lie, stall or answer with something else. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

import { SealiftError, silentProgress } from "../../../lib/base/mod.ts";
import { sha256Hex } from "../../../lib/codec/mod.ts";
import { fetchFiles } from "../../../lib/python/resolve/fetch.ts";
import { indexSettings } from "../../../lib/python/resolve/index-settings.ts";
import type { LockedFile } from "../../../lib/python/resolve/locked.ts";
import { scratch } from "../fixture.ts";
import { type Answer, head, hostileServer, whole } from "./hostile-server.ts";

setDefaultTimeout(60_000);

/** Not compressible, so that a piece of it is like no other piece. */
const body = new Uint8Array(300_000);
for (let i = 0, x = 1; i < body.length; i++) body[i] = (x = (x * 48271) % 2147483647) & 255;
const sha256 = sha256Hex(body);
const half = body.length / 2;

const context = (cacheDir: string, env: Record<string, string> = {}) => ({
  offline: false,
  cacheDir,
  progress: silentProgress,
  env,
  index: indexSettings({}, {}, ".", env),
});
const file = (url: string, more: Partial<LockedFile> = {}): LockedFile => ({
  kind: "wheel",
  file: "a-1-py3-none-any.whl",
  location: { url },
  sha256,
  ...more,
});

interface Outcome {
  /** `CODE exit`, or the file came as it should. */
  result: string;
  /** Ranges that were asked for, in order. */
  ranges: (string | undefined)[];
  /** What stays in the folder of downloads. */
  left: string[];
}

async function outcome(
  answer: Answer,
  more: Partial<LockedFile> = {},
  env: Record<string, string> = {},
  prepare: (wheels: string) => void = () => undefined,
): Promise<Outcome> {
  using cache = scratch();
  using server = await hostileServer(answer);
  const wheels = join(cache.path, "wheels");
  mkdirSync(wheels);
  prepare(wheels);
  const wanted = file(`${server.url}/a.whl`, more);
  const result = await fetchFiles(context(cache.path, env), [wanted], "/").then(
    ([path = ""]) => (sha256Hex(readFileSync(path)) === wanted.sha256 ? "whole" : "WRONG BYTES"),
    (error) => (error instanceof SealiftError ? `${error.code} ${error.exit}` : String(error)),
  );
  return {
    result,
    ranges: server.asked.map(({ headers }) => headers.range),
    left: readdirSync(wheels).map((name) =>
      name.replace(sha256, "SHA").replace(/\.\d+\.part$/, ".PID.part"),
    ),
  };
}

const MINE = Bun.CryptoHasher.hash("sha256", hostname(), "hex").slice(0, 8);
/** A process id that nobody has. */
const DEAD = 4194305;

/** Half of the file, then the connection is gone. */
const halfOnly: Answer = async (socket) => {
  socket.write(head(200, { "content-length": body.length, etag: '"1"' }));
  socket.write(body.subarray(0, half));
  // What comes at once with the end of a connection is lost in the client.
  await Bun.sleep(100);
  socket.end();
};

describe("a download that broke off", () => {
  test("goes on where it ended, and asks for the same version", async () => {
    const seen: (string | undefined)[] = [];
    const done = await outcome((socket, asked, count) => {
      seen.push(asked.headers["if-range"]);
      if (count === 1) return halfOnly(socket, asked, count);
      whole(socket, asked, body);
    });
    expect(done).toEqual({ result: "whole", ranges: [undefined, `bytes=${half}-`], left: ["SHA"] });
    expect(seen).toEqual([undefined, '"1"']);
  });

  const servers: [string, Answer, (string | undefined)[]][] = [
    [
      "that knows no ranges",
      (socket) => {
        socket.write(head(200, { "content-length": body.length }));
        socket.end(body);
      },
      [undefined, `bytes=${half}-`],
    ],
    [
      "that sends another range",
      (socket, asked) => {
        if (asked.headers.range === undefined) return whole(socket, asked, body);
        socket.write(head(206, { "content-range": `bytes 7-${body.length - 1}/${body.length}` }));
        socket.end(body.subarray(7));
      },
      [undefined, `bytes=${half}-`, undefined],
    ],
    [
      "that refuses the range",
      (socket, asked) => {
        if (asked.headers.range === undefined) return whole(socket, asked, body);
        socket.end(head(416, { "content-length": 0 }));
      },
      [undefined, `bytes=${half}-`, undefined],
    ],
    [
      "that joins parts of two files",
      (socket, asked) => {
        if (asked.headers.range === undefined) return whole(socket, asked, body);
        whole(
          socket,
          asked,
          body.map((byte) => byte ^ 1),
        );
      },
      [undefined, `bytes=${half}-`, undefined],
    ],
  ];
  test.each(servers)("comes whole from a server %s", async (_, later, ranges) => {
    const done = await outcome((socket, asked, count) =>
      count === 1 ? halfOnly(socket, asked, count) : later(socket, asked, count),
    );
    expect(done).toEqual({ result: "whole", ranges, left: ["SHA"] });
  });

  test("is kept for the next run, which goes on", async () => {
    using cache = scratch();
    let honest = false;
    using server = await hostileServer((socket, asked, count) => {
      if (honest) return whole(socket, asked, body);
      return count === 1 ? halfOnly(socket, asked, count) : void socket.destroy();
    });
    const fetched = () => fetchFiles(context(cache.path), [file(`${server.url}/a.whl`)], "/");
    expect(await fetched().catch((error) => error.exit)).toBe(5);
    honest = true;
    const [path = ""] = await fetched();
    expect(sha256Hex(readFileSync(path))).toBe(sha256);
    expect(server.asked.at(-1)?.headers.range).toBe(`bytes=${half}-`);
  });

  test("of a killed process is taken over, also when its bytes are wrong", async () => {
    const left = (bytes: Uint8Array) => (wheels: string) =>
      writeFileSync(join(wheels, `${sha256}.${MINE}.${DEAD}.part`), bytes);
    const honest: Answer = (socket, asked) => whole(socket, asked, body);
    expect(await outcome(honest, {}, {}, left(body.subarray(0, half)))).toEqual({
      result: "whole",
      ranges: [`bytes=${half}-`],
      left: ["SHA"],
    });
    expect((await outcome(honest, {}, {}, left(new Uint8Array(half)))).result).toBe("whole");
  });
});

describe("one error, and nothing that looks finished, from a server", () => {
  const lies: [string, string, Answer, number?][] = [
    [
      "that sends another file",
      "HTTP_DIGEST 1",
      (socket, asked) =>
        whole(
          socket,
          asked,
          body.map((b) => b ^ 1),
        ),
    ],
    [
      "that sends a web page",
      "HTTP_PAGE 5",
      (socket, asked) =>
        whole(socket, asked, new TextEncoder().encode("<html>log in"), {
          "content-type": "text/html",
        }),
    ],
    [
      "that announces more than there may be",
      "HTTP_TOO_LARGE 5",
      (socket) => void socket.write(head(200, { "content-length": 1e14 })),
      body.length,
    ],
    [
      "that never ends",
      "HTTP_TOO_LARGE 5",
      async (socket) => {
        socket.write(head(200));
        while (!socket.destroyed) {
          socket.write(body);
          await Bun.sleep(1);
        }
      },
      body.length,
    ],
    [
      "that has no file",
      "HTTP_STATUS 5",
      (socket) => void socket.end(head(404, { "content-length": 0 })),
    ],
    [
      "that wants a login",
      "HTTP_STATUS 5",
      (socket) => void socket.end(head(401, { "content-length": 0 })),
    ],
    [
      "that sends to plain http elsewhere",
      "HTTP_PLAIN 5",
      (socket) =>
        void socket.end(head(302, { location: "http://index.invalid/a.whl", "content-length": 0 })),
    ],
    [
      "that sends to a file of this machine",
      "HTTP_REDIRECT 5",
      (socket) =>
        void socket.end(head(302, { location: "file:///etc/passwd", "content-length": 0 })),
    ],
    [
      "that sends to nowhere",
      "HTTP_REDIRECT 5",
      (socket) => void socket.end(head(302, { location: "http://[", "content-length": 0 })),
    ],
  ];
  test.each(lies)("%s: %s", async (...[_, expected, answer, size]) => {
    const { result, left } = await outcome(answer, size === undefined ? {} : { size });
    expect({ result, left }).toEqual({ result: expected, left: [] });
  });

  // These are tried several times, with pauses: all at once.
  const stubborn: [string, RegExp, Answer, Partial<LockedFile>?][] = [
    [
      "that always breaks off",
      /^HTTP_(?:TRUNCATED|UNREACHABLE) 5$/,
      (socket, asked, count) =>
        count === 1 ? halfOnly(socket, asked, count) : void socket.destroy(),
    ],
    [
      "that announces less than the lock",
      /^HTTP_TRUNCATED 5$/,
      (socket) => {
        socket.write(head(200, { "content-length": 1000 }));
        socket.end(body.subarray(0, 1000));
      },
      { size: body.length },
    ],
    ["that says nothing", /^HTTP_TIMEOUT 5$/, () => undefined],
    [
      "that stops midway",
      /^HTTP_TIMEOUT 5$/,
      (socket) => void socket.write(head(200, { "content-length": 9 }) + "a"),
    ],
    [
      "that trickles",
      /^HTTP_TIMEOUT 5$/,
      async (socket) => {
        socket.write(head(200, { "content-length": body.length }));
        while (!socket.destroyed) {
          socket.write("x");
          await Bun.sleep(20);
        }
      },
    ],
    ["that is no web server", /^HTTP_UNREACHABLE 5$/, (socket) => void socket.end("220 mail\r\n")],
    [
      "that always sends another range",
      /^HTTP_RANGE 5$/,
      (socket) =>
        void socket.end(head(206, { "content-length": 0, "content-range": "bytes 9-9/10" })),
    ],
  ];
  test("that goes on with it", async () => {
    const timeout = { UV_HTTP_TIMEOUT: "0.3" };
    const done = await Promise.all(
      stubborn.map(async ([what, expected, answer, more]) => {
        const { result, left } = await outcome(answer, more, timeout);
        const isClean = !left.includes("SHA") && left.every((name) => name.endsWith(".part"));
        return expected.test(result) && isClean ? what : `${what}: ${result}, ${left.join()}`;
      }),
    );
    expect(done).toEqual(stubborn.map(([what]) => what));
  });
});

describe("two processes", () => {
  const PROGRAM = `
    import { fetchFiles } from ${JSON.stringify(join(import.meta.dir, "../../../lib/python/resolve/fetch.ts"))};
    const [cacheDir, url, sha256] = process.argv.slice(-3);
    const progress = { step() {}, task: () => ({ advance() {}, done() {} }) };
    const file = { kind: "wheel", file: "a-1-py3-none-any.whl", location: { url }, sha256 };
    const [path] = await fetchFiles({ offline: false, cacheDir, progress, env: {} }, [file], "/");
    console.log(path);
  `;
  const start = (cache: string, url: string) =>
    Bun.spawn([process.execPath, "-e", PROGRAM, cache, `${url}/a.whl`, sha256], {
      stdout: "pipe",
      stderr: "inherit",
    });
  /** Sends half, and the rest after a while. */
  const slow: Answer = async (socket, asked) => {
    if (asked.headers.range !== undefined) return whole(socket, asked, body);
    socket.write(head(200, { "content-length": body.length }));
    socket.write(body.subarray(0, half));
    await Bun.sleep(1500);
    socket.end(body.subarray(half));
  };

  const isGrowing = (wheels: string) =>
    existsSync(wheels) &&
    readdirSync(wheels).some((name) => Bun.file(join(wheels, name)).size === half);

  test("at once fetch a file once", async () => {
    using cache = scratch();
    using server = await hostileServer(slow);
    const first = start(cache.path, server.url);
    while (!isGrowing(join(cache.path, "wheels"))) await Bun.sleep(20);
    const both = [first, start(cache.path, server.url)];
    const paths = await Promise.all(both.map((one) => new Response(one.stdout).text()));
    expect(paths[0]).toBe(paths[1] as string);
    expect(sha256Hex(readFileSync((paths[0] ?? "").trim()))).toBe(sha256);
    expect(server.asked).toHaveLength(1);
    expect(readdirSync(join(cache.path, "wheels"))).toEqual([sha256]);
  });

  test("one killed midway, the other goes on", async () => {
    using cache = scratch();
    using server = await hostileServer(slow);
    const wheels = join(cache.path, "wheels");
    const first = start(cache.path, server.url);
    while (!isGrowing(wheels)) await Bun.sleep(20);
    first.kill("SIGKILL");
    await first.exited;
    const second = start(cache.path, server.url);
    const path = (await new Response(second.stdout).text()).trim();
    expect(sha256Hex(readFileSync(path))).toBe(sha256);
    expect(server.asked.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${half}-`]);
    expect(readdirSync(wheels)).toEqual([sha256]);
  });
});

test("a part that a living process does not go on with holds nobody up", async () => {
  using cache = scratch();
  using server = await hostileServer((socket, asked) => whole(socket, asked, body));
  const wheels = join(cache.path, "wheels");
  mkdirSync(wheels);
  // The number of a process that is there, but has nothing to do with it.
  const part = join(wheels, `${sha256}.${MINE}.${process.ppid}.part`);
  writeFileSync(part, "x");
  const hourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(part, hourAgo, hourAgo);
  const [path = ""] = await fetchFiles(context(cache.path), [file(`${server.url}/a.whl`)], "/");
  expect(sha256Hex(readFileSync(path))).toBe(sha256);
  expect(server.asked.map(({ headers }) => headers.range)).toEqual([undefined]);
  const dayAgo = new Date(Date.now() - 90_000_000);
  utimesSync(part, dayAgo, dayAgo);
  await fetchFiles(
    context(cache.path),
    [file(`${server.url}/b.whl`, { sha256: "0".repeat(64) })],
    "/",
  ).catch(() => 0);
  expect(readdirSync(wheels)).toEqual([sha256]);
});

test("the first failure ends the other downloads, and what they have is kept", async () => {
  using cache = scratch();
  let cut = false;
  using server = await hostileServer(async (socket, asked) => {
    if (asked.path === "/gone.whl") {
      await Bun.sleep(300);
      return void socket.end(head(404, { "content-length": 0 }));
    }
    socket.on("close", () => (cut = true));
    socket.write(head(200, { "content-length": body.length }));
    socket.write(body.subarray(0, half));
  });
  const lost = file(`${server.url}/gone.whl`, { sha256: "0".repeat(64) });
  const begin = performance.now();
  const failure = fetchFiles(context(cache.path), [file(`${server.url}/a.whl`), lost], "/");
  await expect(failure).rejects.toMatchObject({ code: "HTTP_STATUS" });
  // Nothing but the signal would end the other one within its limit of silence.
  expect(performance.now() - begin).toBeLessThan(30_000);
  await Bun.sleep(100);
  expect(cut).toBe(true);
  const [part = ""] = readdirSync(join(cache.path, "wheels"));
  expect(Bun.file(join(cache.path, "wheels", part)).size).toBe(half);
});
