/**
 * Asking a Python of this machine what it is. The question is one script, run with `-I -S`, so that nothing of the machine's
 * site-packages can change the answer; a virtual environment answers for the installation it was made from.
 */
import { type Context, EnvironmentError, run } from "../../base/mod.ts";
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
