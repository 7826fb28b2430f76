/**
 * Packages for systems that this machine is not: staged from real interpreters of these systems, laid out as a launcher does it, and started
 * where something here can: arm64 under qemu-user, Windows under wine. For macOS the files are looked at.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { sha256File } from "../../lib/codec/mod.ts";
import { loadProject, packProject } from "../../lib/pack/mod.ts";
import { readPyproject, type StagedPython, stagePython } from "../../lib/python/mod.ts";
import { parseBinary } from "../../lib/python/native/binary.ts";
import { needWine, startWine } from "../e2e/wine.ts";
import { needPackages } from "../support/debian.ts";
import { testIf } from "../support/need.ts";
import { codeOf, writeWheel } from "./fixture.ts";
import { attempt, context, layOut, slotDigest } from "./place.ts";
import { needStandalone, standaloneArchive, type StandalonePlatform } from "./standalone.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-cross-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Compiled and pure dependencies, one for one system only, data, workers and children. */
const PROGRAM = `
import json, multiprocessing, os, platform, subprocess, sys

def square(n):
    import markupsafe
    return n * n

def main():
    import bz2, ctypes, hashlib, idna, importlib.util, lzma, sqlite3, ssl, zlib
    from markupsafe import _speedups
    answer = {
        "version": platform.python_version(), "platform": sys.platform, "args": sys.argv[1:],
        "idna": idna.encode("\\u00fc.de").decode(), "module": os.path.basename(_speedups.__file__),
        "windows_only": importlib.util.find_spec("colorama") is not None,
        "cached": os.path.exists(__cached__), "inside": sys.executable.startswith(sys.prefix),
    }
    if "--children" in sys.argv:
        code = "import hello; print(hello.square(3))"
        answer["child"] = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        multiprocessing.set_start_method("spawn")
        with multiprocessing.Pool(2) as pool:
            answer["pool"] = pool.map(square, [1, 2, 3])
    print(json.dumps(answer))
`;

const MANIFEST = `[project]
name = "hello"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["markupsafe==3.0.2", "idna==3.10", "colorama==0.4.6; sys_platform == 'win32'"]
[project.scripts]
hello = "hello:main"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
`;

/** A build backend that needs nothing: a wheel with one module. \`TAG\` is replaced. */
const BACKEND = `
import base64, hashlib, os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "hello-1.0-TAG.whl"
    files = {
        "hello.py": open("hello.py").read(),
        "hello-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: hello\\nVersion: 1.0\\n",
        "hello-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: TAG\\n",
        "hello-1.0.dist-info/entry_points.txt": "[console_scripts]\\nhello = hello:main\\n",
    }
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        record = ""
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += "%s,sha256=%s,%d\\n" % (path, digest, len(text.encode()))
        wheel.writestr("hello-1.0.dist-info/RECORD", record + "hello-1.0.dist-info/RECORD,,\\n")
    return name
`;

const standalone = await needStandalone();
const archives = new Map<StandalonePlatform, string>();

async function writeProject(more = "", tag = "py3-none-any"): Promise<string> {
  const root = mkdtempSync(join(folder, "project-"));
  const lines = [...archives].map(([platform, path]) => `${platform} = { archive = "${path}" }\n`);
  const table = `[tool.sealift.python.archives]\n${lines.join("")}`;
  writeFileSync(join(root, "pyproject.toml"), `${MANIFEST}${more}${table}`);
  writeFileSync(join(root, "hello.py"), PROGRAM);
  writeFileSync(join(root, "backend.py"), BACKEND.replaceAll("TAG", tag));
  return root;
}

async function stageFor(
  platform: string,
  root: string,
  more: Partial<Parameters<typeof stagePython>[2]> = {},
): Promise<StagedPython> {
  const manifest = join(root, "pyproject.toml");
  const document = Bun.TOML.parse(await Bun.file(manifest).text()) as Record<string, unknown>;
  const scratch = mkdtempSync(join(folder, "scratch-"));
  return await stagePython(context(), readPyproject(document, manifest), {
    platform,
    scratch,
    ...more,
  });
}

