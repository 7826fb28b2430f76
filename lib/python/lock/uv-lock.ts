/**
 * Whether a uv.lock belongs to its project. `uv export --frozen` does not ask, and `--locked` would call a lock stale that was made against
 * another mirror; so what the lock remembers of the project's requirements is compared with what they are now.
 */
import * as v from "valibot";

import { normaliseName } from "../pep/names.ts";
import { parseRequirement } from "../pep/requirement.ts";
import type { PythonProject } from "../project/project.ts";
import { parseLockText } from "./lock-text.ts";
import { lockError } from "./locked.ts";

const Dist = v.looseObject({
  name: v.string(),
  extras: v.optional(v.array(v.string())),
  specifier: v.optional(v.string()),
  git: v.optional(v.string()),
  url: v.optional(v.string()),
  path: v.optional(v.string()),
  directory: v.optional(v.string()),
  editable: v.optional(v.union([v.string(), v.boolean()])),
  virtual: v.optional(v.union([v.string(), v.boolean()])),
});
type Dist = v.InferOutput<typeof Dist>;
const Package = v.looseObject({
  name: v.string(),
  source: v.optional(v.looseObject({})),
  metadata: v.optional(v.looseObject({ "requires-dist": v.optional(v.array(Dist)) })),
});
const Lock = v.looseObject({ version: v.number(), package: v.optional(v.array(Package)) });

/** `LOCK_STALE` names the first requirement that differs. Requirements that only a build tells are not compared. */
export function checkUvLock(text: string, file: string, project: PythonProject): void {
  const lock = parseLockText(Lock, text, file);
  if (project.dynamicDependencies) return;
  const name = normaliseName(project.name);
  const own = lock.package?.find((item) => normaliseName(item.name) === name);
  if (own === undefined) throw stale(file, `it does not hold ${project.name}`);
  const locked = new Set((own.metadata?.["requires-dist"] ?? []).map(distKey));
  const now = [...project.dependencies, ...Object.values(project.extras ?? {}).flat()];
  const wanted = new Map(now.map((line) => [requirementKey(line, locked), line]));
  for (const [key, line] of wanted)
    if (!locked.has(key)) throw stale(file, `it was made before the project required ${line}`);
  for (const key of locked)
    if (!wanted.has(key)) throw stale(file, `it was made when the project required ${key}`);
}

function distKey(dist: Dist): string {
  const isElsewhere = [
    dist.git,
    dist.url,
    dist.path,
    dist.directory,
    dist.editable,
    dist.virtual,
  ].some((source) => source !== undefined);
  const head = nameKey(normaliseName(dist.name), dist.extras ?? []);
  return isElsewhere ? `${head} @` : head + specifierKey(dist.specifier ?? "");
}

/** Where a requirement is looked for elsewhere, by its URL or by `[tool.uv.sources]`, its version is not in the lock. */
function requirementKey(line: string, locked: Set<string>): string {
  const found = parseRequirement(line);
  if (found === undefined) return line;
  const head = nameKey(found.name, found.extras);
  return found.url !== undefined || locked.has(`${head} @`)
    ? `${head} @`
    : head + specifierKey(found.specifier);
}

function nameKey(name: string, extras: string[]): string {
  return extras.length === 0 ? name : `${name}[${extras.map(normaliseName).sort().join(",")}]`;
}

/** The order and the blanks of a specifier mean nothing. */
function specifierKey(specifier: string): string {
  return specifier.replaceAll(/\s+/g, "").split(",").filter(Boolean).sort().join(",");
}

function stale(file: string, what: string) {
  return lockError(file, "LOCK_STALE", what, "Renew it with `uv lock`.");
}
