/** uv with our index settings: private and hostile indexes, folders of wheels, and a whole pack in a world without a network. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, run, silentProgress } from "../../../lib/base/mod.ts";
import { sha256File } from "../../../lib/codec/mod.ts";
import { hostPlatform } from "../../../lib/launcher/mod.ts";
import { readPyproject, stagePython } from "../../../lib/python/mod.ts";
import type { IndexWishes } from "../../../lib/python/project/index-keys.ts";
import { testIf } from "../../support/need.ts";
import { writeWheel } from "../fixture.ts";
import { attempt, CACHE, context } from "../place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-index-")));
const links = join(folder, "links");
mkdirSync(links);
writeWheel(links, {
  files: { "demo/__init__.py": "import dep\ndef main():\n    print('dep', dep.x)\n" },
  metadata: "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: dep\n",
});
writeWheel(links, { name: "dep" });
/** Not in the cache from an earlier run. */
writeWheel(links, { name: "fresh", files: { "fresh/it.py": `x = ${Math.random()}\n` } });

type Mode = "honest" | "hangs" | "page" | "broken" | "changed" | "cut";
let mode: Mode = "honest";
let seen: string[] = [];
const LOGIN = `Basic ${btoa("me:hunter2")}`;

/** Wants a login for its pages and files. */
async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  seen.push(pathname);
  if (request.headers.get("authorization") !== LOGIN)
    return new Response("", { status: 401, headers: { "www-authenticate": "Basic" } });
  const [, place, name = ""] = pathname.split("/");
  if (place === "simple") {
    if (mode === "hangs") await Bun.sleep(20_000);
    if (mode === "page") return new Response("hello");
    if (mode === "broken") return new Response("", { status: 500 });
    const files = readdirSync(links).filter((file) => file.startsWith(`${name}-`));
    const anchors = files.map(
      async (file) =>
        `<a href="/files/${file}#sha256=${await sha256File(join(links, file))}">${file}</a>`,
    );
    if (files.length === 0) return new Response("", { status: 404 });
    const text = (await Promise.all(anchors)).join("\n");
    return new Response(text, { headers: { "content-type": "text/html" } });
  }
  const bytes = new Uint8Array(await Bun.file(join(links, name)).arrayBuffer());
  // uv reads the metadata at the end of a wheel by ranges, or takes all of it.
  if (mode === "changed") bytes[40] = (bytes[40] ?? 0) ^ 1;
  return new Response(mode === "cut" ? bytes.subarray(0, 100) : bytes);
}
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 60, fetch: answer });
beforeAll(() => void (seen = []));
afterAll(async () => {
  await server.stop(true);
  rmSync(folder, { recursive: true, force: true });
});

const manifest = (extra = "", needs = "demo") =>
  `[project]\nname = "app"\nversion = "1.0"\ndependencies = ["${needs}"]\n[tool.sealift]\nentry_point = "demo:main"\n${extra}`;

/** Stages a project; uv's own cache is empty every time. */
async function stageWith(
  index: IndexWishes,
  how: { mode?: Mode; env?: Record<string, string> } = {},
) {
  mode = how.mode ?? "honest";
  seen = [];
  const root = mkdtempSync(join(folder, "project-"));
  const path = join(root, "pyproject.toml");
  const text = manifest("", mode === "changed" ? "fresh" : "demo");
  writeFileSync(path, text);
  const project = readPyproject(Bun.TOML.parse(text) as Record<string, unknown>, path);
  const { UV_DEFAULT_INDEX: _, PIP_FIND_LINKS: __, ...outer } = process.env;
  const env = {
    ...outer,
    HOME: root,
    UV_CACHE_DIR: join(root, "uv-cache"),
    UV_HTTP_RETRIES: "0",
    UV_HTTP_TIMEOUT: "2",
    ...how.env,
  };
  return await stagePython(context({ env, progress: silentProgress }), project, {
    platform: hostPlatform(),
    scratch: mkdtempSync(join(folder, "scratch-")),
    index,
  });
}

const at = (login: string) => `http://${login}127.0.0.1:${server.port}/simple/`;
const staged = await attempt(() => stageWith({ indexUrl: at("me:hunter2@") }));
const reason = typeof staged === "string" ? staged : undefined;
if (reason !== undefined) console.error(`Nothing is staged from the loopback index: ${reason}`);

