/**
 * Reading pylock.toml (PEP 751) as an outside document: what to install, from where, with which hashes. Markers are evaluated for the
 * target, one artifact is chosen for each package, and nothing without a SHA-256 is accepted.
 */
import * as v from "valibot";

import { CheckError, FormatError, quoted, suggest, UsageError } from "../../base/mod.ts";
import { evaluateMarker } from "../pep/marker.ts";
import { isFileName, isProjectName, normaliseName } from "../pep/names.ts";
import { satisfiesPython } from "../pep/specifier.ts";
import { chooseWheel } from "../pep/tags.ts";
import {
  checkCount,
  type GitSource,
  type LockedFile,
  type LockedPackage,
  type LockTarget,
  type LockWish,
  noWheel,
} from "./locked.ts";

const Hashes = v.looseObject({ sha256: v.optional(v.string()) });
const Artifact = v.looseObject({
  name: v.optional(v.string()),
  url: v.optional(v.string()),
  path: v.optional(v.string()),
  size: v.optional(v.number()),
  hashes: Hashes,
});
const Package = v.looseObject({
  name: v.string(),
  version: v.optional(v.string()),
  marker: v.optional(v.string()),
  "requires-python": v.optional(v.string()),
  wheels: v.optional(v.array(Artifact)),
  sdist: v.optional(Artifact),
  archive: v.optional(v.looseObject({ ...Artifact.entries, subdirectory: v.optional(v.string()) })),
  directory: v.optional(v.looseObject({ path: v.string(), subdirectory: v.optional(v.string()) })),
  vcs: v.optional(
    v.looseObject({
      type: v.string(),
      url: v.optional(v.string()),
      path: v.optional(v.string()),
      "commit-id": v.string(),
      subdirectory: v.optional(v.string()),
    }),
  ),
});
const Lock = v.looseObject({
  "lock-version": v.string(),
  "requires-python": v.optional(v.string()),
  environments: v.optional(v.array(v.string())),
  extras: v.optional(v.array(v.string())),
  "dependency-groups": v.optional(v.array(v.string())),
  "default-groups": v.optional(v.array(v.string())),
  packages: v.array(Package),
});
type Package = v.InferOutput<typeof Package>;
type Artifact = v.InferOutput<typeof Artifact>;

/**
 * The packages that `target` needs, in the order of the lock, with the extras and groups of `wish`. `FormatError("PYLOCK_…")` names
 * the file and the package, `UsageError("LOCK_EXTRA" | "LOCK_GROUP")` what the lock was made without.
 * @param known the only SHA-256 that may go in, in lower case; `CheckError("LOCK_DIFFERS")` for a package that has no such file
 */
export function readPylock(
  text: string,
  file: string,
  target: LockTarget,
  wish: LockWish = { extras: [], groups: [] },
  known?: Set<string>,
): LockedPackage[] {
  const lock = parseLock(text, file);
  const markers = {
    ...target.markers,
    extras: wanted("LOCK_EXTRA", "extra", wish.extras, lock.extras, file),
    dependency_groups: [
      ...(lock["default-groups"] ?? []),
      ...wanted("LOCK_GROUP", "dependency group", wish.groups, lock["dependency-groups"], file),
    ],
  };
  const requires = lock["requires-python"];
  if (requires !== undefined && !satisfiesPython(target.pythonVersion, requires)) {
    throw bad(
      file,
      "PYLOCK_PYTHON",
      `it requires Python ${requires}, and the target is ${target.pythonVersion}`,
    );
  }
  const { environments = [] } = lock;
  if (
    environments.length > 0 &&
    !environments.some((m) => evaluateMarker(m, target.markers, file))
  ) {
    throw bad(file, "PYLOCK_ENVIRONMENT", "none of its environments is the target");
  }
  const chosen = new Map<string, LockedPackage>();
  for (const item of lock.packages) {
    if (item.marker !== undefined && !evaluateMarker(item.marker, markers, file)) continue;
    if (!isProjectName(item.name))
      throw bad(file, "PYLOCK_NAME", `${quoted(item.name)} is no project name`);
    const name = normaliseName(item.name);
    if (chosen.has(name))
      throw bad(file, "PYLOCK_DUPLICATE", `${name} is there twice for the target`);
    chosen.set(name, choose(known ? withKnown(item, known, file) : item, name, file, target));
  }
  return [...chosen.values()];
}

function withKnown(item: Package, known: Set<string>, file: string): Package {
  const isKnown = ({ hashes }: Artifact) => known.has(hashes.sha256?.toLowerCase() ?? "");
  const { wheels = [], sdist, archive, ...rest } = item;
  const files = [...wheels, sdist ?? [], archive ?? []].flat();
  if (files.length > 0 && !files.some(isKnown)) {
    throw new CheckError(
      "LOCK_DIFFERS",
      `${file}: no file of ${item.name} ${item.version ?? ""} that can be had has a hash that stands there`,
      {
        hint: "Find out who changed the file or the index; when the change is right, make the file again with `uv pip compile --generate-hashes`.",
        details: { file, name: item.name, found: files.map(({ hashes }) => hashes.sha256 ?? "") },
      },
    );
  }
  return {
    ...rest,
    wheels: wheels.filter(isKnown),
    ...(sdist !== undefined && isKnown(sdist) && { sdist }),
    ...(archive !== undefined && { archive }),
  };
}

