/**
 * Reading pdm.lock (lock_version 4.x). With `inherit_metadata`, the default of newer versions of PDM, every package says in which
 * groups and under which marker it is needed; else the project's requirements are followed through the lock.
 */
import * as v from "valibot";

import { suggest, UsageError } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { evaluateMarker } from "../pep/marker.ts";
import { normaliseName } from "../pep/names.ts";
import { parseRequirement } from "../pep/requirement.ts";
import { type LockRequirement, neededNodes } from "./lock-graph.ts";
import { parseLockText } from "./lock-text.ts";
import {
  checkCount,
  checkVersion,
  chooseFile,
  gitSource,
  type ListedFile,
  type LockedPackage,
  lockError,
  type LockTarget,
  type LockWish,
  ownFile,
} from "./locked.ts";
import { pythonJson } from "./python-json.ts";

const Text = v.optional(v.string());
const File = v.looseObject({ file: Text, url: Text, path: Text, hash: v.string() });
const Package = v.looseObject({
  name: v.string(),
  version: Text,
  extras: v.optional(v.array(v.string())),
  requires_python: Text,
  groups: v.optional(v.array(v.string())),
  marker: Text,
  dependencies: v.optional(v.array(v.string())),
  files: v.optional(v.array(File)),
  url: Text,
  path: Text,
  git: Text,
  revision: Text,
  subdirectory: Text,
});
const Lock = v.looseObject({
  metadata: v.looseObject({
    lock_version: v.string(),
    content_hash: v.string(),
    groups: v.optional(v.array(v.string())),
    strategy: v.optional(v.array(v.string())),
    files: v.optional(v.record(v.string(), v.array(File))),
  }),
  package: v.optional(v.array(Package)),
});
type Lock = v.InferOutput<typeof Lock>;
type Package = v.InferOutput<typeof Package>;
type File = v.InferOutput<typeof File>;

type Table = Record<string, unknown>;

/**
 * The packages that `target` needs for the project in `document` (its pyproject.toml), whose own requirements are `roots` (PEP 508).
 * Errors are `FormatError` `LOCK_…`; `LOCK_STALE` when the manifest changed since.
 */
export function readPdmLock(
  text: string,
  file: string,
  project: { document: Table; roots: string[] },
  target: LockTarget,
  wish: LockWish,
): LockedPackage[] {
  const lock = parseLockText(Lock, text, file);
  const { lock_version: version, strategy = [] } = lock.metadata;
  if (!/^4\.\d+(?:\.\d+)?$/.test(version))
    throw lockError(
      file,
      "LOCK_VERSION",
      `its lock_version is ${JSON.stringify(version)}, not 4.x`,
    );
  const packages = lock.package ?? [];
  checkCount(packages.length, file);
  for (const item of packages) checkVersion(item.version ?? "0", item.name, file);
  checkFresh(lock, project.document, file);
  checkGroups(lock, wish, file);
  const needed = strategy.includes("inherit_metadata")
    ? packages.filter((item) => isNeeded(item, target, wish, file))
    : followed(packages, project.roots, target, file);
  // An entry with extras only adds requirements to the one without.
  const plain = needed.filter((item) => (item.extras ?? []).length === 0);
  const seen = new Set<string>();
  return plain.map((item) => {
    const name = normaliseName(item.name);
    if (seen.has(name))
      throw lockError(file, "LOCK_DUPLICATE", `${name} is there twice for the target`);
    seen.add(name);
    return locked(item, lock, { target, file, indexes: sourcesOf(project.document) });
  });
}

function isNeeded(item: Package, target: LockTarget, wish: LockWish, file: string): boolean {
  const wanted = ["default", ...wish.groups, ...wish.extras];
  const isWanted = (item.groups ?? ["default"]).some((group) =>
    wanted.includes(normaliseName(group)),
  );
  return (
    isWanted && (item.marker === undefined || evaluateMarker(item.marker, target.markers, file))
  );
}

/** A package with extras is a node of its own, `name[extra]`, as PDM itself sees it. */
function followed(
  packages: Package[],
  roots: string[],
  target: LockTarget,
  file: string,
): Package[] {
  const nodes = packages.map((item) => ({
    item,
    name: nodeName(normaliseName(item.name), item.extras ?? []),
    version: item.version ?? "0",
    requiresPython: item.requires_python ?? "",
    requirements: (item.dependencies ?? []).map((line) => requirementOf(line, file)),
    extras: new Map<string, string[]>(),
  }));
  const wanted = roots.map((line) => requirementOf(line, file));
  return neededNodes(nodes, wanted, target, file).map((node) => node.item);
}

