/**
 * Two packs of one project on "two machines": other folders, home, time zone, language, umask, hash seed, user and caches. The project
 * has an extension module in C and a dozen dependencies. Skipped, with the reason, as httpie.test.ts is, and without a compiler.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, run } from "../../lib/base/mod.ts";
import { attempt, CACHE, context, stage } from "./place.ts";

setDefaultTimeout(600_000);

const MAIN = join(import.meta.dir, "../../main.ts");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-same-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DEPENDENCIES = [
  "rich==14.1.0",
  "httpx==0.28.1",
  "click==8.2.1",
  "pyyaml==6.0.2",
  "markupsafe==3.0.2",
  "packaging==25.0",
];
const FILES: Record<string, string> = {
  "pyproject.toml": `[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"
[project]
name = "same"
version = "1.0"
license = "MIT"
dependencies = ${JSON.stringify(DEPENDENCIES)}
[project.scripts]
same = "same.cli:main"
[tool.sealift.build]
pre_build_commands = [["python", "generate.py"]]
include_tests = true
[[tool.sealift.slots]]
id = "data"
source = "data/"
target = "data"
`,
  "setup.py": `from setuptools import Extension, setup
setup(ext_modules=[Extension("same._native", ["native.c"])])
`,
  "native.c": `#include <Python.h>
static PyObject *where(PyObject *s, PyObject *a) { return PyUnicode_FromString(__FILE__); }
static PyMethodDef methods[] = {{"where", where, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", 0, -1, methods};
PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
`,
  "generate.py": `import os, time
names = {"alpha", "beta", "gamma", "delta", "epsilon"}
with open("src/same/generated.py", "w") as f:
    f.write("NAMES = %r\\nWHEN = %r\\n" % (list(names), os.environ["SOURCE_DATE_EPOCH"]))
`,
  "src/same/__init__.py": "LETTERS = frozenset({'a', 'b', 'c', 'd', 'e', 'f'})\n",
  "src/same/cli.py": `from . import _native, generated
def main():
    ok = generated.WHEN in {"315532800", "1000000000"} and "x" not in {"p", "q", "r", "s"}
    print(_native.where(), ok, len(generated.NAMES))
`,
  "tests/test_same.py": "import same\n",
  "data/a.txt": "a",
  "data/run.sh": "#!/bin/sh\n",
};

function project(root: string, mode: number): void {
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), path.endsWith(".sh") ? mode | 0o111 : mode);
  }
}

const UID = 12345;

/** Begins a command that runs as another user, where this one may do that. */
function asOther(): string[] | undefined {
  const may = process.getuid?.() === 0 && findProgram("setpriv") !== undefined;
  return may ? ["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--clear-groups"] : undefined;
}

/** An interpreter that the other user can start too; the one of this machine's owner may lie in a private folder. */
async function commonPython(own: string): Promise<{ python: string; other: string[] | undefined }> {
  const other = asOther();
  for (const python of other === undefined ? [] : [own, "/usr/bin/python3"]) {
    // Through a shell, because setpriv itself still may what its owner may.
    const words = ["sh", "-c", '"$1" -c "import venv"', "sh", python];
    if ((await run([...(other ?? []), ...words])).code === 0) return { python, other };
  }
  return { python: own, other: undefined };
}

interface Machine {
  root: string;
  python: string;
  umask: string;
  env: Record<string, string>;
  uid?: number;
}

/** Packs in a process of its own; its caches begin with the downloads and tools that are there already. */
async function pack({ root, python, umask, env, uid }: Machine): Promise<Uint8Array> {
  const home = join(root, "home");
  const cache = join(home, "cache");
  mkdirSync(join(cache, "python"), { recursive: true });
  cpSync(join(CACHE, "wheels"), join(cache, "wheels"), { recursive: true });
  cpSync(join(CACHE, "python/tools"), join(cache, "python/tools"), { recursive: true });
  const out = join(home, "same.psp");
  const words = [
    process.execPath,
    MAIN,
    "pack",
    join(root, "project"),
    "--key-seed",
    "test123",
    "--python",
    python,
    "--compression",
    "zstd:1",
    "-o",
    out,
  ];
  const owner = uid === undefined ? [] : (asOther() ?? []);
  if (uid !== undefined) await Bun.spawn(["chown", "-R", `${uid}:${uid}`, root]).exited;
  const child = Bun.spawn(["sh", "-c", `umask ${umask}; exec "$@"`, "sh", ...owner, ...words], {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: home,
      SEALIFT_CACHE: cache,
      UV_CACHE_DIR: join(home, "uv"),
      ...proxies(),
      ...env,
    },
    stdout: "ignore",
    stderr: "pipe",
  });
  const stderr = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(stderr);
  return readFileSync(out);
}

/** What a machine needs to reach its index. */
function proxies(): Record<string, string> {
  const names = /^(?:.*_proxy|pip_.*|uv_.*|ssl_cert_.*|requests_ca_bundle|pyenv_root)$/i;
  return Object.fromEntries(
    Object.entries(process.env).filter(([name, value]) => names.test(name) && value !== undefined),
  ) as Record<string, string>;
}

// Fills the shared downloads, and says whether this machine can do it at all.
project(join(folder, "warm", "project"), 0o644);
const warm = await attempt(() => stage(context(), join(folder, "warm", "project")));
const reason =
  typeof warm === "string" ? warm : findProgram("gcc") === undefined ? "no compiler" : undefined;
if (reason !== undefined) console.error(`Nothing is packed twice: ${reason}`);

describe.skipIf(reason !== undefined)(
  `one project on two machines${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test("gives the same bytes", async () => {
      const one = join(folder, "one");
      const two = join(folder, "a longer place", "two");
      project(join(one, "project"), 0o644);
      project(join(two, "project"), 0o600);
      const { executable } = (warm as Exclude<typeof warm, string>).report.python;
      const { python, other } = await commonPython(executable);
      const first = await pack({
        python,
        root: one,
        umask: "022",
        env: { TZ: "Pacific/Kiritimati", LANG: "C", PYTHONHASHSEED: "1", USER: "anna" },
      });
      chmodSync(folder, 0o755);
      const second = await pack({
        python,
        root: two,
        umask: "077",
        env: {
          TZ: "America/St_Johns",
          LANG: "de_DE.UTF-8",
          LC_ALL: "C.UTF-8",
          PYTHONHASHSEED: "2",
          USER: "bert",
          HOSTNAME: "elsewhere",
        },
        ...(other !== undefined && { uid: UID }),
      });
      expect(Buffer.from(first).equals(second)).toBe(true);
    });
  },
);
