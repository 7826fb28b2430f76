/**
 * A Python as a folder that runs anywhere: its prefix is copied without what an application never needs, every shared library beyond the
 * C library comes along into `lib/`, search paths become relative to the file (`$ORIGIN`, DT_RUNPATH, one per file, so that nothing
 * leaks into the libraries of other wheels), build paths in sysconfig's data become neutral, bytecode is compiled. Files for macOS
 * and Windows are signed or cannot be changed, and relocatable builds need no change: they are copied as they are.
 * The result lies in the cache under a name that covers the interpreter's files, so the next pack takes it as it is.
 */
import { chmodSync, copyFileSync, lstatSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { type Context, EnvironmentError, run } from "../../base/mod.ts";
import { scanTree, sha256Hex, type TreeEntry } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import { isElf } from "../native/elf.ts";
import { glibcFloor, type LoaderView, loaderView } from "../native/libraries.ts";
import { stripFile } from "../native/patch.ts";
import type { OptionalPart } from "../project/python-table.ts";
import { type BytecodeKind, bytecodePath, compileBytecode, kindName } from "../wheel/bytecode.ts";
import type { Interpreter } from "./interpreter.ts";
import { type CopyPlan, planCopy } from "./plan.ts";
import { neutralBuildPaths, relativeSearchPaths } from "./relocate.ts";
import { layoutOf, type Target } from "./target.ts";

/** Raised when the same input would give another result. */
const RECIPE = 4;

const NO_LIBRARIES: LoaderView = { cache: new Map(), folders: [] };

/** What makes bytecode for a target: the packed interpreter itself, or one of this machine with the same magic number. */
export interface Compiler {
  program: string;
  build: string;
}

export interface Runtime {
  /** Folder in the cache. */
  folder: string;
  /** The program inside a package, relative to the runtime's root: `bin/python3.11`. */
  programPath: string;
  entries: TreeEntry[];
  /** Absent when nothing here can, and nothing has to. */
  compiler?: Compiler;
  /** Oldest C library that it runs on, `[2, 36]`; absent for musl and for other systems. */
  glibc?: [number, number];
  /** Extension modules that were left out because a library of theirs is missing. */
  omitted: string[];
}

export interface RuntimeWishes {
  /** `undefined`: the package holds none. */
  bytecode: BytecodeKind | undefined;
  include: readonly OptionalPart[];
  /** Of a target that does not run here; absent when it does. */
  compiler?: Interpreter | undefined;
  /** No library of this machine is added; a module that needs one stays behind. */
  portable: boolean;
  /** The target is an interpreter that runs here: it compiles, and it is tried out. */
  runs: boolean;
}

/** The runtime made of `target`, from the cache or new. */
export async function stageRuntime(
  ctx: Context,
  target: Target,
  wishes: RuntimeWishes,
): Promise<Runtime> {
  const { compiler, runs } = wishes;
  // The packed interpreter's own work at pack time needs the bytecode in any case.
  const bytecode = wishes.bytecode ?? (runs ? { level: 0, docstrings: true } : undefined);
  const view = wishes.portable ? NO_LIBRARIES : await loaderView(ctx.env);
  const plan = planCopy(target, wishes.include, view);
  const made = bytecode && `${kindName(bytecode)} ${runs ? "" : compiler?.build}`;
  const key = fingerprint(plan, target, made ?? "none");
  const place = join(ctx.cacheDir, "python", "runtimes", `${target.version}-${key.slice(0, 24)}`);
  const own = { program: join(place, layoutOf(target).program), build: target.build };
  await cachedFolder(place, async (folder) => {
    ctx.progress.step(`Making Python ${target.version} relocatable`);
    await build(ctx, target, plan, { folder, portable: wishes.portable });
    const program = runs ? join(folder, layoutOf(target).program) : compiler?.executable;
    if (bytecode !== undefined && program !== undefined)
      await compileLibrary(program, target, plan, { folder, bytecode });
    if (runs) await tryOut(target, folder);
  });
  const glibc =
    target.libc.name === "glibc"
      ? glibcFloor(
          [...plan.files.map((f) => f.from), ...plan.libraries.map((l) => l.from)].filter(isElf),
        )
      : undefined;
  const used = runs ? own : compiler && { program: compiler.executable, build: compiler.build };
  return {
    folder: place,
    programPath: layoutOf(target).program,
    entries: (await scanTree(place)).filter(
      (entry) => wishes.bytecode !== undefined || !isBytecode(entry.path),
    ),
    omitted: plan.omitted,
    ...(used !== undefined && { compiler: used }),
    ...(glibc !== undefined && { glibc }),
  };
}

function isBytecode(path: string): boolean {
  return /(?:^|\/)__pycache__(?:\/|$)/.test(path);
}

/** Covers every file that goes in by path, size and time, and the interpreter's own account of its build. */
function fingerprint(plan: CopyPlan, target: Target, bytecode: string): string {
  const lines = [...plan.files, ...plan.libraries].map(({ from, to }) => {
    const info = lstatSync(realpathSync(from), { bigint: true });
    return `${to}\t${info.size}\t${info.mtimeNs}\t${info.ino}`;
  });
  const head = [RECIPE, bytecode, target.build, target.executable, target.prefix];
  return sha256Hex(new TextEncoder().encode([...head, ...lines].join("\n")));
}

async function build(
  ctx: Context,
  target: Target,
  plan: CopyPlan,
  { folder, portable }: { folder: string; portable: boolean },
): Promise<void> {
  const libraries = plan.libraries.map((library) => ({ ...library, elf: true }));
  for (const { from, to, elf } of [...plan.files, ...libraries]) {
    const copy = join(folder, to);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(realpathSync(from), copy);
    if (elf) stripFile(copy);
    chmodSync(copy, /^bin\/|\.exe$/.test(to) ? 0o755 : 0o644);
  }
  const { program, windows } = layoutOf(target);
  if (!windows) {
    for (const name of ["python3", "python"])
      symlinkSync(basename(program), join(folder, "bin", name));
  }
  if (target.platform === "linux") await relativeSearchPaths(ctx, folder, plan, portable);
  neutralBuildPaths(target, folder, plan);
}

async function compileLibrary(
  program: string,
  target: Target,
  plan: CopyPlan,
  { folder, bytecode }: { folder: string; bytecode: BytecodeKind },
): Promise<void> {
  const jobs = plan.files
    .filter(({ to }) => to.endsWith(".py"))
    .map(({ to }) => ({
      source: join(folder, to),
      name: to,
      target: join(folder, bytecodePath(to, target.cacheTag, bytecode.level)),
    }));
  await compileBytecode(program, jobs, bytecode);
}

/** A runtime that does not start, or that finds its library elsewhere, must never reach a package. */
async function tryOut(target: Target, folder: string): Promise<void> {
  const program = join(folder, layoutOf(target).program);
  const question = "import sys, os, encodings, zipimport; print(sys.prefix); print(os.__file__)";
  const { code, stdout, stderr } = await run([program, "-I", "-B", "-c", question], {
    env: {},
    timeoutMs: 60_000,
  });
  const [prefix = "", library = ""] = new TextDecoder().decode(stdout).trim().split(/\r?\n/);
  const real = realpathSync(folder);
  if (code === 0 && realpathSync(prefix) === real && realpathSync(library).startsWith(real)) return;
  throw new EnvironmentError(
    "PYTHON_RELOCATE",
    `${target.executable} does not run from another folder`,
    {
      hint: "Use an interpreter of another kind, for example a python-build-standalone archive with `--python`.",
      details: { code, prefix, stderr: new TextDecoder().decode(stderr).slice(-500) },
    },
  );
}
