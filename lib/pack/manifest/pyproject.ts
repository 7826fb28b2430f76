/**
 * `pyproject.toml`: the Python keys are read by `lib/python`, the tables that every project has are the ones of `sealift.toml`, under
 * `[tool.sealift]` or, with the same meaning, `[tool.flavor]`. Without `[project]` it is a manifest like any other.
 */
import * as v from "valibot";

import type { PythonProject } from "../../python/mod.ts";
import { checkManifest, manifestError, type ManifestText } from "./_issues.ts";
import { loadProgram, sharedParts } from "./program.ts";
import { type Project, rootOf } from "./project.ts";
import { sharedTables } from "./schema.ts";

/** What `isolated` takes out of the program's environment. */
const ISOLATED = [
  "PYTHONPATH",
  "UV_PROJECT_ENVIRONMENT",
  "PYTHONHOME",
  "UV_CACHE_DIR",
  "VIRTUAL_ENV",
];

/** Also for a folder with a setup.py and nothing else. */
export const NO_PROJECT =
  'A Python application needs [project] with name and version; what setup.py says goes into dynamic = ["version", "dependencies", "scripts"].';

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
  const name = tools.flavor === undefined ? "sealift" : "flavor";
  const at: ManifestText = { ...where, at: ["tool", name] };
  const own = (tools[name] ?? {}) as Table;
  if (document.project === undefined && own.package !== undefined) return loadProgram(own, at);
  if (document.project === undefined && tools.poetry === undefined) {
    throw manifestError(where, ["project"], "is missing", NO_PROJECT);
  }

  const { readPyproject } = await import("../../python/mod.ts");
  const { table, isolated } = withoutIsolated(structuredClone(own), at);
  const shared = sharedParts(checkManifest(await toolTable(), table, at), at);
  const python = readPyproject(
    { ...document, tool: { ...tools, [name]: table } },
    where.file,
    name,
  );
  return {
    kind: "python",
    manifest: where.file,
    root: rootOf(where),
    package: packageOf(python),
    ...shared,
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

function packageOf(python: PythonProject): Project["package"] {
  const { packageName, version, description, license } = python;
  return {
    name: packageName,
    // A dynamic version is told by the built wheel, before anything is written.
    version: version ?? "dynamic",
    ...(description !== undefined && { description }),
    // The index block has 16 bytes; what does not fit is an expression or a text, not an identifier.
    ...(license !== undefined && license !== "" && Buffer.byteLength(license) <= 16 && { license }),
  };
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
