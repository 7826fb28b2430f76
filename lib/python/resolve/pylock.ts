/**
 * Reading pylock.toml (PEP 751) as an outside document: what to install, from where, with which hashes. Markers are evaluated for the
 * target, one artifact is chosen for each package, and nothing without a SHA-256 is accepted.
 */
import * as v from "valibot";

import { FormatError, quoted } from "../../base/mod.ts";
import { evaluateMarker, type MarkerEnvironment } from "../pep/marker.ts";
import { isProjectName, normaliseName } from "../pep/names.ts";
import { satisfiesPython } from "../pep/specifier.ts";
import { chooseWheel } from "../pep/tags.ts";

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
  vcs: v.optional(v.looseObject({ type: v.string() })),
});
const Lock = v.looseObject({
  "lock-version": v.string(),
  "requires-python": v.optional(v.string()),
  environments: v.optional(v.array(v.string())),
  packages: v.array(Package),
});
type Package = v.InferOutput<typeof Package>;
type Artifact = v.InferOutput<typeof Artifact>;

/** One file to fetch. */
export interface LockedFile {
  kind: "wheel" | "sdist";
  /** File name, checked: no separators. */
  file: string;
  /** Absolute address, or a path relative to the lock. */
  location: { url: string } | { path: string };
  sha256: string;
  size?: number;
}

export type LockedPackage = { name: string; version?: string } & (
  { source: "file"; artifact: LockedFile } | { source: "directory"; path: string }
);

export interface LockTarget {
  markers: MarkerEnvironment;
  pythonVersion: string;
  /** Rank of every tag that the target accepts. */
  tags: Map<string, number>;
}

/** Most packages that a lock may hold. */
const MAX_PACKAGES = 20_000;

/** The packages that `target` needs, in the order of the lock. `FormatError("PYLOCK_…")` names the file and the package. */
export function readPylock(text: string, file: string, target: LockTarget): LockedPackage[] {
  const lock = parseLock(text, file);
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
    if (item.marker !== undefined && !evaluateMarker(item.marker, target.markers, file)) continue;
    if (!isProjectName(item.name))
      throw bad(file, "PYLOCK_NAME", `${quoted(item.name)} is no project name`);
    const name = normaliseName(item.name);
    if (chosen.has(name))
      throw bad(file, "PYLOCK_DUPLICATE", `${name} is there twice for the target`);
    chosen.set(name, choose(item, name, file, target));
  }
  return [...chosen.values()];
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
  if (lock.packages.length > MAX_PACKAGES)
    throw bad(file, "PYLOCK_LIMIT", `it lists ${lock.packages.length} packages`);
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
    if (item.archive.subdirectory !== undefined) {
      throw bad(
        file,
        "PYLOCK_SOURCE",
        `${name} comes from a folder inside an archive, which is not supported`,
      );
    }
    const kind = fileName(item.archive, name, file).endsWith(".whl") ? "wheel" : "sdist";
    return { ...head, source: "file", artifact: locked(item.archive, kind, name, file) };
  }
  if (item.vcs !== undefined) {
    throw bad(
      file,
      "PYLOCK_SOURCE",
      `${name} comes from a version control system, which is not supported`,
    );
  }
  const wheels = (item.wheels ?? []).map((wheel) => ({ file: fileName(wheel, name, file), wheel }));
  const best = chooseWheel(wheels, target.tags);
  if (best !== undefined)
    return { ...head, source: "file", artifact: locked(best.wheel, "wheel", name, file) };
  if (item.sdist !== undefined)
    return { ...head, source: "file", artifact: locked(item.sdist, "sdist", name, file) };
  throw bad(
    file,
    "PYLOCK_NO_WHEEL",
    `${name} ${item.version ?? ""} has no wheel for the target and no source distribution`,
  );
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
  if (/^[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}$/.test(decoded)) return decoded;
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
