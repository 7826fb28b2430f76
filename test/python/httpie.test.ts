/**
 * HTTPie from the index to a root that holds the C library and nothing else: staged, laid out as a launcher does it, started.
 * Downloads are kept between runs below `build/`. Skipped, with the reason, where there is no index, no Python or no bubblewrap.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Context, NetworkError, run, silentProgress } from "../../lib/base/mod.ts";
import { extractTar, sha256Hex, tarStream } from "../../lib/codec/mod.ts";
import { hostPlatform } from "../../lib/launcher/mod.ts";
import { readPyproject, type StagedPython, stagePython } from "../../lib/python/mod.ts";
import { bareRoot } from "../../scripts/bare-root.ts";
import { needPackages } from "../support/debian.ts";

// Machines that run other things beside may need long for a cold cache.
setDefaultTimeout(300_000);

const CACHE = join(import.meta.dir, "..", "..", "build", "test", "python-cache");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-httpie-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const context = (more: Partial<Context> = {}): Context => ({
  offline: false,
  cacheDir: CACHE,
  progress: silentProgress,
  env: process.env,
  ...more,
});

async function stage(ctx: Context, dependencies: string[], entry: string): Promise<StagedPython> {
  const root = mkdtempSync(join(folder, "project-"));
  const manifest = join(root, "pyproject.toml");
  writeFileSync(
    manifest,
    `[project]\nname = "http"\nversion = "1.0"\ndependencies = ${JSON.stringify(dependencies)}\n[tool.sealift]\nentry_point = "${entry}"\n`,
  );
  const document = Bun.TOML.parse(readFileSync(manifest, "utf8")) as Record<string, unknown>;
  return await stagePython(ctx, readPyproject(document, manifest), {
    platform: hostPlatform(),
    scratch: mkdtempSync(join(folder, "scratch-")),
  });
}

async function attempt(): Promise<StagedPython | string> {
  if (process.platform !== "linux") return "only Linux interpreters can be made relocatable";
  const sandbox = await needPackages(["bubblewrap"]);
  if (sandbox !== true) return sandbox;
  try {
    return await stage(context(), ["httpie==3.2.4"], "httpie.__main__:main");
  } catch (error) {
    if (error instanceof NetworkError) return `the package index cannot be reached (${error.code})`;
    if ((error as { code?: string }).code === "PYTHON_MISSING") return "this machine has no Python";
    throw error;
  }
}

const staged = await attempt();
const reason = typeof staged === "string" ? staged : undefined;
if (reason !== undefined) console.error(`HTTPie is not staged: ${reason}`);

/** The slots as a launcher lays them out. */
async function layOut(of: StagedPython, place: string): Promise<void> {
  for (const slot of of.slots) {
    const dir = join(place, slot.share ? `store-${slot.id}` : "work");
    mkdirSync(dir, { recursive: true });
    await extractTar(tarStream(slot.content.entries, { mtime: 315532800 }), dir);
  }
}

