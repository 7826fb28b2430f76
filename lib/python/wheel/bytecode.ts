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

/** What `.pyc` files are made with. */
export interface BytecodeKind {
  level: 0 | 1 | 2;
  /** False: without docstrings, also below level 2. */
  docstrings: boolean;
}

const COMPILER = `
import ast, gc, os, sys, json
import importlib._bootstrap_external as boot
import _imp, marshal
request = json.load(sys.stdin)
level, limit, docstrings = request["level"], request["parallel"], request["docstrings"]
failed, running = [], {}
# Python 3.14 moved it.
magic = getattr(boot, "_RAW_MAGIC_NUMBER", None) or _imp.pyc_magic_number_token
documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

def without_docstrings(tree):
    for node in ast.walk(tree):
        if not isinstance(node, documented) or not node.body or not is_text(node.body[0]):
            continue
        first = node.body[0]
        # All of them: the second text would become the docstring.
        while node.body and is_text(node.body[0]):
            del node.body[0]
        if not node.body and not isinstance(node, ast.Module):
            node.body.append(ast.copy_location(ast.Pass(), first))
    return tree

def compile_one(path, name, target):
    # The name of the source may be as long as names get; that of its bytecode is longer.
    if len(os.fsencode(os.path.basename(target))) > 255:
        return 3
    with open(path, "rb") as f:
        data = f.read()
    try:
        source = data
        if not docstrings:
            source = without_docstrings(compile(data, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True))
        code = compile(source, name, "exec", dont_inherit=True, optimize=level)
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError, OverflowError, MemoryError):
        return 3
    pyc = boot._code_to_hash_pyc(code, _imp.source_hash(magic, data), False)
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
for index, (path, name, target) in enumerate(request["jobs"]):
    if not hasattr(os, "fork"):
        if compile_one(path, name, target) == 3:
            failed.append(index)
        continue
    if len(running) >= limit:
        reap()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = compile_one(path, name, target)
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
  kind: BytecodeKind,
): Promise<string[]> {
  if (jobs.length === 0) return [];
  for (const folder of new Set(jobs.map((job) => dirname(job.target))))
    mkdirSync(folder, { recursive: true });
  const request = {
    level: kind.level,
    // Level 2 does it by itself, and without a tree in between.
    docstrings: kind.docstrings || kind.level === 2,
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

/** Names a cache of bytecode of this kind: `o1`, `o0-nodoc`. */
export function kindName({ level, docstrings }: BytecodeKind): string {
  return `o${level}${docstrings || level === 2 ? "" : "-nodoc"}`;
}

/** `pkg/mod.py` → `pkg/__pycache__/mod.cpython-311.opt-1.pyc` (PEP 3147 and 488). */
export function bytecodePath(path: string, cacheTag: string, level: 0 | 1 | 2): string {
  const slash = path.lastIndexOf("/");
  const folder = slash < 0 ? "" : path.slice(0, slash + 1);
  const stem = path.slice(slash + 1, -".py".length);
  return `${folder}__pycache__/${stem}.${cacheTag}${level === 0 ? "" : `.opt-${level}`}.pyc`;
}
