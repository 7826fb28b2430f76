/**
 * The machine's interpreter as a folder that runs anywhere: its prefix is copied without what an application never needs, every shared library
 * beyond the C library comes along into `lib/`, search paths become relative to the file (`$ORIGIN`, DT_RUNPATH, one per file, so that
 * nothing leaks into the libraries of other wheels), build paths in sysconfig's data become neutral, bytecode is compiled.
 * The result lies in the cache under a name that covers the interpreter's files, so the next pack takes it as it is.
 */
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";

import { type Context, EnvironmentError, run } from "../../base/mod.ts";
import { scanTree, sha256Hex, type TreeEntry } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import { isElf, readElf } from "../native/elf.ts";
import {
  glibcFloor,
  isCLibrary,
  type LoaderView,
  loaderView,
  resolveLibraries,
} from "../native/libraries.ts";
import { setSearchPath, stripFile } from "../native/patch.ts";
import { findTool } from "../resolve/tools.ts";
import { type BytecodeKind, bytecodePath, compileBytecode, kindName } from "../wheel/bytecode.ts";
import type { Interpreter } from "./interpreter.ts";

/** Raised when the same input would give another result. */
const RECIPE = 2;

export interface Runtime {
  /** Folder in the cache. */
  folder: string;
  /** Its program, absolute. */
  program: string;
  /** The program inside a package, relative to the runtime's root: `bin/python3.11`. */
  programPath: string;
  entries: TreeEntry[];
  /** Oldest C library that it runs on, `[2, 36]`; absent for musl. */
  glibc?: [number, number];
  /** Extension modules that were left out because a library of theirs is missing on this machine. */
  omitted: string[];
}

/** Folders of the standard library that stay behind, relative to it. */
const LEFT_FOLDERS = new Set([
  "test",
  "idlelib",
  "tkinter",
  "turtledemo",
  "ensurepip",
  "site-packages",
  "dist-packages",
  "unittest/test",
  "distutils/tests",
  "distutils/command/__pycache__",
  "lib2to3/tests",
  "ctypes/test",
  "sqlite3/test",
  "pydoc_data/__pycache__",
]);
const LEFT_FILES = [
  /^(?:turtle|sitecustomize|usercustomize)\.py$/,
  /(?:^|\/)EXTERNALLY-MANAGED$/,
  /^lib-dynload\/(?:_test|_ctypes_test|_xxtestfuzz|xxlimited|_tkinter|nis\.)/,
];

/** The runtime made of `python`, from the cache or new. */
export async function stageRuntime(
  ctx: Context,
  python: Interpreter,
  wish: BytecodeKind | undefined,
): Promise<Runtime> {
  // Its own work at pack time needs the bytecode in any case.
  const bytecode = wish ?? { level: 0, docstrings: true };
  const view = await loaderView(ctx.env);
  const plan = planCopy(python, view);
  const key = fingerprint(plan, python, bytecode);
  const place = join(ctx.cacheDir, "python", "runtimes", `${python.version}-${key.slice(0, 24)}`);
  await cachedFolder(place, async (folder) => {
    ctx.progress.step(`Making Python ${python.version} relocatable`);
    await build(ctx, python, plan, folder, bytecode);
  });
  const programPath = `bin/python${python.minor.join(".")}`;
  const runtime: Runtime = {
    folder: place,
    program: join(place, programPath),
    programPath,
    entries: (await scanTree(place)).filter(
      (entry) => wish !== undefined || !isBytecode(entry.path),
    ),
    omitted: plan.omitted,
  };
  if (python.libc.name === "glibc") {
    runtime.glibc = glibcFloor(
      [...plan.files.map((f) => f.from), ...plan.libraries.map((l) => l.from)].filter(isElf),
    );
  }
  return runtime;
}

interface CopyPlan {
  files: { from: string; to: string; elf: boolean }[];
  libraries: { from: string; to: string }[];
  omitted: string[];
}

/** What goes where, relative to the new prefix. */
function planCopy(python: Interpreter, view: LoaderView): CopyPlan {
  const program = `bin/python${python.minor.join(".")}`;
  const files = [{ from: python.executable, to: program, elf: true }];
  for (const folder of new Set([python.stdlib, python.platstdlib])) {
    const inPrefix = relative(python.prefix, folder);
    if (inPrefix.startsWith("..")) throw outsidePrefix(python, folder);
    for (const path of libraryFiles(folder, "")) {
      const from = join(folder, path);
      files.push({ from, to: `${inPrefix}/${path}`, elf: path.endsWith(".so") && isElf(from) });
    }
  }
  const modules = files.filter((file) => file.elf).map((file) => realpathSync(file.from));
  const closure = resolveLibraries(python.executable, modules, view);
  const lost = new Set(closure.missing.keys());
  const kept = files.filter((file) => !lost.has(realpathSync(file.from)));
  if (kept[0]?.to !== program) throw missingLibrary(python, closure.missing);
  return {
    files: kept,
    libraries: [...closure.libraries].map(([name, from]) => ({ from, to: `lib/${name}` })),
    omitted: files.filter((file) => !kept.includes(file)).map((file) => basename(file.to)),
  };
}

function isBytecode(path: string): boolean {
  return path.endsWith(".pyc") || path.endsWith("/__pycache__");
}

