import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { silentProgress } from "../../../lib/base/mod.ts";
import { sha256Hex } from "../../../lib/codec/mod.ts";
import { cachedFolder } from "../../../lib/python/cache.ts";
import { fetchFiles } from "../../../lib/python/index/fetch.ts";
import type { LockedFile } from "../../../lib/python/lock/locked.ts";
import { codeOf, offlineContext, scratch } from "../fixture.ts";

const body = new TextEncoder().encode("the wheel");
const sha256 = sha256Hex(body);
let asked = 0;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request) => {
    asked++;
    return new URL(request.url).pathname === "/missing"
      ? new Response("no", { status: 404 })
      : new Response(body);
  },
});
afterAll(() => server.stop(true));

const online = (cacheDir: string) => ({
  offline: false,
  cacheDir,
  progress: silentProgress,
  env: {},
});
const file = (more: Partial<LockedFile> = {}): LockedFile => ({
  kind: "wheel",
  file: "a-1-py3-none-any.whl",
  location: { url: `${server.url}a.whl` },
  sha256,
  ...more,
});

describe("fetchFiles()", () => {
  test("fetches once, and then works without the network", async () => {
    using cache = scratch();
    const before = asked;
    const twice = [file(), file({ file: "b-1-py3-none-any.whl" }), file()];
    const paths = await fetchFiles(online(cache.path), twice, "/");
    expect(paths.map((path) => readFileSync(path, "utf8"))).toEqual([
      "the wheel",
      "the wheel",
      "the wheel",
    ]);
    expect(paths.map((path) => path.split("/").at(-1))).toEqual(twice.map((f) => f.file));
    await fetchFiles(offlineContext(cache.path), twice, "/");
    // All three may have been under way together; none was asked for a second time.
    expect(asked - before).toBeLessThanOrEqual(3);
  });

  const cases: [string, string, Partial<LockedFile>][] = [
    ["another content than the lock's", "HTTP_DIGEST", { sha256: "0".repeat(64) }],
    ["more bytes than the lock's", "HTTP_TOO_LARGE", { size: 3 }],
    ["a file that is not there", "HTTP_STATUS", { location: { url: `${server.url}missing` } }],
  ];
  test.each(cases)("refuses %s and leaves nothing behind", async (_, code, more) => {
    using cache = scratch();
    expect(await codeOf(() => fetchFiles(online(cache.path), [file(more)], "/"))).toBe(code);
    expect(readdirSync(join(cache.path, "wheels"))).toEqual([]);
  });

  test("needs the network only for what is not there", async () => {
    using cache = scratch();
    expect(await codeOf(() => fetchFiles(offlineContext(cache.path), [file()], "/"))).toBe(
      "OFFLINE",
    );
  });

  test("takes files beside the lock, and compares them too", async () => {
    using cache = scratch();
    writeFileSync(join(cache.path, "x.whl"), body);
    const local = (more: Partial<LockedFile> = {}) =>
      fetchFiles(
        offlineContext(cache.path),
        [file({ location: { path: "x.whl" }, ...more })],
        cache.path,
      );
    expect(readFileSync((await local())[0] ?? "", "utf8")).toBe("the wheel");
    expect(await codeOf(() => local({ sha256: "0".repeat(64) }))).toBe("WHEEL_DIGEST");
    expect(
      await codeOf(() => local({ sha256: "1".repeat(64), location: { path: "gone.whl" } })),
    ).toBe("FILE_MISSING");
  });
});

describe("cachedFolder()", () => {
  test("is filled whole or not at all", async () => {
    using cache = scratch();
    const place = join(cache.path, "a", "b");
    const failing = () =>
      cachedFolder(place, async (folder) => {
        writeFileSync(join(folder, "half"), "");
        throw new Error("stop");
      });
    expect(failing()).rejects.toThrow("stop");
    expect(existsSync(place)).toBe(false);
    expect(readdirSync(join(cache.path, "a"))).toEqual([]);
  });

  test("two at once end with one", async () => {
    using cache = scratch();
    const place = join(cache.path, "x");
    const fill = (text: string) =>
      cachedFolder(place, async (folder) => {
        await Bun.sleep(5);
        writeFileSync(join(folder, "content"), text);
      });
    await Promise.all([fill("same"), fill("same"), fill("same")]);
    expect(readdirSync(cache.path)).toEqual(["x"]);
    expect(readFileSync(join(place, "content"), "utf8")).toBe("same");
  });
});
