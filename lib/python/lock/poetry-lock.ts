/**
 * Reading poetry.lock (lock-version 1.x, 2.x). From 2.1 on every package says in which groups and under which markers it is
 * needed; before, the project's requirements are followed through the lock. Addresses are not in it: the index knows them.
 */
import * as v from "valibot";

import { suggest, UsageError } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { evaluateMarker } from "../pep/marker.ts";
import { normaliseName } from "../pep/names.ts";
import { poetryRequirements, specifiersOf } from "../pep/poetry.ts";
import { parseRequirement } from "../pep/requirement.ts";
import { fits, type LockNode, type LockRequirement, neededNodes } from "./lock-graph.ts";
import { parseLockText } from "./lock-text.ts";
import {
  checkCount,
  checkVersion,
  chooseFile,
  gitSource,
  type LockedPackage,
  lockError,
  type LockTarget,
  type LockWish,
  ownFile,
} from "./locked.ts";
import { pythonJson } from "./python-json.ts";

const File = v.looseObject({ file: v.string(), hash: v.string() });
const Source = v.looseObject({
  type: v.string(),
  url: v.string(),
  resolved_reference: v.optional(v.string()),
  subdirectory: v.optional(v.string()),
});
const Package = v.looseObject({
  name: v.string(),
  version: v.string(),
  "python-versions": v.optional(v.string()),
  groups: v.optional(v.array(v.string())),
  markers: v.optional(v.union([v.string(), v.record(v.string(), v.string())])),
  files: v.optional(v.array(File)),
  dependencies: v.optional(v.record(v.string(), v.unknown())),
  extras: v.optional(v.record(v.string(), v.array(v.string()))),
  source: v.optional(Source),
});
const Lock = v.looseObject({
  package: v.optional(v.array(Package)),
  extras: v.optional(v.record(v.string(), v.array(v.string()))),
  metadata: v.looseObject({
    "lock-version": v.string(),
    "python-versions": v.optional(v.string()),
    "content-hash": v.string(),
    files: v.optional(v.record(v.string(), v.array(File))),
  }),
});
type Lock = v.InferOutput<typeof Lock>;
type Package = v.InferOutput<typeof Package>;

type Table = Record<string, unknown>;

/**
 * The packages that `target` needs for the project in `document` (its pyproject.toml). Errors are `FormatError` `LOCK_…`;
 * `LOCK_STALE` when the manifest changed since.
 */
export function readPoetryLock(
  text: string,
  file: string,
  document: Table,
  target: LockTarget,
  wish: LockWish,
): LockedPackage[] {
  const lock = parseLockText(Lock, text, file);
  const version = lock.metadata["lock-version"];
  if (!/^[12]\.\d+$/.test(version))
    throw lockError(
      file,
      "LOCK_VERSION",
      `its lock-version is ${JSON.stringify(version)}, not 1.x or 2.x`,
    );
  const packages = lock.package ?? [];
  checkCount(packages.length, file);
  for (const item of packages) checkVersion(item.version, item.name, file);
  checkFresh(lock, document, file);
  checkPython(lock.metadata["python-versions"] ?? "*", target, file);
  checkExtras(lock, wish, file);
  const hasMarkers = /^2\.[1-9]/.test(version);
  const needed = hasMarkers
    ? packages.filter((item) => isNeeded(item, target, wish, file))
    : followed(packages, lock, document, target, { wish, file });
  return unique(needed, file).map((item) => locked(item, lock, target, file));
}

/** In a group that is wanted, under a marker that holds. */
function isNeeded(item: Package, target: LockTarget, wish: LockWish, file: string): boolean {
  const environment = { ...target.markers, extras: wish.extras };
  return (item.groups ?? ["main"]).some((group) => {
    if (!["main", ...wish.groups].includes(normaliseName(group))) return false;
    const marker = typeof item.markers === "string" ? item.markers : item.markers?.[group];
    return marker === undefined || evaluateMarker(marker, environment, file);
  });
}

function followed(
  packages: Package[],
  lock: Lock,
  document: Table,
  target: LockTarget,
  { wish, file }: { wish: LockWish; file: string },
): Package[] {
  const nodes = packages.map((item) => ({ ...node(item, file), item }));
  const roots = rootsOf(document, lock, wish, file);
  return neededNodes(nodes, roots, target, file).map((found) => found.item);
}

function node(item: Package, file: string): LockNode {
  const where = `${file}: ${item.name}`;
  return {
    name: normaliseName(item.name),
    version: item.version,
    requiresPython: specifiersOf(item["python-versions"] ?? "*", where)[0] ?? "",
    requirements: Object.entries(item.dependencies ?? {}).flatMap(([name, value]) =>
      poetryRequirements(name, value, where),
    ),
    extras: new Map(
      Object.entries(item.extras ?? {}).map(([extra, list]) => [
        normaliseName(extra),
        list.flatMap((text) => parseRequirement(text)?.name ?? []),
      ]),
    ),
  };
}

/** What the project requires itself: of `[tool.poetry]`, because these locks are older than Poetry's reading of `[project]`. */
function rootsOf(document: Table, lock: Lock, wish: LockWish, file: string): LockRequirement[] {
  const poetry = table(table(document.tool).poetry);
  const named = wish.extras.flatMap((extra) => extraNames(lock, extra));
  const groups = table(poetry.group);
  const tables = wish.groups.map((name) => {
    const key = Object.keys(groups).find((group) => normaliseName(group) === name) ?? name;
    const older = name === "dev" ? table(poetry["dev-dependencies"]) : {};
    return { ...older, ...table(table(groups[key]).dependencies) };
  });
  return [table(poetry.dependencies), ...tables].flatMap((entries) =>
    Object.entries(entries)
      .filter(([name]) => name.toLowerCase() !== "python")
      .flatMap(([name, value]) => poetryRequirements(name, value, file))
      .filter((item) => !item.optional || named.includes(item.name))
      .map((item) => ({ ...item, optional: false })),
  );
}