const paths = (of: StagedPython, id: string) =>
  of.slots.find((slot) => slot.id === id)?.content.entries.map((entry) => entry.path) ?? [];

let root = "";
const first =
  standalone === true
    ? await attempt(async () => {
        for (const p of ["linux_arm64", "darwin_arm64", "windows_amd64"] as const)
          archives.set(p, await standaloneArchive(p));
        root = await writeProject();
        return await stageFor("linux_arm64", root);
      })
    : standalone;
const reason = typeof first === "string" ? first : undefined;
if (reason !== undefined) console.error(`Packages for other systems are not tried: ${reason}`);
const available = reason ?? true;

describe.skipIf(reason !== undefined)("for Linux on arm64", () => {
  const of = first as StagedPython;

  test("the interpreter is never run, and one of this machine stands in", () => {
    expect(of.report.python).toMatchObject({
      version: "3.11.11",
      platform: "linux_arm64",
      glibc: "2.17",
    });
    expect(of.report.python.host).toContain("python");
    expect(of.report.packages.map((item) => item.file)).toEqual([
      expect.stringMatching(/^MarkupSafe-3.0.2-cp311-cp311-manylinux.*_aarch64\.whl$/i),
      "idna-3.10-py3-none-any.whl",
    ]);
    expect(paths(of, "runtime")).toContain("lib/python3.11/__pycache__/os.cpython-311.pyc");
    expect(paths(of, "app")).toContain(
      "lib/python3.11/site-packages/__pycache__/hello.cpython-311.pyc",
    );
  });

  test("equal input gives equal bytes, also from another folder", async () => {
    const again = await stageFor("linux_arm64", await writeProject());
    for (const id of ["runtime", "site", "app"])
      expect(await slotDigest(again, id)).toBe(await slotDigest(of, id));
  });
});

async function pack(platform: string) {
  const output = mkdtempSync(join(folder, "out-"));
  return await packProject(context(), await loadProject(root), {
    platforms: [platform],
    keySeed: "cross",
    output: `${output}/`,
    validateBeforeSign: true,
  });
}

test.skipIf(reason !== undefined)("its libraries are proven before the key signs", async () => {
  const [output] = (await pack("linux_arm64")).outputs;
  expect(output?.python).toMatchObject({ version: "3.11.11", platform: "linux_arm64" });
  expect(JSON.stringify(output)).toContain("native files find what they need");
});

const QEMU = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
const emulator =
  available === true && process.arch === "x64"
    ? await needPackages(["qemu-user-static", "libc6-arm64-cross"])
    : (reason ?? "qemu-user is tried on x86-64 Linux");

testIf(emulator)(
  "for Linux on arm64 it runs under qemu-user",
  async () => {
    const of = first as StagedPython;
    const place = join(folder, "arm64");
    await layOut(of, place);
    const start = async (command: string[]) => {
      const filled = command.map((word) =>
        word
          .replaceAll("{workenv}", join(place, "work"))
          .replace(/\{slot:(\w+)\}/g, (_, id: string) => join(place, `store-${id}`)),
      );
      const { code, stdout, stderr } = await run([...QEMU, ...filled], { timeoutMs: 120_000 });
      return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
    };
    for (const step of of.setup)
      expect(await start(step.command)).toMatchObject({ code: 0, err: "" });
    const { code, out } = await start([...of.execution.argv, "x"]);
    expect({ code, ...JSON.parse(out) }).toEqual({
      code: 0,
      version: "3.11.11",
      platform: "linux",
      args: ["x"],
      idna: "xn--tda.de",
      module: "_speedups.cpython-311-aarch64-linux-gnu.so",
      windows_only: false,
      cached: true,
      inside: true,
    });
  },
  300_000,
);

