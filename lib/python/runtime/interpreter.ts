/**
 * Finding a Python and asking it what it is. The question is one script, run with `-I -S`, so that nothing of the machine's
 * site-packages can change the answer; a virtual environment answers for the installation it was made from.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import {
  type Context,
  EnvironmentError,
  findProgram,
  FormatError,
  run,
  UsageError,
} from "../../base/mod.ts";
import { satisfiesPython } from "../pep/specifier.ts";
import type { Target } from "./target.ts";

/** A Python that runs here. It can be the target itself, and it does what only a running interpreter can: build wheels, compile. */
export interface Interpreter extends Target {
  implementation: string;
  /** `importlib.util.MAGIC_NUMBER` in hexadecimal: two interpreters with the same one read each other's bytecode. */
  magic: string;
}

const QUESTION = `
import json, os, sys, sysconfig
from importlib.util import MAGIC_NUMBER
base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, ValueError, OSError):
    libc = ""
v = sysconfig.get_config_var
scheme = {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix, "base": sys.base_prefix, "platbase": sys.base_exec_prefix}
print(json.dumps({
    "executable": base, "version": "%d.%d.%d" % sys.version_info[:3] + ("" if sys.version_info[3] == "final" else {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]] + str(sys.version_info[4])),
    "minor": list(sys.version_info[:2]), "build": sys.version, "implementation": sys.implementation.name,
    "magic": MAGIC_NUMBER.hex(), "cacheTag": sys.implementation.cache_tag, "abiFlags": "t" if v("Py_GIL_DISABLED") else "",
    "platform": sys.platform, "machine": os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", ""),
    "libc": libc, "musl": "musl" in (v("HOST_GNU_TYPE") or ""), "prefix": os.path.realpath(sys.base_prefix),
    "stdlib": os.path.realpath(sysconfig.get_path("stdlib", vars=scheme)), "platstdlib": os.path.realpath(sysconfig.get_path("platstdlib", vars=scheme)),
    "buildPaths": sorted({p for p in (v("abs_builddir"), v("abs_srcdir")) if p}),
}))
`;

/** What the Python at `path` is. `EnvironmentError("PYTHON_BROKEN")` when it cannot answer. */
export async function probePython(path: string, ctx: Pick<Context, "env">): Promise<Interpreter> {
  const { code, stdout, stderr } = await run([path, "-I", "-S", "-c", QUESTION], {
    env: { ...ctx.env, PYTHONHOME: undefined, PYTHONPATH: undefined },
    timeoutMs: 60_000,
    maxOutput: 1 << 20,
  });
  const answer = code === 0 ? parseAnswer(stdout) : undefined;
  if (answer === undefined) {
    throw new EnvironmentError("PYTHON_BROKEN", `${path} does not work as a Python interpreter`, {
      hint: "Name another one with `--python`.",
      details: { path, code, stderr: new TextDecoder().decode(stderr).slice(-500) },
    });
  }
  return answer;
}

function parseAnswer(stdout: Uint8Array): Interpreter | undefined {
  try {
    const { libc, musl, ...rest } = JSON.parse(new TextDecoder().decode(stdout)) as Omit<
      Interpreter,
      "libc"
    > & { libc: string; musl: boolean };
    const [, major, minor] = /^glibc (\d+)\.(\d+)/.exec(libc) ?? [];
    const name = major !== undefined ? "glibc" : musl ? "musl" : "none";
    const version: [number, number] =
      name === "musl" ? [1, 2] : [Number(major ?? 0), Number(minor ?? 0)];
    return { ...rest, libc: { name, version } };
  } catch {
    return undefined;
  }
}

export interface PythonWish {
  /** `3`, `3.12`, `3.12.4`, or a path of a program. */
  python?: string;
  requiresPython?: string;
  /** Folder of the project, for relative paths. */
  cwd: string;
}

