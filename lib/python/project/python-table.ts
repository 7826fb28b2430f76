/**
 * `[tool.sealift.python]`: which interpreter goes into the package, and where it comes from. What contradicts itself is refused here; what
 * depends on the machine is found in runtime/choose.ts.
 */
import * as v from "valibot";

import { FullText } from "./fields.ts";

const Version = v.pipe(v.string(), v.regex(/^3(\.\d+){0,2}$/, 'must be like "3.12"'));
const Digest = v.pipe(
  v.string(),
  v.regex(/^[0-9a-fA-F]{64}$/, "must be a SHA-256: 64 hexadecimal digits"),
);
const Address = v.pipe(
  FullText,
  // Loopback needs no encryption.
  v.regex(
    /^(?!http:\/\/(?!127\.0\.0\.1|localhost|\[::1\]))/i,
    "must be a path or an https address",
  ),
);
const PLATFORM = /^(?:linux|darwin|windows)_(?:amd64|arm64)$/;

interface Located {
  archive?: string | undefined;
  sha256?: string | undefined;
}

/** An archive from the network is nothing without its digest. */
const hasDigest = ({ archive, sha256 }: Located) =>
  archive === undefined || !isRemote(archive) || sha256 !== undefined;
const NEEDS_DIGEST = "must stand beside an archive that is an address";

const Archive = v.pipe(
  v.strictObject({ archive: Address, sha256: v.optional(Digest) }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (dataset.typed && !hasDigest(dataset.value))
      addIssue({ message: NEEDS_DIGEST, path: [keyOf(dataset.value, "sha256")] });
  }),
);

/** Parts of the standard library that stay behind unless they are named here. */
export const OPTIONAL_PARTS = ["tkinter", "idlelib", "ensurepip", "test"] as const;
export type OptionalPart = (typeof OPTIONAL_PARTS)[number];

/** Where an interpreter may come from when neither a path nor an archive is named. */
export const PYTHON_SOURCES = ["any", "local", "managed"] as const;
export type PythonSource = (typeof PYTHON_SOURCES)[number];

export const PythonTable = v.pipe(
  v.strictObject({
    version: v.optional(Version),
    min_version: v.optional(Version),
    max_version: v.optional(Version),
    path: v.optional(FullText),
    archive: v.optional(Address),
    sha256: v.optional(Digest),
    archives: v.optional(
      v.record(
        v.pipe(v.string(), v.regex(PLATFORM, "must be a platform such as linux_arm64")),
        Archive,
      ),
    ),
    source: v.optional(v.picklist(PYTHON_SOURCES, `must be one of ${PYTHON_SOURCES.join(", ")}`)),
    mirror: v.optional(FullText),
    include: v.optional(
      v.array(v.picklist(OPTIONAL_PARTS, `must be one of ${OPTIONAL_PARTS.join(", ")}`)),
    ),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    const found = dataset.typed ? contradiction(dataset.value) : undefined;
    if (found !== undefined)
      addIssue({ message: found[1], path: [keyOf(dataset.value as object, found[0])] });
  }),
);

/** One key and what is wrong with it beside another. */
function contradiction(
  table: Located & {
    version?: string | undefined;
    min_version?: string | undefined;
    max_version?: string | undefined;
    path?: string | undefined;
    source?: PythonSource | undefined;
  },
): [key: string, message: string] | undefined {
  const { version, min_version: min, max_version: max, path, archive, sha256, source } = table;
  if (!hasDigest(table)) return ["sha256", NEEDS_DIGEST];
  if (sha256 !== undefined && archive === undefined) return ["sha256", "stands without archive"];
  if (path !== undefined && archive !== undefined)
    return ["path", "contradicts archive: only one of them can be meant"];
  if (source !== undefined && archive !== undefined)
    return ["source", "contradicts archive: only one of them can be meant"];
  if (source === "managed" && path !== undefined)
    return ["source", 'contradicts path: source = "managed" takes none of this machine'];
  if (isAbove(min, max)) return ["min_version", `${min} is above max_version ${max}`];
  if (isAbove(min, version)) return ["version", `${version} is below min_version ${min}`];
  if (isAbove(version, max)) return ["version", `${version} is above max_version ${max}`];
  return undefined;
}

function keyOf(input: object, key: string): v.ObjectPathItem {
  return {
    type: "object",
    origin: "value",
    input: input as Record<string, unknown>,
    key,
    value: (input as Record<string, unknown>)[key],
  };
}

export interface PythonArchive {
  /** A path relative to the manifest, or an address. */
  location: string;
  /** There for every address. */
  sha256?: string;
}

/** The wishes of the manifest, not yet joined with `requires-python` and `--python`. */
export interface PythonWishes {
  /** `3`, `3.12`, `3.12.4`. */
  version?: string;
  minVersion?: string;
  /** Includes everything that begins with it: `3.12` allows 3.12.9. */
  maxVersion?: string;
  /** Of an interpreter on this machine, relative to the manifest. */
  path?: string;
  archive?: PythonArchive;
  /** Platform → archive for it, before `archive`. */
  archives: Record<string, PythonArchive>;
  source: PythonSource;
  /** Where uv fetches interpreters from, when the environment names no mirror. */
  mirror?: string;
  include: OptionalPart[];
}

export function pythonWishes(table: v.InferOutput<typeof PythonTable> = {}): PythonWishes {
  const { version, path, mirror } = table;
  const archives = Object.entries(table.archives ?? {});
  return {
    ...(version !== undefined && { version }),
    ...(table.min_version !== undefined && { minVersion: table.min_version }),
    ...(table.max_version !== undefined && { maxVersion: table.max_version }),
    ...(path !== undefined && { path }),
    ...(table.archive !== undefined && { archive: archiveOf(table.archive, table.sha256) }),
    archives: Object.fromEntries(archives.map(([k, a]) => [k, archiveOf(a.archive, a.sha256)])),
    source: table.source ?? "any",
    ...(mirror !== undefined && { mirror }),
    include: [...new Set(table.include)].sort(),
  };
}

function archiveOf(location: string, sha256: string | undefined): PythonArchive {
  return { location, ...(sha256 !== undefined && { sha256: sha256.toLowerCase() }) };
}

export function isRemote(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

/** Compares as far as both go: `3.12` is not above `3.12.4`, because it includes it. */
function isAbove(a: string | undefined, b: string | undefined): boolean {
  const [left, right] = [a, b].map((text) => text?.split(".").map(Number) ?? []);
  for (let i = 0; i < Math.min(left?.length ?? 0, right?.length ?? 0); i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