function requirementOf(line: string, file: string): LockRequirement {
  const found = parseRequirement(line);
  if (found === undefined)
    throw lockError(file, "LOCK_FIELD", `${JSON.stringify(line)} is no requirement`);
  return {
    name: nodeName(found.name, found.extras),
    extras: [],
    specifiers: found.specifier === "" ? [] : [found.specifier],
    ...(found.marker !== undefined && { marker: found.marker }),
  };
}

function nodeName(name: string, extras: string[]): string {
  return extras.length === 0 ? name : `${name}[${extras.map(normaliseName).sort().join(",")}]`;
}

function locked(
  item: Package,
  lock: Lock,
  { target, file, indexes }: { target: LockTarget; file: string; indexes: string[] },
): LockedPackage {
  const name = normaliseName(item.name);
  const { version, subdirectory } = item;
  const head = {
    name,
    ...(version !== undefined && { version }),
    ...(subdirectory !== undefined && { subdirectory }),
  };
  if (item.git !== undefined)
    return { ...head, source: "git", git: gitSource(item.git, item.revision ?? "", name, file) };
  const files = (item.files ?? filesOf(lock, item)).map((entry) => listed(entry, item));
  if (item.path !== undefined && !/\.(?:whl|tar\.gz|zip)$/.test(item.path))
    return { ...head, source: "directory", path: item.path };
  const about = { name, version: version ?? "", lock: file, indexes };
  const artifact = chooseFile(files, about, target);
  if (item.path !== undefined) return ownFile(head, artifact, { path: item.path });
  if (item.url !== undefined) return ownFile(head, artifact, { url: item.url });
  return { ...head, source: "file", artifact };
}

/** Of lock_version 4.0 to 4.2: all files in one table. */
function filesOf(lock: Lock, item: Package): File[] {
  return lock.metadata.files?.[`${item.name} ${item.version ?? ""}`] ?? [];
}

function listed(entry: File, item: Package): ListedFile {
  const url = entry.url ?? item.url;
  const address = (entry.file ?? url ?? entry.path ?? "").split(/[?#]/)[0] ?? "";
  const file = decoded(address.split("/").at(-1) ?? "");
  return { file, hash: entry.hash, url: url?.split("#")[0] };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** Indexes that the project names for PDM; they are asked before the usual ones. */
function sourcesOf(document: Table): string[] {
  const { source } = pdmOf(document);
  const entries = Array.isArray(source) ? (source as Table[]) : [];
  return entries.flatMap(({ url, type }) =>
    typeof url === "string" && type !== "find_links" && !url.includes("$") ? [url] : [],
  );
}

function checkGroups(lock: Lock, wish: LockWish, file: string): void {
  const known = (lock.metadata.groups ?? ["default"]).map(normaliseName);
  const missing = ["default", ...wish.groups, ...wish.extras].find((name) => !known.includes(name));
  if (missing === undefined) return;
  const near = suggest(missing, known);
  throw new UsageError("LOCK_GROUP", `${file}: was made without the group or extra ${missing}`, {
    hint: near === undefined ? "Make it with `pdm lock -G :all`." : `Did you mean ${near}?`,
    details: { file, known },
  });
}

function checkFresh(lock: Lock, document: Table, file: string): void {
  const hash = lock.metadata.content_hash.replace(/^sha256:/, "");
  if (fingerprints(document).includes(hash)) return;
  throw lockError(
    file,
    "LOCK_STALE",
    "it does not belong to the requirements that pyproject.toml has now",
    "Renew it with `pdm lock`.",
  );
}

/** `content_hash` as the versions of PDM make it of the same manifest. */
function fingerprints(document: Table): string[] {
  const pdm = pdmOf(document);
  const project = table(document.project);
  const resolution = table(pdm.resolution);
  const facts = {
    sources: pdm.source ?? [],
    dependencies: project.dependencies ?? [],
    "optional-dependencies": project["optional-dependencies"] ?? {},
    "requires-python": project["requires-python"] ?? "",
  };
  const own = pdm["dev-dependencies"] ?? {};
  const encoder = new TextEncoder();
  return [
    {
      ...facts,
      "dev-dependencies": joined(table(document["dependency-groups"]), table(own)),
      resolution,
    },
    { ...facts, "dev-dependencies": own, resolution },
    { ...facts, "dev-dependencies": own, overrides: resolution.overrides ?? {} },
  ].map((content) => sha256Hex(encoder.encode(pythonJson(content))));
}

/** `[dependency-groups]` and PDM's own groups under their normalised names. */
function joined(standard: Table, own: Table): Table {
  const groups: Table = {};
  for (const [name, list] of [...Object.entries(standard), ...Object.entries(own)]) {
    const key = normaliseName(name);
    groups[key] = [...((groups[key] as unknown[] | undefined) ?? []), ...[list].flat()];
  }
  return groups;
}

function pdmOf(document: Table): Table {
  return table(table(document.tool).pdm);
}

function table(value: unknown): Table {
  return typeof value === "object" && value !== null ? (value as Table) : {};
}
