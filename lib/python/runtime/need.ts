/**
 * Which versions of Python will do, and who says so: `--python`, else the manifest, else `.python-version`, else anything; always inside
 * `requires-python`, `min_version` and `max_version`. Two of them that no version can meet are an error that names both.
 */
import { FormatError } from "../../base/mod.ts";
import { satisfiesPython } from "../pep/specifier.ts";
import type { PythonProject } from "../project/project.ts";
import { findVersionFile } from "../project/python-version.ts";

/** A version and where it is written. */
interface Named {
  version: string;
  by: string;
}

interface Bound {
  /** PEP 440, such as `>=3.9`. */
  specifier: string;
  by: string;
}

export interface PythonNeed {
  /** Best first; empty = any version. */
  versions: Named[];
  bounds: Bound[];
}

/** Older ones are not packed: their import system knows no unchecked bytecode, and uv does not know them. */
const OLDEST = "3.8";

/** @param version of `--python` or of an entry of the package, with its origin */
export function pythonNeed(project: PythonProject, asked?: Named): PythonNeed {
  const { python, requiresPython, root } = project;
  const bounds: Bound[] = [];
  const bound = (specifier: string | undefined, by: string) => {
    if (specifier !== undefined) bounds.push({ specifier, by });
  };
  bound(requiresPython, "requires-python");
  bound(python.minVersion && `>=${python.minVersion}`, "python.min_version");
  bound(python.maxVersion && upTo(python.maxVersion), "python.max_version");
  const versions = asked === undefined ? named(python.version, root) : [asked];
  for (const item of versions) {
    const against = bounds.find((b) => !mayMeet(item.version, b.specifier));
    if (against !== undefined && versions.length === 1) throw contradiction(project, item, against);
  }
  return { versions, bounds };
}

function named(version: string | undefined, root: string): Named[] {
  if (version !== undefined) return [{ version, by: "python.version" }];
  const file = findVersionFile(root);
  return file?.versions.map((found) => ({ version: found, by: file.path })) ?? [];
}

/** Everything that begins with `version`, and all before it. */
function upTo(version: string): string {
  const parts = version.split(".").map(Number);
  if (parts.length === 3) return `<=${version}`;
  return `<${[...parts.slice(0, -1), (parts.at(-1) ?? 0) + 1].join(".")}`;
}

/** Whether some release that begins with `version` can meet `specifier`; tried with the releases that exist or may come. */
function mayMeet(version: string, specifier: string): boolean {
  const parts = version.split(".");
  if (parts.length === 3) return satisfiesPython(version, specifier);
  const minors = parts.length === 2 ? [version] : Array.from({ length: 40 }, (_, i) => `3.${i}`);
  return minors.some((minor) =>
    Array.from({ length: 60 }, (_, i) => `${minor}.${i}`).some((v) =>
      satisfiesPython(v, specifier),
    ),
  );
}

/** Why `version` will not do, or `undefined`. `rank` of the wish that it meets is found by `wishRank`. */
export function unfitVersion(version: string, need: PythonNeed): string | undefined {
  if (!satisfiesPython(version, `>=${OLDEST}a0`)) return `older than ${OLDEST}`;
  if (wishRank(version, need) === undefined) {
    const wishes = need.versions.map((item) => item.version).join(" or ");
    return `not ${wishes} (${need.versions[0]?.by})`;
  }
  const against = need.bounds.find((b) => !satisfiesPython(version, b.specifier));
  return against && `not ${against.specifier} (${against.by})`;
}

/** Which of the wishes `version` meets: 0 is the best; `undefined` = none. */
export function wishRank(version: string, need: PythonNeed): number | undefined {
  if (need.versions.length === 0) return 0;
  const rank = need.versions.findIndex((item) => `${version}.`.startsWith(`${item.version}.`));
  return rank < 0 ? undefined : rank;
}

/** `3.12 (.python-version), >=3.9 (requires-python)`, for messages. */
export function needText(need: PythonNeed): string {
  const wishes = need.versions.map((item) => item.version).join(" or ");
  const parts = [
    ...(wishes === "" ? [] : [`${wishes} (${need.versions[0]?.by})`]),
    ...need.bounds.map((b) => `${b.specifier} (${b.by})`),
  ];
  return parts.length === 0 ? "3" : parts.join(", ");
}

function contradiction(project: PythonProject, item: Named, against: Bound): FormatError {
  return new FormatError(
    "PYTHON_CONTRADICTION",
    `${project.manifest}: Python ${item.version} (${item.by}) contradicts ${against.specifier} (${against.by})`,
    {
      hint: "Change one of the two.",
      details: {
        version: item.version,
        by: item.by,
        bound: against.specifier,
        boundBy: against.by,
      },
    },
  );
}

/** Sorts versions of Python, the newest first and releases before pre-releases of any age. */
export function newestFirst(a: string, b: string): number {
  const [left, right] = [sortKey(a), sortKey(b)];
  for (let i = 0; i < left.length; i++) {
    const difference = (right[i] ?? 0) - (left[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function sortKey(version: string): number[] {
  const [, minor, patch, kind, number] = /^3\.(\d+)\.(\d+)(a|b|rc)?(\d+)?/.exec(version) ?? [];
  const stage = kind === undefined ? 0 : ["a", "b", "rc"].indexOf(kind);
  return [kind === undefined ? 1 : 0, Number(minor), Number(patch), stage, Number(number ?? 0)];
}