/** Files of the standard library that travel, sorted by the walk; links are followed, because their targets may stay behind. */
function* libraryFiles(root: string, folder: string): Generator<string> {
  for (const item of readdirSync(join(root, folder), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = folder === "" ? item.name : `${folder}/${item.name}`;
    const info = item.isSymbolicLink()
      ? statSync(join(root, path), { throwIfNoEntry: false })
      : item;
    if (info?.isDirectory()) {
      const left = item.name === "__pycache__" || LEFT_FOLDERS.has(path) || /^config-/.test(path);
      if (!left) yield* libraryFiles(root, path);
    } else if (
      info?.isFile() &&
      !LEFT_FILES.some((pattern) => pattern.test(path)) &&
      !/\.(?:a|o|pyc)$/.test(path)
    ) {
      yield path;
    }
  }
}

/** Covers every file that goes in by path, size and time, and the interpreter's own account of its build. */
function fingerprint(plan: CopyPlan, python: Interpreter, bytecode: BytecodeKind): string {
  const lines = [...plan.files, ...plan.libraries].map(({ from, to }) => {
    const info = lstatSync(realpathSync(from), { bigint: true });
    return `${to}\t${info.size}\t${info.mtimeNs}\t${info.ino}`;
  });
  const head = [RECIPE, kindName(bytecode), python.build, python.executable, python.prefix];
  return sha256Hex(new TextEncoder().encode([...head, ...lines].join("\n")));
}

async function build(
  ctx: Context,
  python: Interpreter,
  plan: CopyPlan,
  folder: string,
  bytecode: BytecodeKind,
): Promise<void> {
  const libraries = plan.libraries.map((library) => ({ ...library, elf: true }));
  for (const { from, to, elf } of [...plan.files, ...libraries]) {
    const target = join(folder, to);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(realpathSync(from), target);
    if (elf) stripFile(target);
    chmodSync(target, to.startsWith("bin/") ? 0o755 : 0o644);
  }
  for (const name of ["python3", "python"])
    symlinkSync(`python${python.minor.join(".")}`, join(folder, "bin", name));
  const elves = [...plan.files.filter((file) => file.elf), ...plan.libraries].map(
    (file) => file.to,
  );
  await relativeSearchPaths(ctx, folder, elves);
  neutralBuildPaths(python, folder, plan);
  await compileLibrary(python, folder, plan, bytecode);
  await tryOut(python, folder);
}

/** Gives each file that needs a bundled library, or has an absolute search path, one relative search path: `lib/` of the runtime. */
async function relativeSearchPaths(ctx: Context, folder: string, files: string[]): Promise<void> {
  const tool = await findTool(ctx, "patchelf");
  for (const file of files) {
    const path = join(folder, file);
    const elf = readElf(path);
    const searches = [...elf.rpath, ...elf.runpath];
    const needs = elf.needed.some((name) => !isCLibrary(name));
    if (!needs && searches.length === 0) continue;
    const toLib = relative(dirname(file), "lib");
    const origin = toLib === "" ? "$ORIGIN" : `$ORIGIN/${toLib}`;
    // Set also where it is not needed: removing the entry would leave the old path in the string table.
    await setSearchPath(ctx, path, origin, { tool });
  }
}

/** Where an interpreter was built and installed is nobody's business on the target; prefixes of the system stay. */
function neutralBuildPaths(python: Interpreter, folder: string, plan: CopyPlan): void {
  const system = python.prefix === "/usr" || python.prefix === "/usr/local";
  for (const { to } of plan.files) {
    if (!/(?:^|\/)_sysconfigdata_[^/]*\.py$/.test(to)) continue;
    let text = readFileSync(join(folder, to), "utf8");
    for (const path of python.buildPaths)
      if (path.length > 1) text = text.replaceAll(path, "/build");
    if (!system) text = text.replaceAll(python.prefix, "/install");
    writeFileSync(join(folder, to), text);
  }
}

async function compileLibrary(
  python: Interpreter,
  folder: string,
  plan: CopyPlan,
  bytecode: BytecodeKind,
): Promise<void> {
  const jobs = plan.files
    .filter(({ to }) => to.endsWith(".py"))
    .map(({ to }) => ({
      source: join(folder, to),
      name: to,
      target: join(folder, bytecodePath(to, python.cacheTag, bytecode.level)),
    }));
  await compileBytecode(join(folder, "bin", `python${python.minor.join(".")}`), jobs, bytecode);
}

/** A runtime that does not start, or that finds its library elsewhere, must never reach a package. */
async function tryOut(python: Interpreter, folder: string): Promise<void> {
  const program = join(folder, "bin", `python${python.minor.join(".")}`);
  const question = "import sys, os, encodings, zipimport; print(sys.prefix); print(os.__file__)";
  const { code, stdout, stderr } = await run([program, "-I", "-B", "-c", question], {
    env: {},
    timeoutMs: 60_000,
  });
  const [prefix = "", library = ""] = new TextDecoder().decode(stdout).trim().split("\n");
  const real = realpathSync(folder);
  if (code === 0 && realpathSync(prefix) === real && realpathSync(library).startsWith(real)) return;
  throw new EnvironmentError(
    "PYTHON_RELOCATE",
    `${python.executable} does not run from another folder`,
    {
      hint: "Use an interpreter of another kind, for example a python-build-standalone archive with `--python`.",
      details: { code, prefix, stderr: new TextDecoder().decode(stderr).slice(-500) },
    },
  );
}

function outsidePrefix(python: Interpreter, folder: string): EnvironmentError {
  return new EnvironmentError(
    "PYTHON_LAYOUT",
    `${python.executable}: its library ${folder} lies outside its prefix ${python.prefix}`,
    {
      hint: "Name another interpreter with `--python`.",
      details: { prefix: python.prefix, folder },
    },
  );
}

function missingLibrary(python: Interpreter, missing: Map<string, string[]>): EnvironmentError {
  const names = [...new Set([...missing.values()].flat())].sort();
  return new EnvironmentError(
    "PYTHON_LIBRARY",
    `${python.executable} needs ${names.join(", ")}, not found on this machine`,
    {
      hint: "Install what provides it, or name another interpreter with `--python`.",
      details: { missing: names },
    },
  );
}
