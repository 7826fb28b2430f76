/** Downloads beside each other: of two processes, of a process that died, and of one run. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { sha256Hex } from "../../../lib/codec/mod.ts";
import { fetchFiles } from "../../../lib/python/index/fetch.ts";
import { scratch } from "../fixture.ts";
import { type Answer, head, hostileServer, whole } from "./hostile-server.ts";
import { body, context, file, half, MINE, sha256 } from "./wanted.ts";

setDefaultTimeout(60_000);

describe("two processes", () => {
  const PROGRAM = `
    import { fetchFiles } from ${JSON.stringify(join(import.meta.dir, "../../../lib/python/index/fetch.ts"))};
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
