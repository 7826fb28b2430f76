/** The interpreters of this machine: where they may lie, and what each of them answers. */
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

import { type Context, EnvironmentError, findProgram } from "../../base/mod.ts";
import { type Interpreter, probePython } from "./interpreter.ts";
import type { PythonNeed } from "./need.ts";

/** Minor versions worth a look, newest first. */
const MINORS = Array.from({ length: 13 }, (_, i) => 20 - i);

/** Each interpreter once, `python3` of PATH first; of those with a version in their name only the ones that `need` wishes for. */
export async function* localPythons(ctx: Context, need: PythonNeed): AsyncGenerator<Interpreter> {
  const wanted = need.versions.flatMap(({ version }) => {
    const minor = /^3\.(\d+)/.exec(version)?.[1];
    return minor === undefined ? MINORS : [Number(minor)];
  });
  const seen = new Set<string>();
  for (const path of candidates(ctx.env, wanted.length === 0 ? MINORS : [...new Set(wanted)])) {
    const found = await probePython(path, ctx).catch((error: unknown) => {
      if (error instanceof EnvironmentError) return undefined;
      throw error;
    });
    if (found === undefined || seen.has(found.executable)) continue;
    seen.add(found.executable);
    yield found;
  }
}

/** Programs worth asking: `python3` of PATH, then versioned ones from the newest on, then pyenv's. */
function* candidates(env: Record<string, string | undefined>, minors: number[]): Generator<string> {
  const names = ["python3", ...minors.map((m) => `python3.${m}`), "python"];
  const searchPath = [env.PATH ?? "", "/usr/local/bin", "/usr/bin"].join(delimiter);
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
