/** Interpreters described from their files: real ones for five platforms, and trees that lie. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { unpackArchive } from "../../../lib/python/runtime/archive.ts";
import { readTarget } from "../../../lib/python/runtime/description.ts";
import { planCopy } from "../../../lib/python/runtime/plan.ts";
import { layoutOf, platformOf } from "../../../lib/python/runtime/target.ts";
import { codeOf } from "../fixture.ts";
import { context } from "../place.ts";
import { needStandalone, STANDALONE, standaloneArchive } from "../standalone.ts";

setDefaultTimeout(300_000);

const folder = mkdtempSync(join(tmpdir(), "sealift-description-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const available = await needStandalone();
if (available !== true) console.error(`No interpreters of other systems: ${available}`);
const VIEW = { cache: new Map<string, string[]>(), folders: [] };

async function described(platform: (typeof STANDALONE)[number]) {
  const archive = { location: await standaloneArchive(platform) };
  const { prefix, digest, origin } = await unpackArchive(context(), archive, "/");
  return readTarget(prefix, digest, origin);
}

describe.skipIf(available !== true)("an archive for another system", () => {
  test.each([
    ["linux_amd64", "linux", "x86_64"],
    ["linux_arm64", "linux", "aarch64"],
    ["darwin_amd64", "darwin", "x86_64"],
    ["darwin_arm64", "darwin", "arm64"],
    ["windows_amd64", "win32", "AMD64"],
  ] as const)("%s is described", async (platform, system, machine) => {
    const target = await described(platform);
    expect(target).toMatchObject({
      version: "3.11.11",
      minor: [3, 11],
      cacheTag: "cpython-311",
      abiFlags: "",
      platform: system,
      machine,
      libc: system === "linux" ? { name: "glibc", version: [2, 28] } : { name: "none" },
    });
    expect(platformOf(target)).toBe(platform);
  });

  test.each(["linux_arm64", "darwin_arm64", "windows_amd64"] as const)(
    "%s: what goes in, and what stays behind",
    async (platform) => {
      const target = await described(platform);
      const { library, program } = layoutOf(target);
      const paths = planCopy(target, [], VIEW).files.map((file) => file.to);
      expect(paths).toContain(program);
      for (const path of ["os.py", "ssl.py", "asyncio/__init__.py", "sqlite3/__init__.py"])
        expect(paths).toContain(`${library}/${path}`);
      const left =
        /\/(?:test|idlelib|tkinter|ensurepip|site-packages|turtle\.py)(?:\/|$)|_tkinter|tcl8|_test|\.(?:pdb|lib|a|h)$/;
      expect(paths.filter((path) => left.test(path))).toEqual([]);
      if (platform === "windows_amd64") {
        expect(paths).toContain("python311.dll");
        expect(paths).toContain("vcruntime140.dll");
        expect(paths).toContain("DLLs/_ssl.pyd");
        expect(paths).toContain("DLLs/libssl-3-x64.dll");
      }
    },
  );

  test("tkinter comes when it is asked for, with its Tcl", async () => {
    const target = await described("windows_amd64");
    const paths = planCopy(target, ["tkinter"], VIEW).files.map((file) => file.to);
    for (const path of ["DLLs/_tkinter.pyd", "DLLs/tcl86t.dll", "Lib/tkinter/__init__.py"])
      expect(paths).toContain(path);
    expect(paths.some((path) => path.startsWith("tcl/"))).toBe(true);
    // The module has the archive's Tcl on Windows only.
    const mac = await described("darwin_arm64");
    expect(await codeOf(() => planCopy(mac, ["ensurepip"], VIEW))).toBe("PYTHON_PART");
  });

  test("a program for another system than its folders, cut off or missing is refused", async () => {
    const { prefix } = await described("linux_arm64");
    const windows = await described("windows_amd64");
    const refused = async (change: (copy: string) => void) => {
      const copy = mkdtempSync(join(folder, "tree-"));
      for (const path of ["bin/python3.11", "lib/python3.11/os.py"]) {
        mkdirSync(join(copy, dirname(path)), { recursive: true });
        cpSync(join(prefix, path), join(copy, path));
      }
      const library = "lib/libpython3.11.so.1.0";
      if (existsSync(join(prefix, library))) cpSync(join(prefix, library), join(copy, library));
      expect(readTarget(copy, "b", "x").version).toBe("3.11.11");
      change(copy);
      return await codeOf(() => readTarget(copy, "b", "x"));
    };
    const program = "bin/python3.11";
    expect(await refused((c) => rmSync(join(c, program)))).toBe("PYTHON_ARCHIVE");
    expect(await refused((c) => rmSync(join(c, "lib/python3.11/os.py")))).toBe("PYTHON_ARCHIVE");
    expect(await refused((c) => writeFileSync(join(c, program), "#!/bin/sh\n"))).toBe(
      "PYTHON_ARCHIVE",
    );
    expect(await refused((c) => cpSync(windows.executable, join(c, program)))).toBe(
      "PYTHON_ARCHIVE",
    );
    const header = (version: string) => (c: string) => {
      mkdirSync(join(c, "include/python3.11"), { recursive: true });
      const line = `#define PY_VERSION      "${version}"\n`;
      writeFileSync(join(c, "include/python3.11/patchlevel.h"), line);
    };
    expect(await refused(header("3.11.11"))).toBeUndefined();
    expect(await refused(header("3.12.1"))).toBe("PYTHON_ARCHIVE");
  });
});

test.each([
  ["no archive by its name", "x.zip", ""],
  ["not an archive", "x.tar.gz", "not gzip"],
  ["an empty one", "y.tar.gz", Bun.gzipSync(new Uint8Array(1024))],
])("%s is refused", async (_, name, content) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  const code = await codeOf(() =>
    unpackArchive(context({ cacheDir: folder }), { location: path }, "/"),
  );
  expect(code).toMatch(/^(?:PYTHON_ARCHIVE|STREAM_|GZIP|COMPRESS|DECOMPRESS|TAR)/);
});

test("an archive whose digest is another is refused, and one that is not there", async () => {
  const path = join(folder, "z.tar.gz");
  writeFileSync(path, Bun.gzipSync(new Uint8Array(1024)));
  const ctx = context({ cacheDir: folder });
  const sha256 = "0".repeat(64);
  expect(await codeOf(() => unpackArchive(ctx, { location: path, sha256 }, "/"))).toBe(
    "PYTHON_DIGEST",
  );
  expect(await codeOf(() => unpackArchive(ctx, { location: "no.tar.gz" }, folder))).toBe(
    "PYTHON_MISSING",
  );
  const location = "https://127.0.0.1:9/a.tar.gz";
  expect(await codeOf(() => unpackArchive(ctx, { location }, "/"))).toBe("PYTHON_ARCHIVE");
  const offline = context({ cacheDir: folder, offline: true });
  expect(await codeOf(() => unpackArchive(offline, { location, sha256 }, "/"))).toBe("OFFLINE");
});
