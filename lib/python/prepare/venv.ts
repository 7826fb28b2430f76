/**
 * The build environment: a virtual environment (PEP 405) of the machine's interpreter with the packages that are packed. Commands see
 * it, a build without isolation uses it, and `venv_path` keeps it for debuggers, editors and tests.
 */
import { existsSync, lstatSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { EnvironmentError, FormatError, ioError, quoteWords, run } from "../../base/mod.ts";
import { arrangeTree, extractTar, tarStream, type TreeEntry } from "../../codec/mod.ts";
import type { Interpreter } from "../runtime/interpreter.ts";
import { layoutOf } from "../runtime/target.ts";
import { prefixEntries, siteEntries, type StagedWheel } from "../wheel/site.ts";

/** Marks a folder that sealift made and may make anew. */
const MARK = ".sealift-build-environment";

export interface Venv {
  folder: string;
  /** The interpreter inside. */
  python: string;
  bin: string;
}

/**
 * Makes an empty environment at `folder`; one that sealift made before is replaced.
 * @throws FormatError `BUILD_VENV` when something else is there; EnvironmentError `BUILD_VENV` when the interpreter cannot make one
 */
export async function makeVenv(
  folder: string,
  python: Interpreter,
  options: { systemSitePackages: boolean },
): Promise<Venv> {
  refuseForeign(folder);
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(dirname(folder), { recursive: true });
  } catch (error) {
    throw ioError(error, folder);
  }
  const { windows, scripts } = layoutOf(python);
  const flags = options.systemSitePackages ? ["--system-site-packages"] : [];
  const argv = [python.executable, "-I", "-m", "venv", "--without-pip", ...flags, folder];
  const { code, stderr } = await run(argv, { timeoutMs: 120_000 });
  if (code !== 0) {
    throw new EnvironmentError("BUILD_VENV", `${python.executable} cannot make ${folder}`, {
      hint: "Its module venv must work; name another interpreter with `--python`.",
      details: { code, stderr: new TextDecoder().decode(stderr).slice(-500) },
    });
  }
  writeFileSync(join(folder, MARK), "");
  const bin = join(folder, scripts);
  return { folder, bin, python: join(bin, windows ? "python.exe" : "python") };
}

function refuseForeign(folder: string): void {
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) return;
  if (existsSync(join(folder, MARK))) return;
  throw new FormatError("BUILD_VENV", `${folder}: exists and is no build environment of sealift`, {
    hint: "Name another folder as build.venv_path, or remove this one.",
    details: { path: folder },
  });
}

/** Puts `wheels` into the environment, as an installer would, without bytecode; later ones win where two bring one file. */
export async function fillVenv(
  venv: Venv,
  python: Interpreter,
  wheels: StagedWheel[],
): Promise<void> {
  if (wheels.length === 0) return;
  const layout = layoutOf(python);
  const { packages, scripts } = layout;
  const none = { folders: new Map(), skipped: new Map() };
  const site = siteEntries(wheels, none, python.cacheTag, 0);
  const entries = [
    ...site.map((entry) => ({ ...entry, path: `${packages}/${entry.path}` })),
    ...prefixEntries(wheels, layout).map((entry) => runnable(entry, venv, scripts)),
  ];
  const tree = tarStream(arrangeTree(entries), { mtime: 315532800 });
  await extractTar(tree, venv.folder, { force: true });
}

/** The kernel splits first lines at blanks and cuts long ones; a shell reads the rest in that case. */
function firstLine(python: string): string {
  if (python.length <= 120 && !/\s/.test(python)) return `#!${python}\n`;
  return `#!/bin/sh\n'''exec' ${quoteWords([python])} "$0" "$@"\n' '''\n`;
}

/** Start scripts go to where programs are looked for, with a first line that names this interpreter. */
function runnable(entry: TreeEntry, venv: Venv, scripts: string): TreeEntry {
  const script = /^libexec\/(.+)$/.exec(entry.path)?.[1];
  if (script === undefined || typeof entry.source !== "object") return entry;
  const bytes = Buffer.concat([Buffer.from(firstLine(venv.python)), entry.source.bytes]);
  return {
    ...entry,
    path: `${scripts}/${script}`,
    mode: 0o755,
    size: bytes.length,
    source: { bytes },
  };
}
