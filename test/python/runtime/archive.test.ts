/** Archives from the network follow the index settings: logins, trusted hosts, certificates. */
import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { arrangeTree, compressStream, sha256Hex, tarStream } from "../../../lib/codec/mod.ts";
import { unpackArchive } from "../../../lib/python/runtime/archive.ts";
import { codeOf, offlineContext, scratch } from "../fixture.ts";

const FILE = new TextEncoder().encode("here");
const ENTRY = {
  path: "python/bin/python3",
  type: "file",
  mode: 0o755,
  size: FILE.length,
  source: { bytes: FILE },
} as const;

test("a login of netrc opens an archive, and only its own host's", async () => {
  using here = scratch();
  const tar = tarStream(arrangeTree([ENTRY]), { mtime: 0 });
  const bytes = Buffer.concat(await Array.fromAsync(compressStream("gzip", 6)(tar)));
  const expected = `Basic ${Buffer.from("me:secret").toString("base64")}`;
  using server = Bun.serve({
    port: 0,
    fetch: ({ headers }) =>
      headers.get("authorization") === expected
        ? new Response(bytes)
        : new Response("", { status: 401 }),
  });
  const netrc = join(here.path, "netrc");
  writeFileSync(netrc, "machine 127.0.0.1 login me password secret\n");
  const unpack = (env: Record<string, string>, host = "127.0.0.1") =>
    unpackArchive(
      { ...offlineContext(join(here.path, "cache")), offline: false, env },
      {
        location: `http://${host}:${server.port}/python.tar.gz`,
        sha256: sha256Hex(bytes),
      },
      here.path,
    );
  expect(await codeOf(() => unpack({ NETRC: join(here.path, "none") }))).toBe("HTTP_STATUS");
  expect(await codeOf(() => unpack({ NETRC: netrc }, "localhost"))).toBe("HTTP_STATUS");
  const { prefix } = await unpack({ NETRC: netrc });
  expect(existsSync(join(prefix, "bin", "python3"))).toBe(true);
});

test("plain http to another machine needs a host that is trusted", async () => {
  using here = scratch();
  const ctx = { ...offlineContext(here.path), offline: false };
  const location = "http://python.invalid/python.tar.gz";
  const archive = { location, sha256: "0".repeat(64) };
  expect(await codeOf(() => unpackArchive(ctx, archive, here.path))).toBe("HTTP_PLAIN");
});
