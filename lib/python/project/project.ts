/**
 * What a `pyproject.toml` says about the Python application: `[project]`, `[build-system]` and the Python keys of `[tool.sealift]` or
 * `[tool.flavor]`. Pure: a parsed document in, a checked value out. The keys that every project has (slots, execution, …) are the
 * business of `lib/pack`; `pythonTables` has the ones that are read here.
 */
import { dirname } from "node:path";

import * as v from "valibot";

import { FormatError, quoted, suggest } from "../../base/mod.ts";
import {
  checkCommandName,
  isProjectName,
  normaliseName,
  parseObjectReference,
} from "../pep/names.ts";
import { isRequirement } from "../pep/requirement.ts";
import { isSpecifier, isVersion } from "../pep/specifier.ts";
import { type BuildSettings, buildSettings, BuildTable } from "./build-table.ts";
import { type Entries, EntryTable, readEntries } from "./entry-table.ts";
import { FullText, Text } from "./fields.ts";
import { type DependencyGroups, readGroups } from "./groups.ts";
import { hasFolders, isPackage, poetryAsProject } from "./poetry-table.ts";
import { PythonTable, type PythonWishes, pythonWishes } from "./python-table.ts";
import { type RuntimeSettings, runtimeSettings, RuntimeTable } from "./runtime-table.ts";

/** Keys of the tool's table that this module reads, with their shapes. */
export const pythonTables = {
  entry_point: v.optional(FullText),
  package_name: v.optional(FullText),
  metadata: v.optional(v.strictObject({ package_name: v.optional(FullText) })),
  python: v.optional(PythonTable),
  build: v.optional(BuildTable),
  runtime: v.optional(RuntimeTable),
  entries: v.optional(EntryTable),
};

export interface PythonProject {
  /** Absolute path of pyproject.toml. */
  manifest: string;
  root: string;
  /** `project.name` as written. */
  name: string;
  /** Name of the package to make: `package_name`, else `name`. */
  packageName: string;
  /** Absent when it is dynamic: the built wheel tells it. */
  version?: string;
  description?: string;
  license?: string;
  requiresPython?: string;
  dependencies: string[];
  /** Extra → requirements; absent when only the build backend knows them. */
  extras?: Record<string, string[]>;
  groups: DependencyGroups;
  /** The lock that was named in place of a manifest, absolute: versions come from it. */
  lock?: string;
  /** The application as a finished wheel, absolute: nothing is built. */
  wheel?: string;
  /** The build backend knows the dependencies. */
  dynamicDependencies: boolean;
  /** No tool but this one reads the requirements of the manifest: they are given to the resolver as they stand here. */
  isListed?: true;
  /** `[tool.uv.sources]`, or paths among Poetry's dependencies, which may name folders beside this one. */
  hasSources?: true;
  /** Command → object reference. */
  scripts: Record<string, string>;
  guiScripts: Record<string, string>;
  entryPoint?: string;
  /** Further commands, some with a Python of their own. */
  entries: Entries;
  /** `[build-system]`, or uv's `package`; undefined = look at the folder. */
  isPackage?: boolean;
  python: PythonWishes;
  build: BuildSettings;
  runtime: RuntimeSettings;
}

const Requirement = v.pipe(
  FullText,
  v.check(
    isRequirement,
    ({ input }) => `holds ${quoted(input)}, which is no requirement (PEP 508)`,
  ),
);

const Scripts = v.record(v.string(), FullText);

const ProjectTable = v.looseObject({
  name: v.pipe(FullText, v.check(isProjectName, "is no project name (PEP 508)")),
  version: v.optional(
    v.pipe(
      FullText,
      v.check(isVersion, ({ input }) => `${quoted(input)} is no version (PEP 440)`),
    ),
  ),
  description: v.optional(Text),
  license: v.optional(v.union([Text, v.looseObject({ text: v.optional(Text) })])),
  "requires-python": v.optional(
    v.pipe(
      Text,
      v.check(isSpecifier, ({ input }) => `${quoted(input)} is no version specifier (PEP 440)`),
    ),
  ),
  dependencies: v.optional(v.array(Requirement)),
  "optional-dependencies": v.optional(v.record(v.string(), v.array(Requirement))),
  scripts: v.optional(Scripts),
  "gui-scripts": v.optional(Scripts),
  dynamic: v.optional(v.array(v.string())),
});

const ToolTable = v.looseObject(pythonTables);

/**
 * Reads a parsed `pyproject.toml`. `FormatError` `MANIFEST` names the file and the key; `ENTRY_POINT`, `COMMAND_NAME`.
 * @param tool the tool's table that counts, `sealift` or `flavor`; default: the first that is there
 */