describe.skipIf(reason !== undefined)(
  `an index of our own${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test("gives packages to whom it knows, and the login goes into nothing", async () => {
      if (typeof staged === "string") return;
      expect(staged.report.packages.map(({ name }) => name)).toEqual(["demo", "dep"]);
      expect(JSON.stringify(staged)).not.toContain("hunter2");
    });

    test("takes the login from the variables of its name, and from netrc", async () => {
      const variables = { UV_INDEX_CORP_USERNAME: "me", UV_INDEX_CORP_PASSWORD: "hunter2" };
      await stageWith({ indexUrl: `corp=${at("")}` }, { env: variables });
      const netrc = join(folder, "netrc");
      writeFileSync(netrc, "machine 127.0.0.1 login me password hunter2\n");
      await stageWith({ indexUrl: at("") }, { env: { NETRC: netrc } });
      expect(seen).toContain("/simple/demo/");
    });

    const failures: [string, Mode, string, IndexWishes, string, number][] = [
      [
        "wants another login",
        "honest",
        "RESOLVE_REFUSED",
        { indexUrl: at("me:wrong-pw@") },
        "wrong-pw",
        5,
      ],
      ["hangs", "hangs", "RESOLVE_NETWORK", { indexUrl: at("me:hunter2@") }, "hunter2", 5],
      ["is broken", "broken", "RESOLVE_NETWORK", { indexUrl: at("me:hunter2@") }, "hunter2", 5],
      ["is no index", "page", "RESOLVE_NETWORK", { indexUrl: at("me:hunter2@") }, "hunter2", 5],
      [
        "is not there",
        "honest",
        "RESOLVE_NETWORK",
        { indexUrl: "http://me:hunter2@127.0.0.1:9/simple/" },
        "hunter2",
        5,
      ],
      ["changes a file", "changed", "HTTP_DIGEST", { indexUrl: at("me:hunter2@") }, "hunter2", 1],
      ["cuts a file", "cut", "RESOLVE", { indexUrl: at("me:hunter2@") }, "hunter2", 3],
    ];
    test.each(failures)("that %s is one error", async (_, how, code, index, secret, exit) => {
      const error = await stageWith(index, { mode: how }).catch((thrown) => thrown);
      expect({ code: error.code, exit: error.exit, message: error.message }).toMatchObject({
        code,
        exit,
      });
      expect(`${error.message} ${error.hint} ${JSON.stringify(error.details)}`).not.toContain(
        secret,
      );
    });
  },
);

const isolated = reason ?? (findProgram("bwrap") === undefined ? "no bubblewrap" : true);
describe("--offline", () => {
  const pack = async (text: string, ...flags: string[]) => {
    const root = mkdtempSync(join(folder, "offline-"));
    writeFileSync(join(root, "pyproject.toml"), text);
    const main = join(import.meta.dir, "..", "..", "..", "main.ts");
    const world = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"];
    const done = await run(
      [...world, process.execPath, main, "pack", root, "--offline", "--key-seed", "x", ...flags],
      {
        env: {
          ...process.env,
          PIP_FIND_LINKS: undefined,
          SEALIFT_CACHE: CACHE,
          XDG_CONFIG_HOME: root,
          UV_CACHE_DIR: join(root, "uv-cache"),
        },
      },
    );
    return {
      code: done.code,
      stderr: new TextDecoder().decode(done.stderr),
      made: readdirSync(root),
    };
  };

  testIf(isolated)("packs from a folder of wheels in a world without a network", async () => {
    const keys = `[tool.sealift.build]\nfind_links = "${links}"\n`;
    expect(await pack(manifest(keys))).toMatchObject({ code: 0 });
    expect(await pack(manifest(), "--find-links", links)).toMatchObject({ code: 0 });
  });

  testIf(isolated)("names what is missing", async () => {
    const done = await pack(manifest());
    expect(done).toMatchObject({ code: 5, stderr: expect.stringContaining("demo") });
    expect(done.made).not.toContain("dist");
    const other = await pack(manifest("", "nowhere==3"), "--find-links", links);
    expect(other).toMatchObject({ code: 5, stderr: expect.stringContaining("nowhere") });
  });
});