describe.skipIf(reason !== undefined)("for macOS", () => {
  let of: StagedPython;
  beforeAll(async () => {
    of = await stageFor("darwin_arm64", root);
  });

  test("programs, libraries and modules are Mach-O of that machine, as they were", async () => {
    const runtime = of.slots.find((slot) => slot.id === "runtime")?.content.entries ?? [];
    const program = runtime.find((entry) => entry.path === "bin/python3.11");
    const bytes = await Bun.file(program?.source as string).bytes();
    const binary = parseBinary(bytes);
    expect(binary).toMatchObject({ platform: "darwin", machines: ["arm64"] });
    // Nothing of the build machine is loaded: what is not of the system is in the tree.
    for (const name of binary?.loads ?? []) {
      const inside = name.replace("@executable_path/..", "").replace(/^\//, "");
      expect(/^\/(?:usr\/lib|System)\//.test(name) || runtime.some((e) => e.path === inside)).toBe(
        true,
      );
    }
    const prefix = of.report.python.executable.slice(0, -"bin/python3.11".length);
    expect(bytes).toEqual(await Bun.file(`${prefix}bin/python3.11`).bytes());
    const [module = ""] = paths(of, "site").filter((path) =>
      path.endsWith("_speedups.cpython-311-darwin.so"),
    );
    const entry = of.slots.flatMap((slot) => slot.content.entries).find((e) => e.path === module);
    const wheel = parseBinary(await Bun.file(entry?.source as string).bytes());
    expect(wheel?.machines).toContain("arm64");
  });

  test("it starts like on Linux, and says the macOS that its wheels are for", () => {
    expect(of.execution.argv).toEqual([
      "{workenv}/bin/python3.11",
      "-I",
      "{workenv}/libexec/hello",
    ]);
    expect(of.report.python).toMatchObject({ platform: "darwin_arm64", macos: "13.0" });
    expect(of.slots.map((slot) => slot.platform)).toEqual(Array(3).fill("darwin_arm64"));
  });
});

describe.skipIf(reason !== undefined)("for Windows", () => {
  test("folders, start and markers are those of Windows, and nothing is a link", async () => {
    const of = await stageFor("windows_amd64", root);
    expect(of.execution.argv).toEqual([
      "{workenv}/Scripts/python.exe",
      "-I",
      "{workenv}/libexec/hello",
    ]);
    expect(paths(of, "runtime")).toContain("python.exe");
    expect(paths(of, "runtime")).toContain("Lib/__pycache__/os.cpython-311.pyc");
    expect(paths(of, "app")).toContain("Lib/site-packages/hello.py");
    expect(paths(of, "site")).toContain("colorama/__init__.py");
    const entries = of.slots.flatMap((slot) => slot.content.entries);
    expect(entries.filter((entry) => entry.type === "symlink")).toEqual([]);
    const names = paths(of, "app").map((path) => path.split("/")[0]);
    expect(new Set(names.map((name) => name?.toLowerCase())).size).toBe(new Set(names).size);
  });
});

const wine = available === true ? await needWine() : available;

testIf(wine)(
  "for Windows it starts under wine, with workers and children",
  async () => {
    const report = await pack("windows_amd64");
    expect(report.outputs[0]?.python).toMatchObject({
      version: "3.11.11",
      platform: "windows_amd64",
    });
    const home = join(folder, "wine");
    mkdirSync(home);
    const machine = await startWine(home);
    try {
      const start = async (args: string[]) => {
        const program = report.outputs[0]?.path ?? "";
        const env = { SEALIFT_CACHE: "C:\\cache", SEALIFT_VALIDATION: "relaxed" };
        const { code, stdout, stderr } = await machine.start([program, ...args], {
          env,
          timeoutMs: 120_000,
        });
        return { ...(JSON.parse(stdout || "{}") as Record<string, unknown>), code, stderr };
      };
      const common = {
        code: 0,
        stderr: "",
        version: "3.11.11",
        platform: "win32",
        idna: "xn--tda.de",
        module: "_speedups.cp311-win_amd64.pyd",
        windows_only: true,
        cached: true,
        inside: true,
      };
      expect<unknown>(await start(["a b"])).toEqual({ ...common, args: ["a b"] });
      expect<unknown>(await start(["--children"])).toEqual({
        ...common,
        args: ["--children"],
        child: "9",
        pool: [1, 4, 9],
      });
    } finally {
      await machine.stop();
    }
  },
  300_000,
);

test.skipIf(reason !== undefined || process.platform !== "linux" || process.arch !== "x64")(
  "the archive for this machine compiles for the others, and Python 3.14 goes in",
  async () => {
    const table = ["linux_amd64", "linux_arm64"] as const;
    const lines = await Promise.all(
      table.map(async (p) => `${p} = { archive = "${await standaloneArchive(p, "3.14.6")}" }\n`),
    );
    const newer = await writeProject();
    const manifest = join(newer, "pyproject.toml");
    const text = (await Bun.file(manifest).text()).replace('"markupsafe==3.0.2", ', "");
    const at = text.indexOf("[tool.sealift.python.archives]");
    await Bun.write(
      manifest,
      `${text.slice(0, at)}[tool.sealift.python.archives]\n${lines.join("")}`,
    );
    const of = await stageFor("linux_arm64", newer);
    expect(of.report.python).toMatchObject({ version: "3.14.6", glibc: "2.17" });
    expect(of.report.python.host).toEndWith("bin/python3.14");
    expect(paths(of, "runtime")).toContain("lib/python3.14/__pycache__/os.cpython-314.pyc");
  },
);

describe.skipIf(reason !== undefined)("what cannot be", () => {
  test("a project that builds to a wheel of this machine is refused by its name", async () => {
    const compiled = await writeProject("", "cp311-cp311-linux_x86_64");
    try {
      await stageFor("linux_arm64", compiled);
      throw new Error("nothing failed");
    } catch (error) {
      expect(error).toMatchObject({ code: "WHEEL_FOREIGN" });
      expect((error as Error).message).toContain("hello-1.0-cp311-cp311-linux_x86_64.whl");
    }
  });

  test("a dependency that is locked with wheels of other systems only is refused by its name", async () => {
    const locked = await writeProject();
    const manifest = join(locked, "pyproject.toml");
    const text = await Bun.file(manifest).text();
    await Bun.write(manifest, text.replace(/^dependencies = .*$/m, 'dependencies = ["demo"]'));
    const path = writeWheel(locked, { name: "demo", tag: "cp311-cp311-win_amd64" });
    const file = `{ path = "${basename(path)}", hashes = { sha256 = "${await sha256File(path)}" } }`;
    const lock = `lock-version = "1.0"\n[[packages]]\nname = "demo"\nwheels = [${file}]\n`;
    writeFileSync(join(locked, "pylock.toml"), lock);
    try {
      await stageFor("linux_arm64", locked, { frozen: true });
      throw new Error("nothing failed");
    } catch (error) {
      expect((error as Error).message).toContain("demo");
      expect((error as { exit: number }).exit).toBe(3);
    }
    const of = await stageFor("windows_amd64", locked, { frozen: true });
    expect(of.report.packages.map((item) => item.name)).toEqual(["demo"]);
  });

  test("without a Python of the same minor version, bytecode is an error that says what to do", async () => {
    const newer = await standaloneArchive("linux_arm64", "3.14.6");
    const python = `${newer}`;
    const options = { python, source: "local" } as const;
    expect(await codeOf(() => stageFor("linux_arm64", root, options))).toBe("PYTHON_COMPILER");
    const without = await writeProject("[tool.sealift.runtime]\ncompile_bytecode = false\n");
    const manifest = join(without, "pyproject.toml");
    const pure = (await Bun.file(manifest).text()).replace('"markupsafe==3.0.2", ', "");
    await Bun.write(manifest, pure);
    const of = await stageFor("linux_arm64", without, options);
    expect(of.report.python.version).toBe("3.14.6");
    expect(paths(of, "runtime").some((path) => path.endsWith(".pyc"))).toBe(false);
    expect(of.execution.argv).toContain("-B");
  });
});
