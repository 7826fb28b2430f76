/** Files that a lock only names or hashes, looked up in an index that this test serves. */
import { afterAll, describe, expect, test } from "bun:test";

import { silentProgress } from "../../../lib/base/mod.ts";
import { indexSettings } from "../../../lib/python/index/index-settings.ts";
import type { LockedPackage } from "../../../lib/python/lock/locked.ts";
import { locatePackages } from "../../../lib/python/resolve/locate.ts";
import type { Resolver } from "../../../lib/python/resolve/uv.ts";
import { codeOf, scratch } from "../fixture.ts";
import { targetOf } from "./target.ts";

const sha = (digit: string) => digit.repeat(64);
const files = [
  {
    filename: "a-1-py3-none-any.whl",
    url: "files/a-1-py3-none-any.whl",
    hashes: { sha256: sha("a") },
    yanked: "broken",
  },
  {
    filename: "a-1-cp311-cp311-manylinux_2_17_x86_64.whl",
    url: "files/native.whl",
    hashes: { sha256: sha("b") },
  },
  {
    filename: "a-1-cp311-cp311-win_amd64.whl",
    url: "files/windows.whl",
    hashes: { sha256: sha("c") },
  },
  { filename: "a-1.tar.gz", url: "files/a-1.tar.gz", hashes: {} },
];
let asked: string[] = [];
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    if (!pathname.endsWith("/a/")) return new Response("no", { status: 404 });
    const page = {
      meta: { "api-version": "1.1" },
      name: "a",
      files: pathname.startsWith("/empty") ? [] : files,
    };
    return new Response(JSON.stringify(page), {
      headers: { "content-type": "application/vnd.pypi.simple.v1+json" },
    });
  },
});
afterAll(() => server.stop(true));

function lookupIn(cacheDir: string, more: { offline?: boolean; index?: string } = {}) {
  const index = indexSettings({ indexUrl: more.index ?? `${server.url}simple/` }, {}, "/", {});
  const ctx = {
    offline: more.offline ?? false,
    cacheDir,
    progress: silentProgress,
    env: {},
    index,
  };
  const resolver = {
    ctx,
    uv: () => Promise.reject(new Error("uv is not asked")),
  } as unknown as Resolver;
  return { resolver, target: targetOf(11), lock: "x.lock", root: "/", notes: [] as string[] };
}
const named = (file: string, sha256: string, indexes: string[] = []): LockedPackage => ({
  name: "a",
  version: "1",
  source: "file",
  artifact: { kind: "wheel", file, sha256, location: { indexes } },
});
const hashed = (...hashes: string[]): LockedPackage => ({
  name: "a",
  version: "1",
  source: "hashes",
  hashes,
  indexes: [],
});

describe("locatePackages()", () => {
  test("finds the address of a file by name and hash, and says that it was withdrawn", async () => {
    using cache = scratch();
    const lookup = lookupIn(cache.path);
    const [found] = await locatePackages([named("a-1-py3-none-any.whl", sha("a"))], lookup);
    expect(found).toMatchObject({
      source: "file",
      artifact: {
        sha256: sha("a"),
        location: { url: `${server.url}simple/a/files/a-1-py3-none-any.whl` },
      },
    });
    expect(lookup.notes).toEqual(["a: a-1-py3-none-any.whl was withdrawn from the index (broken)"]);
  });
  test("asks the index of the lock first, and the usual one when that has nothing", async () => {
    using cache = scratch();
    asked = [];
    const lookup = lookupIn(cache.path);
    const indexes = [`${server.url}empty/`];
    await locatePackages([named("a-1-py3-none-any.whl", sha("a"), indexes)], lookup);
    expect(asked).toEqual(["/empty/a/", "/simple/a/"]);
  });
  test("chooses among hashes the file for the target, and remembers it without the index", async () => {
    using cache = scratch();
    const item = hashed(sha("a"), sha("b"), sha("c"));
    const [found] = await locatePackages([item], lookupIn(cache.path));
    expect(found).toMatchObject({
      artifact: { file: "a-1-cp311-cp311-manylinux_2_17_x86_64.whl", sha256: sha("b") },
    });
    expect(await locatePackages([item], lookupIn(cache.path, { offline: true }))).toEqual([
      found as never,
    ]);
  });
  test("a file in the cache needs no index", async () => {
    using cache = scratch();
    await Bun.write(`${cache.path}/wheels/${sha("d")}/a-1-py3-none-any.whl`, "");
    const packages = [named("a-1-py3-none-any.whl", sha("d"))];
    const [found] = await locatePackages(packages, lookupIn(cache.path, { offline: true }));
    expect(found).toMatchObject({
      artifact: { location: { path: expect.stringContaining(sha("d")) } },
    });
  });

  test.each([
    ["another hash than the lock's", "LOCK_DIFFERS", named("a-1-py3-none-any.whl", sha("0"))],
    ["a name that is not there", "LOCK_MISSING", named("a-2-py3-none-any.whl", sha("a"))],
    ["no hash of the lock", "LOCK_MISSING", hashed(sha("0"))],
    ["nothing for the target", "LOCK_NO_WHEEL", hashed(sha("c"))],
    ["an unknown project", "LOCK_MISSING", { ...hashed(sha("a")), name: "b" }],
  ] as [string, string, LockedPackage][])("refuses %s", async (_, code, item) => {
    using cache = scratch();
    expect(await codeOf(() => locatePackages([item], lookupIn(cache.path)))).toBe(code);
  });
  test("needs the network for what it does not know", async () => {
    using cache = scratch();
    const lookup = lookupIn(cache.path, { offline: true });
    expect(await codeOf(() => locatePackages([hashed(sha("a"))], lookup))).toBe("OFFLINE");
  });
});
