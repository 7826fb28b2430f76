/**
 * HTTPie from the index to a root that holds the C library and nothing else: staged, laid out as a launcher does it, started.
 * Downloads are kept between runs below `build/`. Skipped, with the reason, where there is no index, no Python or no bubblewrap.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Context } from "../../lib/base/mod.ts";
import { arrangeTree, compressStream, tarStream } from "../../lib/codec/mod.ts";
import type { StagedPython } from "../../lib/python/mod.ts";
import { attempt, CACHE, context, inBareRoot, layOut, slotDigest, stage } from "./place.ts";

// Machines that run other things beside may need long for a cold cache.
setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-httpie-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A manifest that only names published packages. */
async function published(
  ctx: Context,
  dependencies: string[],
  entry: string,
): Promise<StagedPython> {
  return await stage(ctx, mkdtempSync(join(folder, "project-")), manifest(dependencies, entry));
}

function manifest(dependencies: string[], entry: string): string {
  return `[project]\nname = "http"\nversion = "1.0"\ndependencies = ${JSON.stringify(dependencies)}\n[tool.sealift]\nentry_point = "${entry}"\n`;
}

const staged = await attempt(() => published(context(), ["httpie==3.2.4"], "httpie.__main__:main"));
const reason = typeof staged === "string" ? staged : undefined;
if (reason !== undefined) console.error(`HTTPie is not staged: ${reason}`);

describe.skipIf(reason !== undefined)(`HTTPie${reason === undefined ? "" : ` (${reason})`}`, () => {
  const of = staged as StagedPython;
  const place = join(folder, "package");

  test("is prepared by one setup command", async () => {
    await layOut(of, place);
    for (const step of of.setup) {
      const done = await inBareRoot(place, step.command);
      expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
    }
  });

  test("says its version", async () => {
    const { code, stdout, stderr } = await inBareRoot(place, [...of.execution.argv, "--version"]);
    expect({ code, stdout: stdout, stderr: stderr }).toEqual({
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
    expect(stdout).toStartWith("GET /?a=%C3%BC HTTP/1.1");
  });

  test("its children see the same packages, by interpreter and by name", async () => {
    const python = of.execution.argv[0] ?? "";
    const code =
      "import sys, subprocess as s; print(s.run([sys.executable, '-m', 'httpie', '--version'], capture_output=True).stdout)";
    expect((await inBareRoot(place, [python, "-I", "-c", code])).stdout).toBe("b'3.2.4\\n'\n");
    expect((await inBareRoot(place, ["{workenv}/bin/http", "--version"])).stdout).toBe("3.2.4\n");
  });

  test("no folder stands twice in the search path", async () => {
    const python = of.execution.argv[0] ?? "";
    const code = "import sys; print(len(sys.path) - len(set(sys.path)))";
    expect((await inBareRoot(place, [python, "-I", "-c", code])).stdout).toBe("0\n");
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
    expect(stderr).toBe("");
    expect(stdout).toBe("fine\n");
  });

  test("reads no variable and no folder of the machine", async () => {
    const python = of.execution.argv[0] ?? "";
    const { stdout } = await inBareRoot(place, [
      python,
      "-I",
      "-c",
      "import sys; print(chr(10).join([sys.prefix, *sys.path]))",
    ]);
    for (const path of stdout.trim().split("\n")) expect(path).toStartWith("/p/");
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
    const offline = context({ offline: true });
    const again = await published(offline, ["httpie==3.2.4"], "httpie.__main__:main");
    expect(again.report).toEqual(of.report);
    for (const { id } of of.slots)
      expect(await slotDigest(again, id)).toBe(await slotDigest(of, id));
  });

  test("everything made anew in another place has the same bytes", async () => {
    const other = context({ cacheDir: mkdtempSync(join(folder, "cache-")) });
    const a = await published(context(), ["idna==3.10"], "idna:encode");
    const b = await published(other, ["idna==3.10"], "idna:encode");
    for (const { id } of a.slots) expect(await slotDigest(b, id)).toBe(await slotDigest(a, id));
  });

  test("an archive in the layout of python-build-standalone is an interpreter too", async () => {
    const entries = of.slots.find((slot) => slot.id === "runtime")?.content.entries ?? [];
    const inside = arrangeTree(
      entries.map((entry) => ({ ...entry, path: `python/${entry.path}` })),
    );
    const archive = join(folder, "python.tar.gz");
    const stream = compressStream("gzip", 1)(tarStream(inside, { mtime: 0 }));
    await Bun.write(archive, Buffer.concat(await Array.fromAsync(stream)));
    const own = context({ cacheDir: mkdtempSync(join(folder, "cache-")) });
    const root = mkdtempSync(join(folder, "project-"));
    const packed = await stage(own, root, manifest(["idna==3.10"], "idna:encode"), archive);
    expect(packed.report.python.executable).toStartWith(own.cacheDir);
    const other = join(folder, "from-archive");
    await layOut(packed, other);
    for (const step of packed.setup)
      expect((await inBareRoot(other, step.command)).stderr).toBe("");
    const python = packed.execution.argv[0] ?? "";
    const { stdout } = await inBareRoot(other, [
      python,
      "-I",
      "-c",
      "import ssl, idna; print(idna.encode('ü.de'))",
    ]);
    expect(stdout).toBe("b'xn--tda.de'\n");
  });

  test("under its own name a package starts its entry point, not a script of that name", async () => {
    const text = manifest(["httpie==3.2.4"], "httpie.__main__:main").replace(
      "[tool.sealift]",
      '[project.scripts]\nhttp = "httpie.manager.__main__:main"\n[tool.sealift]',
    );
    const twin = await stage(context(), mkdtempSync(join(folder, "project-")), text);
    expect(Object.keys(twin.execution.entries)).toEqual(["http", "http-entry"]);
    expect(twin.execution.argv.at(-1)).toBe("{workenv}/libexec/http-entry");
    expect(twin.execution.entries.http).toEqual(twin.execution.argv);
  });

  test("a requirement that does not exist is uv's explanation, not a stack", async () => {
    await expect(published(context(), ["httpie>99"], "httpie:main")).rejects.toMatchObject({
      code: "RESOLVE",
      message: expect.stringContaining("httpie"),
    });
  });

  test("an entry point that no package holds is an error", async () => {
    await expect(published(context(), ["httpie==3.2.4"], "nowhere:main")).rejects.toMatchObject({
      code: "ENTRY_MODULE",
    });
  });
});