/** The interpreter to pack. `PYTHON_MISSING` says which ones were looked at and why they do not fit. */
export async function findPython(ctx: Context, wish: PythonWish): Promise<Interpreter> {
  const version =
    wish.python !== undefined && /^\d+(?:\.\d+){0,2}$/.test(wish.python) ? wish.python : undefined;
  if (wish.python !== undefined && version === undefined) return await namedPython(ctx, wish);
  const refused: string[] = [];
  const seen = new Set<string>();
  for (const path of candidates(ctx.env, version)) {
    const found = await probePython(path, ctx).catch((error: unknown) => {
      if (error instanceof EnvironmentError) return undefined;
      throw error;
    });
    if (found === undefined || seen.has(found.executable)) continue;
    seen.add(found.executable);
    const why = unfit(found, version, wish.requiresPython);
    if (why === undefined) return found;
    refused.push(`${found.executable} is ${why}`);
  }
  const wanted = version ?? wish.requiresPython ?? "3";
  throw new EnvironmentError("PYTHON_MISSING", `No Python ${wanted} was found on this machine`, {
    hint: "Install it, or name an interpreter or an archive with `--python`.",
    details: { wanted, refused },
  });
}

async function namedPython(ctx: Context, wish: PythonWish): Promise<Interpreter> {
  const name = wish.python ?? "";
  const path = findProgram(name, ctx.env, wish.cwd);
  if (path === undefined) {
    throw new EnvironmentError("PYTHON_MISSING", `${name} is no program`, {
      hint: "Name a version such as 3.12, the path of an interpreter, or an archive.",
      details: { path: name },
    });
  }
  const found = await probePython(path, ctx);
  const why = unfit(found, undefined, wish.requiresPython);
  if (why === undefined) return found;
  throw new UsageError("PYTHON_UNFIT", `${name} is ${why}`, {
    hint: `The project needs Python ${wish.requiresPython ?? "(CPython)"}; name another one with --python.`,
    details: { path, version: found.version, requires: wish.requiresPython },
  });
}

/** Why `found` cannot be used, or `undefined`. */
function unfit(found: Interpreter, version?: string, requires?: string): string | undefined {
  if (found.implementation !== "cpython") return `${found.implementation}, not CPython`;
  if (version !== undefined && !`${found.version}.`.startsWith(`${version}.`))
    return `Python ${found.version}`;
  if (found.minor[0] !== 3 || found.minor[1] < 8) return `Python ${found.version}, older than 3.8`;
  if (requires !== undefined && !satisfiesPython(found.version, requires)) {
    return `Python ${found.version}, and the project requires ${requires}`;
  }
  return undefined;
}

/** Programs worth asking: `python3` of PATH, then versioned ones from the newest on, then pyenv's. */
function* candidates(env: Record<string, string | undefined>, version?: string): Generator<string> {
  const wantedMinor = /^3\.(\d+)/.exec(version ?? "")?.[1];
  const minors =
    wantedMinor !== undefined
      ? [Number(wantedMinor)]
      : Array.from({ length: 13 }, (_, i) => 20 - i);
  const names = ["python3", ...minors.map((m) => `python3.${m}`), "python"];
  const searchPath = `${env.PATH ?? ""}:/usr/local/bin:/usr/bin`;
  for (const name of names) {
    const path = findProgram(name, { ...env, PATH: searchPath });
    if (path !== undefined) yield path;
  }
  for (const folder of pyenvFolders(env)) {
    for (const minor of minors) {
      const path = join(folder, "bin", `python3.${minor}`);
      if (existsSync(path)) yield path;
    }
  }
}

/** Installations of pyenv, newest first; `python3` of PATH may be a shim that knows only one of them. */
function pyenvFolders(env: Record<string, string | undefined>): string[] {
  const root = env.PYENV_ROOT ?? (env.HOME === undefined ? undefined : join(env.HOME, ".pyenv"));
  const versions = root === undefined ? "" : join(root, "versions");
  if (versions === "" || !existsSync(versions)) return [];
  const number = (name: string) =>
    name.split(".").reduce((sum, part) => sum * 1000 + (parseInt(part, 10) || 0), 0);
  return readdirSync(versions)
    .filter((name) => /^3\.\d+\.\d+$/.test(name))
    .sort((a, b) => number(b) - number(a))
    .map((name) => join(versions, name));
}

/** Refuses an implementation or a file that cannot be packed at all. */
export function requireLinux(python: Interpreter): void {
  if (python.platform === "linux") return;
  throw new FormatError(
    "PYTHON_PLATFORM",
    `A Python for ${python.platform} cannot be made relocatable yet`,
    {
      hint: "Pack on Linux, or name a relocatable archive with `--python`.",
      details: { platform: python.platform },
    },
  );
}
