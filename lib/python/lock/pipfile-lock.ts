/**
 * Reading Pipfile.lock (pipfile-spec 6). It is flat: a category lists all that it needs, so nothing is followed. A package has the
 * hashes of its files but not their names; the index tells which of them is for the target.
 */
import * as v from "valibot";

import { suggest, UsageError } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { evaluateMarker } from "../pep/marker.ts";
import { isProjectName, normaliseName } from "../pep/names.ts";
import { parseLockText } from "./lock-text.ts";
import {
  checkCount,
  checkFileName,
  gitSource,
  type LockedPackage,
  lockError,
  type LockTarget,
  type LockWish,
  ownFile,
} from "./locked.ts";
import { pythonJson } from "./python-json.ts";

const Text = v.optional(v.string());
const Entry = v.looseObject({
  version: Text,
  hashes: v.optional(v.array(v.string())),
  index: Text,
  markers: Text,
  file: Text,
  path: Text,
  git: Text,
  ref: Text,
  subdirectory: Text,
});
const Lock = v.looseObject({
  _meta: v.looseObject({
    hash: v.looseObject({ sha256: v.string() }),
    "pipfile-spec": v.number(),
    requires: v.optional(v.looseObject({ python_version: Text, python_full_version: Text })),
    sources: v.optional(v.array(v.looseObject({ name: v.string(), url: v.string() }))),
  }),
});
const Category = v.record(v.string(), Entry);
type Lock = v.InferOutput<typeof Lock>;
type Entry = v.InferOutput<typeof Entry>;

/**
 * The packages that `target` needs: those of `default` and of the categories in `wish.groups` (`dev` means `develop`). `pipfile` is the
 * parsed Pipfile, `ownIndex` tells that the user chose an index, which then stands for the lock's first one.
 * Errors are `FormatError` `LOCK_…`; `LOCK_STALE` when the Pipfile changed since.
 */
export function readPipfileLock(
  text: string,
  file: string,
  pipfile: { document: Record<string, unknown>; ownIndex: boolean },
  target: LockTarget,
  wish: LockWish,
): LockedPackage[] {
  const lock = parseLockText(Lock, text, file, "JSON");
  if (lock._meta["pipfile-spec"] !== 6)
    throw lockError(
      file,
      "LOCK_VERSION",
      `its pipfile-spec is ${lock._meta["pipfile-spec"]}, not 6`,
    );
  checkFresh(lock, pipfile.document, file);
  checkPython(lock, target, file);
  if (wish.extras.length > 0) {
    throw new UsageError(
      "LOCK_EXTRA",
      `${file}: a Pipfile has no extras, but ${wish.extras.join(", ")} is wanted`,
      {
        hint: "Choose categories with --group instead.",
      },
    );
  }
  const indexOf = (name: string | undefined) => indexes(lock, name, pipfile.ownIndex);
  const chosen = new Map<string, LockedPackage>();
  for (const category of ["default", ...wish.groups]) {
    for (const [key, entry] of Object.entries(entriesOf(lock, category, file))) {
      if (entry.markers !== undefined && !evaluateMarker(entry.markers, target.markers, file))
        continue;
      if (!isProjectName(key))
        throw lockError(file, "LOCK_NAME", `${JSON.stringify(key)} is no project name`);
      const name = normaliseName(key);
      const found = locked(name, entry, file, indexOf(entry.index));
      const twin = chosen.get(name);
      if (twin !== undefined && twin.version !== found.version)
        throw lockError(
          file,
          "LOCK_DUPLICATE",
          `${name} is ${twin.version} and ${found.version} in the categories that are wanted`,
        );
      chosen.set(name, found);
    }
  }
  checkCount(chosen.size, file);
  return [...chosen.values()];
}

