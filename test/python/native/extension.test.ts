/**
 * A project of its own with an extension module that links a library beyond the C library: built, made independent of this machine,
 * and the same bytes from another build folder. Skipped, with the reason, as httpie.test.ts is, and without a compiler.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readElf } from "../../../lib/python/native/elf.ts";
import { attempt, context, inBareRoot, layOut, slotDigest, stage } from "../place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-extension-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FILES: Record<string, string> = {
  "pyproject.toml": `[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"
[project]
name = "my-extension"
dynamic = ["version", "dependencies"]
[project.scripts]
my-extension = "my_extension.cli:main"
other = "my_extension.cli:other"
[tool.setuptools.dynamic]
version = { attr = "my_extension.__version__" }
dependencies = { file = "wanted.txt" }
[tool.sealift.runtime]
optimization_level = 1
`,
  "wanted.txt": "# nothing\n",
  "setup.py": `from setuptools import Extension, setup
setup(ext_modules=[Extension("my_extension._native", ["native.c"], libraries=["z"])])
`,
  "native.c": `#include <Python.h>
extern const char *zlibVersion(void);
static PyObject *version(PyObject *s, PyObject *a) { return PyUnicode_FromString(zlibVersion()); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", 0, -1, methods};
PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
`,
  "src/my_extension/__init__.py": '__version__ = "2.5.1"\n',
  "src/my_extension/cli.py": `import sys, multiprocessing
from . import _native
def square(x): return x * x
def main():
    assert False, "assertions are off at this level"
def other():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(square, [1, 2, 3]))
    print(_native.version() != "", sys.argv[1:], sys.flags.optimize)
    return 3
`,
};

/** Writes the project, with the left-overs of an earlier build. */
function project(name: string): string {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  mkdirSync(join(root, "build/lib/my_extension"), { recursive: true });
  writeFileSync(join(root, "build/lib/my_extension/stale.py"), "");
  return root;
}

const staged =
  existsSync("/usr/include/zlib.h") || existsSync("/usr/lib/x86_64-linux-gnu/libz.so")
    ? await attempt(() => stage(context(), project("first/app")))
    : "no zlib to link with";
const reason = typeof staged === "string" ? staged : undefined;
if (reason !== undefined) console.error(`The extension is not built: ${reason}`);

describe.skipIf(reason !== undefined)(
  `an extension module${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const of = staged as Exclude<typeof staged, string>;
    const place = join(folder, "package");

    test("gets its version from the built wheel, and every script", () => {
      expect(of.version).toBe("2.5.1");
      expect(Object.keys(of.execution.entries)).toEqual(["my-extension", "other"]);
      expect(of.execution.argv).toEqual(of.execution.entries["my-extension"] ?? []);
    });

    test("runs in a bare root, with spawned workers, arguments and exit code", async () => {
      await layOut(of, place);
      for (const step of of.setup) expect((await inBareRoot(place, step.command)).stderr).toBe("");
      const main = await inBareRoot(place, [...(of.execution.entries.other ?? []), "a b", "c"]);
      expect(main).toEqual({ code: 3, stdout: "[1, 4, 9]\nTrue ['a b', 'c'] 1\n", stderr: "" });
      expect((await inBareRoot(place, of.execution.argv)).code).toBe(0);
    });

    test("brings its library and finds it by a relative path", () => {
      const entries = of.slots.find((slot) => slot.id === "app")?.content.entries ?? [];
      const module = entries.find(
        (entry) => entry.path.includes("_native.") && entry.path.endsWith(".so"),
      );
      expect(entries.map((entry) => entry.path)).toContain("lib/sealift/libs/libz.so.1");
      const elf = readElf(module?.source as string);
      for (const path of [...elf.runpath, ...elf.rpath]) expect(path).toStartWith("$ORIGIN/");
    });

    test("holds nothing of earlier builds, and the project's folder stays as it was", () => {
      const entries = of.slots.flatMap((slot) => slot.content.entries);
      expect(entries.some((entry) => entry.path.includes("stale"))).toBe(false);
      expect(existsSync(join(folder, "first/app/my_extension.egg-info"))).toBe(false);
      expect(existsSync(join(folder, "first/app/src/my_extension.egg-info"))).toBe(false);
    });

    test("has the same bytes when it is built elsewhere", async () => {
      cpSync(join(folder, "first"), join(folder, "a/longer/place/second"), { recursive: true });
      const again = await stage(context(), join(folder, "a/longer/place/second/app"));
      for (const { id } of of.slots)
        expect(await slotDigest(again, id)).toBe(await slotDigest(of, id));
    });
  },
);
