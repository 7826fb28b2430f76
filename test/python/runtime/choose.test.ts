/** Where a Python comes from: this machine, an archive on loopback, uv with a list and a mirror on loopback. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Context, findProgram, NetworkError } from "../../../lib/base/mod.ts";
import { sha256File } from "../../../lib/codec/mod.ts";
import { readPyproject } from "../../../lib/python/project/project.ts";
import { findTool } from "../../../lib/python/resolve/tools.ts";
import { choosePython, type PythonAsked } from "../../../lib/python/runtime/choose.ts";
import { ownPlatform } from "../../../lib/python/runtime/target.ts";
import { codeOf } from "../fixture.ts";
import { CACHE, context } from "../place.ts";
import { needStandalone, standaloneArchive } from "../standalone.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-choose-")));
const hostPlatform = ownPlatform();
const PYTHON = findProgram("python3");

function project(python = "", requires = ">=3.8") {
  const root = mkdtempSync(join(folder, "project-"));
  const text = `[project]\nname = "x"\nversion = "1"\nrequires-python = "${requires}"\n[tool.sealift.python]\n${python}`;
  return readPyproject(
    Bun.TOML.parse(text) as Record<string, unknown>,
    join(root, "pyproject.toml"),
  );
}

const choose = async (
  of: ReturnType<typeof project>,
  asked: Partial<PythonAsked> = {},
  more: Partial<Context> = {},
) => await choosePython(context(more), of, { platform: hostPlatform, hostPlatform, ...asked });

/** An empty cache, but for the tools, whose fetching takes its time. */
function freshCache(name: string): string {
  const place = join(folder, name, "python");
  mkdirSync(place, { recursive: true });
  mkdirSync(join(CACHE, "python", "tools"), { recursive: true });
  if (!existsSync(join(place, "tools")))
    symlinkSync(join(CACHE, "python", "tools"), join(place, "tools"));
  return join(folder, name);
}

