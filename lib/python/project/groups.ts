/**
 * Dependency groups, wherever a project keeps them: `[dependency-groups]` (PEP 735), Poetry's `[tool.poetry.group.NAME]`, PDM's and uv's
 * `dev-dependencies`. A group is only read when it is wanted, so a strange one that nobody asks for harms nobody.
 */
import { FormatError, suggest, UsageError } from "../../base/mod.ts";
import { normaliseName } from "../pep/names.ts";
import { poetryRequirements, requirementLine } from "../pep/poetry.ts";

type Table = Record<string, unknown>;

export interface DependencyGroups {
  /** Normalised names, in the order of the manifest. */
  names: string[];
  /** Groups that the project's tool installs when nothing is said: `no_dev_deps = false` takes them. */
  defaults: string[];
  /** Requirement lines (PEP 508) of one group and of those that it includes. `GROUP` when it is malformed or includes itself. */
  lines(name: string): string[];
}

/** Groups of a parsed `pyproject.toml`; `root` is its folder. */
export function readGroups(document: Table, manifest: string, root: string): DependencyGroups {
  const tool = table(document.tool);
  const [poetry, pdm, uv] = [table(tool.poetry), table(tool.pdm), table(tool.uv)];
  const standard = byName(document["dependency-groups"]);
  const ofPoetry = byName(poetry.group);
  const olderPoetry = table(poetry["dev-dependencies"]);
  const ofPdm = byName(pdm["dev-dependencies"]);
  const ofUv = Array.isArray(uv["dev-dependencies"]) ? uv["dev-dependencies"] : undefined;
  const hasOlder = Object.keys(olderPoetry).length > 0;
  const dev = hasOlder || ofUv !== undefined ? ["dev"] : [];
  const names = [...new Set([...standard.keys(), ...ofPoetry.keys(), ...ofPdm.keys(), ...dev])];

  const lines = (name: string, inside: string[] = []): string[] => {
    const where = `${manifest}: group ${name}`;
    if (inside.includes(name))
      throw bad(where, `includes itself (${[...inside, name].join(" → ")})`);
    const include = (other: string) => lines(normaliseName(other), [...inside, name]);
    const reading = { where, root, include };
    if (!names.includes(name)) throw bad(where, "is included, but is not there");
    const poetryTable = {
      ...(name === "dev" && olderPoetry),
      ...table(table(ofPoetry.get(name)).dependencies),
    };
    return [
      ...entries(standard.get(name), reading),
      ...included(table(ofPoetry.get(name))).flatMap(include),
      ...Object.entries(poetryTable)
        .flatMap(([key, value]) => poetryRequirements(key, value, where))
        .map((item) => requirementLine(item, root, where)),
      ...entries(ofPdm.get(name), reading),
      ...(name === "dev" ? entries(ofUv, reading) : []),
    ];
  };
  return { names, defaults: defaultGroups({ names, uv, poetry, ofPoetry, ofPdm }), lines };
}

interface Reading {
  where: string;
  root: string;
  /** The lines of another group. */
  include: (name: string) => string[];
}

/** `-e file:///${PROJECT_ROOT}/x#egg=x`, as PDM writes it, is `x @ file:///…/x`. */
function plain(line: string, root: string): string {
  const text = line.replace(/^-e\s+/, "").replaceAll("${PROJECT_ROOT}", root.replace(/^\//, ""));
  const [, url, name] = /^(\S+)#egg=([A-Za-z0-9._-]+)$/.exec(text) ?? [];
  return url === undefined ? text : `${name} @ ${url}`;
}

/** Items of PEP 735: requirements, and tables that include another group. PDM marks editable ones with `-e`. */
function entries(list: unknown, { where, root, include }: Reading): string[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw bad(where, "is no list of requirements");
  return list.flatMap((item: unknown) => {
    if (typeof item === "string") return plain(item, root);
    const other = table(item)["include-group"];
    if (typeof other === "string") return include(other);
    throw bad(where, "holds what is neither a requirement nor { include-group = … }");
  });
}

function included(group: Table): string[] {
  const list = group["include-groups"];
  return Array.isArray(list) ? list.map(String) : [];
}

interface Sources {
  names: string[];
  uv: Table;
  poetry: Table;
  ofPoetry: Map<string, unknown>;
  ofPdm: Map<string, unknown>;
}

function defaultGroups({ names, uv, poetry, ofPoetry, ofPdm }: Sources): string[] {
  const own = uv["default-groups"];
  if (own === "all") return names;
  if (Array.isArray(own)) return own.map((name) => normaliseName(String(name)));
  const isPoetry = Object.keys(poetry).length > 0;
  return names.filter((name) => {
    if (isPoetry && ofPoetry.has(name)) return table(ofPoetry.get(name)).optional !== true;
    return name === "dev" || isPoetry || ofPdm.has(name);
  });
}

/** Wanted names in their normal form. `GROUP_UNKNOWN` with the nearest one for what the project does not have. */
export function checkGroups(wanted: string[], known: string[], manifest: string): string[] {
  return [...new Set(wanted.map(normaliseName))].map((name) => {
    if (known.includes(name)) return name;
    throw unknown("GROUP_UNKNOWN", `dependency group ${name}`, name, known, manifest);
  });
}

/** The same for extras. */
export function checkExtras(wanted: string[], known: string[], manifest: string): string[] {
  const names = known.map(normaliseName);
  return [...new Set(wanted.map(normaliseName))].map((name) => {
    if (names.includes(name)) return name;
    throw unknown("EXTRA_UNKNOWN", `extra ${name}`, name, names, manifest);
  });
}

/** The requirements of one extra, by its normalised name. */
export function extraLines(extras: Record<string, string[]> = {}, wanted: string): string[] {
  const found = Object.entries(extras).filter(([name]) => normaliseName(name) === wanted);
  return found.flatMap(([, lines]) => lines);
}

function unknown(
  code: string,
  what: string,
  name: string,
  known: string[],
  manifest: string,
): UsageError {
  const near = suggest(name, known);
  const there = known.length === 0 ? "It has none." : `It has ${known.join(", ")}.`;
  return new UsageError(code, `${manifest}: has no ${what}`, {
    hint: near === undefined ? there : `Did you mean ${near}?`,
    details: { file: manifest, known },
  });
}

function byName(value: unknown): Map<string, unknown> {
  return new Map(Object.entries(table(value)).map(([name, item]) => [normaliseName(name), item]));
}

function table(value: unknown): Table {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Table)
    : {};
}

function bad(where: string, what: string): FormatError {
  return new FormatError("GROUP", `${where} ${what}`, {
    hint: "Correct that group.",
    details: { field: where },
  });
}