function extraNames(lock: Lock, extra: string): string[] {
  const entries = Object.entries(lock.extras ?? {});
  return entries
    .filter(([name]) => normaliseName(name) === extra)
    .flatMap(([, list]) => list.map(normaliseName));
}

function checkExtras(lock: Lock, wish: LockWish, file: string): void {
  const known = Object.keys(lock.extras ?? {}).map(normaliseName);
  const missing = wish.extras.find((extra) => !known.includes(extra));
  if (missing === undefined) return;
  const near = suggest(missing, known);
  throw new UsageError("LOCK_EXTRA", `${file}: holds no extra ${missing}`, {
    hint: near === undefined ? `It holds ${known.join(", ") || "none"}.` : `Did you mean ${near}?`,
    details: { file, known },
  });
}

function checkPython(constraint: string, target: LockTarget, file: string): void {
  if (fits(target.pythonVersion, specifiersOf(constraint, `${file}: metadata.python-versions`)))
    return;
  throw lockError(
    file,
    "LOCK_PYTHON",
    `it is for Python ${constraint}, and the target is ${target.pythonVersion}`,
    "Choose another Python with `--python`, or make the lock again.",
  );
}

/** Poetry 1 writes a package once for each version; two that are both needed cannot be installed together. */
function unique(items: Package[], file: string): Package[] {
  const seen = new Map<string, string>();
  for (const { name, version } of items) {
    const key = normaliseName(name);
    const twin = seen.get(key);
    if (twin !== undefined)
      throw lockError(
        file,
        "LOCK_DUPLICATE",
        `${key} is there twice for the target (${twin} and ${version})`,
      );
    seen.set(key, version);
  }
  return items;
}

function locked(item: Package, lock: Lock, target: LockTarget, file: string): LockedPackage {
  const name = normaliseName(item.name);
  const { version, source } = item;
  const head = {
    name,
    version,
    ...(source?.subdirectory !== undefined && { subdirectory: source.subdirectory }),
  };
  if (source?.type === "directory") return { ...head, source: "directory", path: source.url };
  if (source?.type === "git")
    return {
      ...head,
      source: "git",
      git: gitSource(source.url, source.resolved_reference ?? "", name, file),
    };
  const listed = item.files?.length ? item.files : (filesByName(lock, name) ?? []);
  const about = {
    name,
    version,
    lock: file,
    indexes: source?.type === "legacy" ? [source.url] : [],
  };
  const artifact = chooseFile(listed, about, target);
  if (source === undefined || source.type === "legacy")
    return { ...head, source: "file", artifact };
  if (source.type === "url") return ownFile(head, artifact, { url: source.url });
  if (source.type === "file") return ownFile(head, artifact, { path: source.url });
  throw lockError(
    file,
    "LOCK_SOURCE",
    `${name} comes from a source of type ${source.type}, which is not known`,
  );
}

/** Of lock-version 1: all files in one table. */
function filesByName(lock: Lock, name: string) {
  const entries = Object.entries(lock.metadata.files ?? {});
  return entries.find(([key]) => normaliseName(key) === name)?.[1];
}

function checkFresh(lock: Lock, document: Table, file: string): void {
  if (fingerprints(document).includes(lock.metadata["content-hash"])) return;
  throw lockError(
    file,
    "LOCK_STALE",
    "it does not belong to the requirements that pyproject.toml has now",
    "Renew it with `poetry lock`.",
  );
}

const POETRY_1_1 = ["dependencies", "dev-dependencies", "source", "extras"];
/** Keys that Poetry writes as null where they are missing. */
const OLDER = ["dependencies", "source", "extras", "dev-dependencies"];
const PROJECT = ["requires-python", "dependencies", "optional-dependencies"];

/** `content-hash` as the versions of Poetry make it of the same manifest. */
function fingerprints(document: Table): string[] {
  const poetry = table(table(document.tool).poetry);
  const project = present(table(document.project), PROJECT);
  const groups = table(document["dependency-groups"]);
  const group = present(poetry, ["group"]);
  const first = Object.fromEntries(POETRY_1_1.map((key) => [key, poetry[key] ?? null]));
  const classic = {
    ...Object.fromEntries(OLDER.map((key) => [key, poetry[key] ?? null])),
    ...group,
  };
  const modern = (withGroups: boolean) => {
    const hasGroups = withGroups && Object.keys(groups).length > 0;
    if (Object.keys(project).length === 0 && !hasGroups) return classic;
    return {
      ...(Object.keys(project).length > 0 && { project }),
      ...(hasGroups && { "dependency-groups": groups }),
      tool: { poetry: present(poetry, [...OLDER, "group"]) },
    };
  };
  const encoder = new TextEncoder();
  return [first, classic, modern(true), modern(false)].map((content) =>
    sha256Hex(encoder.encode(pythonJson(content))),
  );
}

function present(from: Table, keys: string[]): Table {
  return Object.fromEntries(keys.filter((key) => from[key] != null).map((key) => [key, from[key]]));
}

function table(value: unknown): Table {
  return typeof value === "object" && value !== null ? (value as Table) : {};
}
