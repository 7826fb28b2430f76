/**
 * `pyproject.toml`: the Python keys are read by `lib/python`, the tables that every project has are the ones of `sealift.toml`, under
 * `[tool.sealift]` or, with the same meaning, `[tool.flavor]`. Without `[project]` it is a manifest like any other.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

import * as v from "valibot";

import type { PythonProject } from "../../python/mod.ts";
import { checkManifest, manifestError, type ManifestText } from "./_issues.ts";
import { loadProgram, sharedParts } from "./program.ts";
import { type Project, rootOf, type SlotSpec } from "./project.ts";
import { hasSetup, readBuildConfig, setupDocument } from "./python-files.ts";
import { sharedTables } from "./schema.ts";

/** What `isolated` takes out of the program's environment. */
const ISOLATED = [
  "PYTHONPATH",
  "UV_PROJECT_ENVIRONMENT",
  "PYTHONHOME",
  "UV_CACHE_DIR",
  "VIRTUAL_ENV",
];

const NO_PROJECT = "A Python application needs [project] with name and version, or a setup.py.";

type Table = Record<string, unknown>;

export async function loadPyproject(document: Table, where: ManifestText): Promise<Project> {
  const tools = (document.tool ?? {}) as Table;
  if (tools.sealift !== undefined && tools.flavor !== undefined) {
    throw manifestError(
      where,
      ["tool", "flavor"],
      "stands beside tool.sealift, and only one can be meant",
      "Keep one of the two tables.",
    );
  }
  const name = tools.flavor === undefined ? ("sealift" as const) : ("flavor" as const);
  const at: ManifestText = { ...where, at: ["tool", name] };
  const own = (tools[name] ?? {}) as Table;
  if (document.project === undefined && own.package !== undefined) return loadProgram(own, at);
  if (document.project === undefined && tools.poetry === undefined) {
    const root = rootOf(where);
    if (!hasSetup(root)) throw manifestError(where, ["project"], "is missing", NO_PROJECT);
    const setup = { ...document, ...(await setupDocument(root)) };
    return await loadPython(setup, own, {
      table: name,
      at,
      manifest: setupManifest(root, where.file),
    });
  }
  return await loadPython(document, own, { table: name, at, manifest: where.file });
}

/** The facts stand there, and so does what a build can be asked for them. */
function setupManifest(root: string, otherwise: string): string {
  const path = join(root, "setup.py");
  return existsSync(path) ? path : otherwise;
}

/** A finished wheel as the application: its name says what it is, its metadata the rest. */
export async function loadWheel(file: string): Promise<Project> {
  const { readPyproject, wheelAsProject } = await import("../../python/mod.ts");
  const python = readPyproject({ project: wheelAsProject(file) }, file);
  return {
    kind: "python",
    manifest: file,
    root: dirname(file),
    package: packageOf(python),
    slots: [],
    setup: [],
    notes: [],
    python: { ...python, isPackage: false, wheel: file },
  };
}

/** A project that was named by its lock. */
export function withLock(project: Project, lock: string): Project {
  return project.python === undefined
    ? project
    : { ...project, python: { ...project.python, lock } };
}

/** Which table of a document counts, and the file that messages and builds are about. */
interface Place {
  table: "sealift" | "flavor";
  at: ManifestText;
  manifest: string;
}

async function loadPython(document: Table, own: Table, place: Place): Promise<Project> {
  const { table: name, at, manifest } = place;
  const tools = (document.tool ?? {}) as Table;
  const { readPyproject } = await import("../../python/mod.ts");
  const beside = name === "flavor" ? await readBuildConfig(dirname(manifest)) : {};
  const joined =
    Object.keys(beside).length === 0
      ? own
      : { ...own, build: { ...(own.build as Table | undefined), ...beside } };
  const { table, isolated } = withoutIsolated(structuredClone(joined), at);
  const shared = sharedParts(checkManifest(await toolTable(), table, at), at);
  const python = readPyproject({ ...document, tool: { ...tools, [name]: table } }, manifest, name);
  const starts = shared.execution?.argv
    ? "argv"
    : shared.execution?.command
      ? "command"
      : undefined;
  if (python.entryPoint !== undefined && starts !== undefined) {
    throw manifestError(
      at,
      ["execution", starts],
      "contradicts entry_point: both say what starts",
      "Remove one of them; further commands go into execution.entries.",
    );
  }
  const tests = python.build.environment.includeTests ? [testsSlot(shared.slots, at)] : [];
  return {
    kind: "python",
    manifest,
    root: dirname(manifest),
    package: packageOf(python),
    ...shared,
    slots: [...shared.slots, ...tests],
    ...withService(isolated ? withUnset(shared.runtime, ISOLATED) : shared.runtime, python, at),
    python,
  };
}