export function readPyproject(
  document: Record<string, unknown>,
  manifest: string,
  tool?: "sealift" | "flavor",
): PythonProject {
  const tools = (document.tool ?? {}) as Record<string, unknown>;
  const table =
    tool ?? (tools.sealift !== undefined || tools.flavor === undefined ? "sealift" : "flavor");
  const project = projectTable(document, manifest);
  const own = check(ToolTable, tools[table] ?? {}, manifest, ["tool", table]);
  const dynamic = project.dynamic ?? [];
  if (project.version === undefined && !dynamic.includes("version")) {
    throw wrong(manifest, "project.version", "is missing and not dynamic");
  }
  const license = typeof project.license === "string" ? project.license : project.license?.text;
  const wish = packageWish(document);
  const extras = project["optional-dependencies"] ?? {};
  const knowsExtras = !dynamic.includes("optional-dependencies");
  if (knowsExtras) checkExtras(own.build?.extras, extras, manifest, table);
  return {
    manifest,
    root: dirname(manifest),
    name: project.name,
    packageName: own.package_name ?? own.metadata?.package_name ?? project.name,
    dependencies: project.dependencies ?? [],
    groups: readGroups(document, manifest, dirname(manifest)),
    dynamicDependencies: dynamic.includes("dependencies"),
    scripts: scripts(project.scripts, `${manifest}: project.scripts`),
    guiScripts: scripts(project["gui-scripts"], `${manifest}: project.gui-scripts`),
    python: pythonWishes(own.python),
    build: buildSettings(own.build),
    runtime: runtimeSettings(own.runtime),
    entries: readEntries(own.entries, `${manifest}: tool.${table}.entries`),
    ...(project.version !== undefined && { version: project.version }),
    ...(project.description !== undefined && { description: project.description }),
    ...(license !== undefined && { license }),
    ...(project["requires-python"] !== undefined && { requiresPython: project["requires-python"] }),
    ...(own.entry_point !== undefined && {
      entryPoint: entryPoint(own.entry_point, manifest, table),
    }),
    ...(wish !== undefined && { isPackage: wish }),
    ...(document.project === undefined && wish === false && { isListed: true }),
    ...(knowsExtras && { extras }),
    ...((uvTable(document)?.sources !== undefined || hasFolders(poetryTable(document))) && {
      hasSources: true,
    }),
  };
}

/** `[project]`, or what projects made for Poetry before version 2 say in its place. */
function projectTable(
  document: Record<string, unknown>,
  manifest: string,
): v.InferOutput<typeof ProjectTable> {
  const poetry = poetryTable(document);
  if (document.project !== undefined || poetry === undefined)
    return check(ProjectTable, document.project ?? {}, manifest, ["project"]);
  const table = poetryAsProject(poetry, manifest, dirname(manifest));
  return check(ProjectTable, table, manifest, ["tool", "poetry"]);
}

function poetryTable(document: Record<string, unknown>): Record<string, unknown> | undefined {
  return (document.tool as { poetry?: Record<string, unknown> } | undefined)?.poetry;
}

/** `tool.uv.package` decides where it stands, else a build system says that this is a package. */
function packageWish(document: Record<string, unknown>): boolean | undefined {
  const wish = uvTable(document)?.package;
  if (typeof wish === "boolean") return wish;
  if (!isPackage(poetryTable(document) ?? {})) return false;
  return document["build-system"] === undefined ? undefined : true;
}

function uvTable(
  document: Record<string, unknown>,
): { package?: unknown; sources?: unknown } | undefined {
  return (document.tool as { uv?: { package?: unknown; sources?: unknown } } | undefined)?.uv;
}

function entryPoint(text: string, manifest: string, table: string): string {
  parseObjectReference(text, `${manifest}: tool.${table}.entry_point`);
  return text;
}

function scripts(table: Record<string, string> | undefined, where: string): Record<string, string> {
  for (const [name, reference] of Object.entries(table ?? {})) {
    checkCommandName(name, where);
    parseObjectReference(reference, `${where}.${name}`);
  }
  return { ...table };
}

function checkExtras(
  wanted: string[] = [],
  known: Record<string, unknown> = {},
  manifest: string,
  table: string,
): void {
  const names = Object.keys(known).map(normaliseName);
  for (const extra of wanted) {
    if (names.includes(normaliseName(extra))) continue;
    const near = suggest(extra, Object.keys(known));
    throw wrong(
      manifest,
      `tool.${table}.build.extras`,
      `names ${extra}, which the project does not have`,
      near,
    );
  }
}

function check<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  manifest: string,
  at: string[],
): v.InferOutput<T> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = [...at, ...(issue.path ?? []).map((item) => String(item.key))].join(".");
  if (issue.type === "strict_object" && issue.expected === "never")
    throw wrong(manifest, path, "is not a known key");
  if (issue.input === undefined) throw wrong(manifest, path, "is missing");
  const text = issue.message.startsWith("Invalid") ? `must be ${issue.expected}` : issue.message;
  throw wrong(manifest, path, text);
}

function wrong(manifest: string, key: string, what: string, near?: string): FormatError {
  return new FormatError("MANIFEST", `${manifest}: ${key} ${what}`, {
    hint: near === undefined ? "Correct that key." : `Did you mean ${near}?`,
    details: { file: manifest, key },
  });
}