/** The names as the lock spells them. */
function wanted(
  code: string,
  what: string,
  names: string[],
  known: string[] = [],
  file: string,
): string[] {
  return names.map((name) => {
    const found = known.find((other) => normaliseName(other) === name);
    if (found !== undefined) return found;
    const near = suggest(name, known);
    throw new UsageError(code, `${file}: was made without the ${what} ${name}`, {
      hint:
        near === undefined ? `It holds ${known.join(", ") || "none"}.` : `Did you mean ${near}?`,
      details: { file, known },
    });
  });
}

function parseLock(text: string, file: string): v.InferOutput<typeof Lock> {
  let document: unknown;
  try {
    document = Bun.TOML.parse(text);
  } catch (cause) {
    throw bad(file, "PYLOCK_TOML", `it is not TOML (${(cause as Error).message})`);
  }
  const result = v.safeParse(Lock, document);
  if (!result.success) {
    const [issue] = result.issues;
    throw bad(
      file,
      "PYLOCK_FIELD",
      `${v.getDotPath(issue) ?? "document"}: expected ${issue.expected ?? "another type"}`,
    );
  }
  const lock = result.output;
  if (!/^1\.\d+$/.test(lock["lock-version"])) {
    throw bad(
      file,
      "PYLOCK_VERSION",
      `its lock-version is ${JSON.stringify(lock["lock-version"])}, not 1.x`,
    );
  }
  checkCount(lock.packages.length, file, "PYLOCK_LIMIT");
  return lock;
}

function choose(item: Package, name: string, file: string, target: LockTarget): LockedPackage {
  const head = item.version === undefined ? { name } : { name, version: item.version };
  const requires = item["requires-python"];
  if (requires !== undefined && !satisfiesPython(target.pythonVersion, requires)) {
    throw bad(
      file,
      "PYLOCK_PYTHON",
      `${name} requires Python ${requires}, and the target is ${target.pythonVersion}`,
    );
  }
  if (item.directory !== undefined) {
    const { path, subdirectory } = item.directory;
    return {
      ...head,
      source: "directory",
      path: subdirectory === undefined ? path : `${path}/${subdirectory}`,
    };
  }
  if (item.archive !== undefined) {
    const { subdirectory } = item.archive;
    const kind = fileName(item.archive, name, file).endsWith(".whl") ? "wheel" : "sdist";
    const artifact = locked(item.archive, kind, name, file);
    return {
      ...head,
      source: "file",
      artifact,
      ...(kind === "sdist" && { archive: true }),
      ...(subdirectory !== undefined && { subdirectory }),
    };
  }
  if (item.vcs !== undefined) {
    const { subdirectory } = item.vcs;
    const git = gitOf(item.vcs, name, file);
    return { ...head, source: "git", git, ...(subdirectory !== undefined && { subdirectory }) };
  }
  const wheels = (item.wheels ?? []).map((wheel) => ({ file: fileName(wheel, name, file), wheel }));
  const best = chooseWheel(wheels, target.tags);
  if (best !== undefined)
    return { ...head, source: "file", artifact: locked(best.wheel, "wheel", name, file) };
  if (item.sdist !== undefined)
    return { ...head, source: "file", artifact: locked(item.sdist, "sdist", name, file) };
  const about = { name, version: item.version ?? "", lock: file };
  throw noWheel(about, wheels, target, "PYLOCK_NO_WHEEL");
}

type Vcs = NonNullable<Package["vcs"]>;

function gitOf(vcs: Vcs, name: string, file: string): GitSource {
  const { type, "commit-id": commit } = vcs;
  const url = vcs.url ?? vcs.path;
  if (type !== "git" || url === undefined) {
    throw bad(file, "PYLOCK_SOURCE", `${name} comes from ${type}; only git is supported`);
  }
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
    throw bad(file, "PYLOCK_SOURCE", `${name} comes from Git without a whole commit`);
  return { url, commit };
}

function locked(
  artifact: Artifact,
  kind: "wheel" | "sdist",
  name: string,
  file: string,
): LockedFile {
  const sha256 = artifact.hashes.sha256?.toLowerCase() ?? "";
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw bad(file, "PYLOCK_HASH", `${fileName(artifact, name, file)} has no SHA-256`);
  }
  const result: LockedFile = {
    kind,
    file: fileName(artifact, name, file),
    location: location(artifact, name, file),
    sha256,
  };
  if (artifact.size !== undefined) result.size = artifact.size;
  return result;
}

function location(artifact: Artifact, name: string, file: string): LockedFile["location"] {
  const url = artifact.url === undefined ? null : URL.parse(artifact.url);
  if (url !== null && (url.protocol === "https:" || url.protocol === "http:"))
    return { url: url.href };
  if (url?.protocol === "file:") return { path: Bun.fileURLToPath(url) };
  if (artifact.path !== undefined) return { path: artifact.path };
  throw bad(file, "PYLOCK_SOURCE", `${name} has no address that can be fetched`);
}

function fileName(artifact: Artifact, name: string, file: string): string {
  const last = (text: string) => text.split(/[?#]/)[0]?.split("/").at(-1) ?? "";
  const found = artifact.name ?? last(artifact.url ?? artifact.path ?? "");
  const decoded = decode(found);
  if (isFileName(decoded)) return decoded;
  throw bad(file, "PYLOCK_NAME", `${name}: ${quoted(decoded, 100)} is no file name`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

function bad(file: string, code: string, what: string): FormatError {
  return new FormatError(code, `${file}: ${what}`, {
    hint: "Make the lock again for this project and target.",
    details: { file },
  });
}
