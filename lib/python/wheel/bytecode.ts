/**
 * Bytecode, compiled by the packed interpreter itself as unchecked-hash `.pyc` (PEP 552): the interpreter never compares it with the source,
 * so a start reads and writes nothing more. Deterministic: every file is compiled in a fork of one fresh interpreter, because
 * what a process compiled before shows in the reference flags of what it compiles next; hash seed fixed; relative file names recorded.
 */
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";

import { EnvironmentError, run } from "../../base/mod.ts";

export interface CompileJob {
  source: string;
  /** The name that the code object remembers; the importer replaces it by the real path. */
  name: string;
  /** Where the `.pyc` goes. */
  target: string;
}

export type OptimisationLevel = 0 | 1 | 2;

const COMPILER = `
import gc, os, sys, json
import importlib._bootstrap_external as boot
import _imp, marshal
request = json.load(sys.stdin)
level, limit = request["level"], request["parallel"]
failed, running = [], {}

def compile_one(source, name, target):
    with open(source, "rb") as f:
        data = f.read()
    try:
        code = compile(data, name, "exec", dont_inherit=True, optimize=level)
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError, OverflowError, MemoryError):
        return 3
    pyc = boot._code_to_hash_pyc(code, _imp.source_hash(boot._RAW_MAGIC_NUMBER, data), False)
    with open(target, "xb") as f:
        f.write(pyc)
    return 0

def reap():
    pid, status = os.wait()
    index = running.pop(pid)
    code = os.waitstatus_to_exitcode(status) if hasattr(os, "waitstatus_to_exitcode") else status >> 8
    if code == 3:
        failed.append(index)
    elif code != 0:
        sys.exit("compiling " + request["jobs"][index][0] + " ended with " + str(code))

import warnings
warnings.simplefilter("ignore")
# Children share this process's pages as long as no collection touches them.
gc.disable()
gc.freeze()
for index, (source, name, target) in enumerate(request["jobs"]):
    if len(running) >= limit:
        reap()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = compile_one(source, name, target)
        finally:
            os._exit(code)
    running[pid] = index
while running:
    reap()
json.dump(sorted(failed), sys.stdout)
`;

/**
 * Compiles `jobs` with the interpreter at `python`; gives the sources that are not valid for it (templates, files for other versions).
 * `EnvironmentError("BYTECODE")` when the compiler itself fails.
 */
export async function compileBytecode(
  python: string,
  jobs: CompileJob[],
  level: OptimisationLevel,
): Promise<string[]> {
  if (jobs.length === 0) return [];
  for (const folder of new Set(jobs.map((job) => dirname(job.target))))
    mkdirSync(folder, { recursive: true });
  const request = {
    level,
    parallel: availableParallelism(),
    jobs: jobs.map((job) => [job.source, job.name, job.target]),
  };
  // Not `-I`: it would also ignore the hash seed, which decides the order of constants in sets before Python 3.11.
  const { code, stdout, stderr } = await run([python, "-S", "-s", "-B", "-c", COMPILER], {
    input: JSON.stringify(request),
    env: { PYTHONHASHSEED: "0", LC_ALL: "C", PYTHONUTF8: "1" },
  });
  if (code === 0) {
    const failed = JSON.parse(new TextDecoder().decode(stdout)) as number[];
    return failed.map((index) => jobs[index]?.source ?? "");
  }
  throw new EnvironmentError("BYTECODE", `${python}: compiling the bytecode failed`, {
    hint: "The interpreter does not work; name another one with `--python`.",
    details: { code, stderr: new TextDecoder().decode(stderr).slice(-1000) },
  });
}

/** `pkg/mod.py` → `pkg/__pycache__/mod.cpython-311.opt-1.pyc` (PEP 3147 and 488). */
export function bytecodePath(path: string, cacheTag: string, level: OptimisationLevel): string {
  const slash = path.lastIndexOf("/");
  const folder = slash < 0 ? "" : path.slice(0, slash + 1);
  const stem = path.slice(slash + 1, -".py".length);
  return `${folder}__pycache__/${stem}.${cacheTag}${level === 0 ? "" : `.opt-${level}`}.pyc`;
}