/** A command in the bare root, with the places of this layout. */
function inBareRoot(place: string, command: string[]): Promise<Awaited<ReturnType<typeof run>>> {
  const filled = command.map((word) =>
    word.replaceAll("{workenv}", "/p/work").replace(/\{slot:(\w+)\}/g, "/p/store-$1"),
  );
  return run(["bwrap", ...bareRoot(), "--bind", place, "/p", ...filled], { timeoutMs: 120_000 });
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe.skipIf(reason !== undefined)(`HTTPie${reason === undefined ? "" : ` (${reason})`}`, () => {
  const of = staged as StagedPython;
  const place = join(folder, "package");

  test("is prepared by one setup command", async () => {
    await layOut(of, place);
    for (const step of of.setup) {
      const done = await inBareRoot(place, step.command);
      expect({ code: done.code, stderr: text(done.stderr) }).toEqual({ code: 0, stderr: "" });
    }
  });

  test("says its version", async () => {
    const { code, stdout, stderr } = await inBareRoot(place, [...of.execution.argv, "--version"]);
    expect({ code, stdout: text(stdout), stderr: text(stderr) }).toEqual({
      code: 0,
      stdout: "3.2.4\n",
      stderr: "",
    });
  });

  test("builds a request", async () => {
    const { code, stdout } = await inBareRoot(place, [
      ...of.execution.argv,
      "--offline",
      "GET",
      "x",
      "a==ü",
    ]);
    expect(code).toBe(0);
    expect(text(stdout)).toStartWith("GET /?a=%C3%BC HTTP/1.1");
  });

  test("its children see the same packages, by interpreter and by name", async () => {
    const python = of.execution.argv[0] ?? "";
    const code =
      "import sys, subprocess as s; print(s.run([sys.executable, '-m', 'httpie', '--version'], capture_output=True).stdout)";
    expect(text((await inBareRoot(place, [python, "-I", "-c", code])).stdout)).toBe(
      "b'3.2.4\\n'\n",
    );
    expect(text((await inBareRoot(place, ["{workenv}/bin/http", "--version"])).stdout)).toBe(
      "3.2.4\n",
    );
  });

  test("every extension module of the standard library that people use is there", async () => {
    const code =
      "import ssl, sqlite3, ctypes, lzma, bz2, zlib, readline, curses, uuid, hashlib, decimal, zoneinfo, asyncio, multiprocessing.synchronize; print('fine')";
    const { stdout, stderr } = await inBareRoot(place, [
      of.execution.argv[0] ?? "",
      "-I",
      "-c",
      code,
    ]);
    expect(text(stderr)).toBe("");
    expect(text(stdout)).toBe("fine\n");
  });

  test("reads no variable and no folder of the machine", async () => {
    const python = of.execution.argv[0] ?? "";
    const { stdout } = await inBareRoot(place, [
      python,
      "-I",
      "-c",
      "import sys; print(chr(10).join([sys.prefix, *sys.path]))",
    ]);
    for (const path of text(stdout).trim().split("\n")) expect(path).toStartWith("/p/");
  });

  test("every source file has bytecode that is never checked", () => {
    for (const { id, content } of of.slots.filter((slot) => slot.id !== "app")) {
      const pyc = content.entries.filter((entry) => entry.path.endsWith(".pyc"));
      expect(pyc.length, id).toBeGreaterThan(100);
      for (const entry of pyc.slice(0, 20)) {
        expect(readFileSync(entry.source as string).readUInt32LE(4)).toBe(1);
      }
    }
  });

  test("no file tells where it was made, but for what is compiled into the interpreter", () => {
    const site = of.slots.find((slot) => slot.id === "site")?.content.entries ?? [];
    for (const entry of site) {
      if (typeof entry.source !== "string") continue;
      const bytes = readFileSync(entry.source);
      expect(bytes.includes(CACHE), entry.path).toBe(false);
    }
  });

  test("the same again from the cache, without the network, byte for byte", async () => {
    const again = await stage(
      context({ offline: true }),
      ["httpie==3.2.4"],
      "httpie.__main__:main",
    );
    expect(again.report).toEqual(of.report);
    const digest = (entries: StagedPython["slots"][number]["content"]["entries"]) =>
      sha256Hex(
        new TextEncoder().encode(JSON.stringify(entries.map((e) => ({ ...e, source: undefined })))),
      );
    expect(again.slots.map((s) => digest(s.content.entries))).toEqual(
      of.slots.map((s) => digest(s.content.entries)),
    );
  });

  test("bytecode made anew in another place has the same bytes", async () => {
    const other = context({ cacheDir: mkdtempSync(join(folder, "cache-")) });
    const [a, b] = [
      await stage(context(), ["idna==3.10"], "idna:encode"),
      await stage(other, ["idna==3.10"], "idna:encode"),
    ];
    for (const id of ["site", "app"]) {
      const bytes = async (of: StagedPython) => {
        const { entries } = of.slots.find((slot) => slot.id === id)?.content ?? { entries: [] };
        return Bun.hash(Buffer.concat(await Array.fromAsync(tarStream(entries, { mtime: 0 }))));
      };
      expect(await bytes(a)).toBe(await bytes(b));
    }
  });

  test("a requirement that does not exist is uv's explanation, not a stack", async () => {
    await expect(stage(context(), ["httpie>99"], "httpie:main")).rejects.toMatchObject({
      code: "RESOLVE",
      message: expect.stringContaining("httpie"),
    });
  });

  test("an entry point that no package holds is an error", async () => {
    await expect(stage(context(), ["httpie==3.2.4"], "nowhere:main")).rejects.toMatchObject({
      code: "ENTRY_MODULE",
    });
  });
});