async function failure(action: () => Promise<unknown>) {
  try {
    await action();
  } catch (error) {
    return error as { code: string; message: string; hint?: string };
  }
  throw new Error("nothing failed");
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(PYTHON === undefined || process.platform !== "linux")("of this machine", () => {
  test("any that fits is taken, and it is target, host and compiler", async () => {
    const found = await choose(project());
    expect(found).toMatchObject({ runs: true });
    expect(found.target).toBe(found.host);
    expect(found.compiler?.magic).toMatch(/^[0-9a-f]{8}$/);
  });

  test("a path counts before all that could be found", async () => {
    const { host } = await choose(project());
    const named = await choose(project(`path = "${host.executable}"`));
    expect(named.host.executable).toBe(host.executable);
    const { code } = await failure(() => choose(project('path = "no/python"')));
    expect(code).toBe("PYTHON_MISSING");
    const unfit = await failure(() => choose(project("", ">=3.98"), { python: host.executable }));
    expect(unfit).toMatchObject({ code: "PYTHON_UNFIT" });
    expect(unfit.message).toContain(`Python ${host.version}, not >=3.98 (requires-python)`);
  });

  test("when none fits, the error says which were found and why they are refused", async () => {
    const { host } = await choose(project());
    const error = await failure(() =>
      choose(project('source = "local"', ">=3.98"), {}, { offline: true }),
    );
    expect(error).toMatchObject({ code: "PYTHON_MISSING" });
    expect(error.message).toContain("No Python >=3.98 (requires-python)");
    expect(error.message).toContain(`${host.executable} is Python ${host.version}, not >=3.98`);
  });

  test("for another platform none of this machine will do, and a program of it is refused", async () => {
    const platform = hostPlatform === "linux_arm64" ? "linux_amd64" : "linux_arm64";
    const named = await failure(() => choose(project(), { platform, python: "python3" }));
    expect(named.code).toBe("PYTHON_PLATFORM");
    const local = await failure(() => choose(project(), { platform, source: "local" }, OFFLINE));
    expect(local.code).toBe("PYTHON_MISSING");
  });
});

const OFFLINE = { offline: true, cacheDir: join(folder, "empty") };

const tools = PYTHON === undefined ? "this machine has no Python" : await uvIsThere();
const standalone = await needStandalone();
const reason = [tools, standalone].find((answer) => answer !== true);
if (reason !== undefined) console.error(`Managed interpreters are not tried: ${reason}`);

async function uvIsThere(): Promise<true | string> {
  try {
    await findTool(context(), "uv");
    return true;
  } catch (error) {
    if (error instanceof NetworkError) return `uv cannot be fetched (${error.code})`;
    throw error;
  }
}

describe.skipIf(reason !== undefined)("from an archive or by uv", () => {
  const requests: string[] = [];
  let server: ReturnType<typeof Bun.serve>;
  let archive: string;
  let sha256: string;
  const KEY = "cpython-3.11.11-linux-aarch64-gnu";

  beforeAll(async () => {
    archive = await standaloneArchive("linux_arm64");
    sha256 = await sha256File(archive);
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const path = new URL(request.url).pathname;
        requests.push(path);
        if (path.endsWith("list.json")) return Response.json(list(path.includes("lie")));
        if (path.endsWith("/python.tar.gz")) return new Response(Bun.file(archive));
        if (path.startsWith("/mirror/")) return new Response(Bun.file(archive));
        return new Response("no", { status: 404 });
      },
    });
  });
  afterAll(async () => await server.stop(true));

  const url = (path: string) => `http://127.0.0.1:${server.port}/${path}`;

  /** What uv reads at UV_PYTHON_DOWNLOADS_JSON_URL. */
  function list(lie: boolean) {
    const common = { name: "cpython", os: "linux", libc: "gnu", major: 3, minor: 11, patch: 11 };
    const arch = { family: "aarch64", variant: null };
    const rest = { prerelease: "", variant: null, build: "20241219" };
    const digest = lie ? "0".repeat(64) : sha256;
    return { [KEY]: { ...common, arch, ...rest, url: url("python.tar.gz"), sha256: digest } };
  }

  const listed = (name: string, cache = "managed") => {
    const env = { ...process.env, UV_PYTHON_DOWNLOADS_JSON_URL: url(name) };
    return { env, cacheDir: freshCache(cache) };
  };
  const ARM = { platform: "linux_arm64" };

  test("an address with its digest is fetched once", async () => {
    const of = project(
      `archives.linux_arm64 = { archive = "${url("a/python.tar.gz")}", sha256 = "${sha256}" }`,
    );
    const more = { cacheDir: join(folder, "remote") };
    const { target, runs, compiler } = await choose(of, ARM, more);
    expect(target).toMatchObject({ version: "3.11.11", machine: "aarch64" });
    expect(runs).toBe(false);
    expect(compiler?.cacheTag ?? "cpython-311").toBe("cpython-311");
    expect(requests.filter((path) => path === "/a/python.tar.gz").length).toBe(1);
    await choose(of, ARM, { ...more, offline: true });
    expect(requests.filter((path) => path === "/a/python.tar.gz").length).toBe(1);
  });

  test("an address with another digest leaves nothing behind", async () => {
    const wrong = project(`archive = "${url("python.tar.gz")}"\nsha256 = "${"1".repeat(64)}"`);
    const cacheDir = join(folder, "wrong");
    expect(await codeOf(() => choose(wrong, ARM, { cacheDir }))).toBe("HTTP_DIGEST");
    const left = await Array.fromAsync(
      new Bun.Glob("python/archives/*").scan({ cwd: cacheDir, onlyFiles: false }),
    ).catch(() => []);
    expect(left).toEqual([]);
  });

  test("an archive for another platform or version is refused", async () => {
    const other = project(`archive = "${archive}"`);
    expect(await codeOf(() => choose(other))).toBe("PYTHON_PLATFORM");
    const newer = await failure(() => choose(project(`archive = "${archive}"`, ">=3.12"), ARM));
    expect(newer).toMatchObject({ code: "PYTHON_UNFIT" });
    expect(newer.message).toContain("Python 3.11.11, not >=3.12 (requires-python)");
  });

  test("uv's is fetched for another platform, and offline the cache's is taken", async () => {
    const of = project('version = "3.11"');
    const { target, runs } = await choose(of, ARM, listed("list.json"));
    expect(target).toMatchObject({ version: "3.11.11", build: KEY, machine: "aarch64" });
    expect(runs).toBe(false);
    const before = requests.length;
    const again = await choose(of, ARM, { ...listed("list.json"), offline: true });
    expect(again.target.executable).toBe(target.executable);
    expect(requests.length).toBe(before);
    const none = await failure(() =>
      choose(of, { platform: "darwin_arm64" }, { ...listed("list.json"), offline: true }),
    );
    expect(none.code).toBe("PYTHON_MISSING");
  });

  test("what uv could fetch stands in the hint", async () => {
    const of = project('version = "3.11"\nsource = "local"');
    const error = await failure(() => choose(of, ARM, listed("list.json", "hint")));
    expect(error).toMatchObject({ code: "PYTHON_MISSING" });
    expect(error.hint).toContain("uv can fetch 3.11.11");
    const newer = await failure(() =>
      choose(project('version = "3.12"'), ARM, listed("list.json", "hint")),
    );
    expect(newer).toMatchObject({ code: "PYTHON_MISSING" });
    expect(newer.message).toContain("3.12 (python.version)");
  });

  test("a file that has another digest than uv knows is refused, from the list and from a mirror", async () => {
    const lie = await failure(() =>
      choose(project('version = "3.11"'), ARM, listed("lie/list.json", "lie")),
    );
    expect(lie.code).toBe("PYTHON_DIGEST");
    const mirrored = project(`version = "3.11"\nmirror = "${url("mirror")}"`);
    const env = { ...process.env, UV_HTTP_RETRIES: "0" };
    const cacheDir = freshCache("mirror");
    const mirror = await failure(() => choose(mirrored, ARM, { env, cacheDir }));
    expect(mirror.code).toBe("PYTHON_DIGEST");
    expect(requests.some((path) => /^\/mirror\/\d+\/cpython-3\.11\.\d+/.test(path))).toBe(true);
  });

  test("a mirror that cannot be reached is a network error", async () => {
    const env = {
      ...process.env,
      UV_PYTHON_INSTALL_MIRROR: "http://127.0.0.1:9/",
      UV_HTTP_RETRIES: "0",
    };
    const error = await failure(() =>
      choose(project('version = "3.11"'), ARM, { env, cacheDir: freshCache("none") }),
    );
    expect(error).toBeInstanceOf(NetworkError);
    expect(error.code).toBe("PYTHON_FETCH");
  });
});