/** The tables of every project, and those that `lib/python` reads. */
async function toolTable() {
  const { pythonTables } = await import("../../python/mod.ts");
  return v.strictObject({ ...pythonTables, ...sharedTables });
}

/** What sealift reads in a `pyproject.toml` of a Python project, for editors. */
export async function pyprojectShape() {
  const table = v.optional(await toolTable());
  return v.looseObject({ tool: v.optional(v.looseObject({ sealift: table, flavor: table })) });
}

/** `build.include_tests`: the tests' folder as a slot that is unpacked when the entry `tests` runs. */
function testsSlot(slots: SlotSpec[], where: ManifestText): SlotSpec {
  const key = ["build", "include_tests"];
  const base = rootOf(where);
  const source = ["tests", "test"].find((name) => existsSync(join(base, name)));
  if (source === undefined) {
    throw manifestError(where, key, "finds no folder tests or test", "Remove that key.");
  }
  if (slots.some(({ id }) => id.toLowerCase() === "tests")) {
    throw manifestError(
      where,
      key,
      'brings a slot "tests", and there is one already',
      "Rename that slot, or remove this key.",
    );
  }
  return {
    id: "tests",
    source: `${source}/`,
    base,
    target: "tests",
    into: false,
    exclude: ["**/__pycache__/**", "**/*.pyc", "**/.pytest_cache/**"],
    purpose: "data",
    lifecycle: "lazy",
    share: false,
  };
}

function packageOf(python: PythonProject): Project["package"] {
  const { packageName, version, description, license } = python;
  return {
    name: packageName,
    // A dynamic version is told by the built wheel, before anything is written.
    version: version ?? "dynamic",
    ...(description !== undefined && { description }),
    ...(isIdentifier(license) && { license }),
  };
}

/** Whether a licence is one SPDX identifier that the index block has room for, not an expression or a text. */
export function isIdentifier(license: string | undefined): license is string {
  return license !== undefined && /^[A-Za-z0-9][A-Za-z0-9.+-]{0,15}$/.test(license);
}

/** `execution.runtime.env.isolated` is a key of the earlier tool only; it stands for a list of variables. */
function withoutIsolated(table: Table, where: ManifestText): { table: Table; isolated: boolean } {
  const env = ((table.execution as Table | undefined)?.runtime as Table | undefined)?.env as
    Table | undefined;
  if (env === undefined || !("isolated" in env)) return { table, isolated: false };
  if (typeof env.isolated !== "boolean") {
    throw manifestError(
      where,
      ["execution", "runtime", "env", "isolated"],
      "must be true or false",
    );
  }
  const isolated = env.isolated;
  delete env.isolated;
  return { table, isolated };
}

/** `[tool.sealift.service]`, or its short form in the runtime table. */
function withService(
  runtime: Project["runtime"],
  python: PythonProject,
  where: ManifestText,
): Pick<Project, "runtime"> {
  const { service } = python.runtime;
  if (service === undefined) return runtime === undefined ? {} : { runtime };
  if (runtime?.service === undefined) return { runtime: { ...runtime, service } };
  throw manifestError(
    where,
    ["runtime", "persistent"],
    "says what the table service says already",
    "Keep one of the two: the table has more keys.",
  );
}

/** The same rules with more variables to unset. */
export function withUnset(
  runtime: Project["runtime"],
  names: readonly string[],
): NonNullable<Project["runtime"]> {
  const unset = [...new Set([...names, ...(runtime?.env?.unset ?? [])])];
  return { ...runtime, env: { ...runtime?.env, unset } };
}