function entriesOf(lock: Lock, category: string, file: string): Record<string, Entry> {
  const known = Object.keys(lock).filter((key) => key !== "_meta");
  const alias = category === "dev" || category === "dev-packages" ? "develop" : category;
  const key = known.find((name) => normaliseName(name) === normaliseName(alias));
  if (key === undefined) {
    const near = suggest(category, known);
    throw new UsageError("LOCK_GROUP", `${file}: has no category ${category}`, {
      hint: near === undefined ? `It has ${known.join(", ")}.` : `Did you mean ${near}?`,
      details: { file, known },
    });
  }
  const result = v.safeParse(Category, lock[key]);
  if (result.success) return result.output;
  const at = v.getDotPath(result.issues[0]) ?? "";
  throw lockError(
    file,
    "LOCK_FIELD",
    `${key}.${at}: expected ${result.issues[0].expected ?? "another type"}`,
  );
}

function locked(name: string, entry: Entry, file: string, indexes: string[]): LockedPackage {
  const { subdirectory } = entry;
  const version = entry.version?.replace(/^===?/, "");
  const head = {
    name,
    ...(version !== undefined && { version }),
    ...(subdirectory !== undefined && { subdirectory }),
  };
  if (entry.git !== undefined)
    return { ...head, source: "git", git: gitSource(entry.git, entry.ref ?? "", name, file) };
  const hashes = (entry.hashes ?? []).flatMap(
    (text) => /^sha256:([0-9a-f]{64})$/.exec(text.toLowerCase())?.[1] ?? [],
  );
  const address = entry.file ?? entry.path;
  if (entry.path !== undefined && !/\.(?:whl|tar\.gz|zip)$/.test(entry.path))
    return { ...head, source: "directory", path: entry.path };
  if (hashes.length === 0) throw lockError(file, "LOCK_HASH", `${name} has no SHA-256`);
  if (address === undefined) return { ...head, source: "hashes", hashes, indexes };
  const base = checkFileName(address.split(/[?#]/)[0]?.split("/").at(-1) ?? "", name, file);
  const location = /^https?:/.test(address) ? { url: address } : { path: address };
  const kind = base.endsWith(".whl") ? ("wheel" as const) : ("sdist" as const);
  return ownFile(head, { kind, file: base, location, sha256: hashes[0] ?? "" }, location);
}

/** Addresses to ask; none means the usual ones. A source that begins with a variable is one that only the user's settings know. */
function indexes(lock: Lock, name: string | undefined, ownIndex: boolean): string[] {
  const sources = lock._meta.sources ?? [];
  const [first] = sources;
  const source = sources.find((item) => item.name === name) ?? first;
  if (source === undefined || (source === first && ownIndex) || source.url.includes("$")) return [];
  return [source.url];
}

function checkPython(lock: Lock, { pythonVersion }: LockTarget, file: string): void {
  const { python_version: minor, python_full_version: full } = lock._meta.requires ?? {};
  const wanted = full ?? minor;
  if (wanted === undefined || wanted === "*" || `${pythonVersion}.`.startsWith(`${wanted}.`))
    return;
  throw lockError(
    file,
    "LOCK_PYTHON",
    `it is for Python ${wanted}, and the target is ${pythonVersion}`,
    `Pack with \`--python ${wanted}\`, or make the lock again.`,
  );
}

function checkFresh(lock: Lock, pipfile: Record<string, unknown>, file: string): void {
  if (fingerprint(pipfile) === lock._meta.hash.sha256) return;
  throw lockError(
    file,
    "LOCK_STALE",
    "it does not belong to the requirements that Pipfile has now",
    "Renew it with `pipenv lock`.",
  );
}

/** Sections of a Pipfile that are no categories of packages, or stand in the text under another name. */
const SECTIONS = ["source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv"];

function fingerprint(pipfile: Record<string, unknown>): string {
  const categories = Object.entries(pipfile).filter(
    ([key]) => ![...SECTIONS, "default", "develop"].includes(key),
  );
  const content = {
    _meta: { sources: pipfile.source ?? [], requires: pipfile.requires ?? {} },
    default: pipfile.packages ?? {},
    develop: pipfile["dev-packages"] ?? {},
    ...Object.fromEntries(categories),
  };
  return sha256Hex(new TextEncoder().encode(pythonJson(content, true)));
}
