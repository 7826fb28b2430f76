/** Downloads from servers that break off, lie, stall or answer with something else. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { SealiftError } from "../../../lib/base/mod.ts";
import { sha256Hex } from "../../../lib/codec/mod.ts";
import { fetchFiles } from "../../../lib/python/index/fetch.ts";
import type { LockedFile } from "../../../lib/python/lock/locked.ts";
import { scratch } from "../fixture.ts";
import { type Answer, head, hostileServer, whole } from "./hostile-server.ts";
import { body, context, file, half, MINE, sha256 } from "./wanted.ts";

setDefaultTimeout(60_000);

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
