/** What every kind of lock says in the end: which packages the target needs, from where, with which SHA-256. */
import { valid } from "@renovatebot/pep440";

import { FormatError, quoted } from "../../base/mod.ts";
import type { MarkerEnvironment } from "../pep/marker.ts";
import { isFileName } from "../pep/names.ts";
import { chooseWheel } from "../pep/tags.ts";

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

/** A file whose address the lock does not say: the index is asked, that of the lock where it names one. */
export type NamedFile = Omit<LockedFile, "location"> & { location: { indexes: string[] } };

/** A commit of a Git repository. */
export interface GitSource {
  /** Address or path, without `git+`. */
  url: string;
  /** Full object name. */
  commit: string;
}

export type LockedPackage = { name: string; version?: string; subdirectory?: string } & (
  | {
      source: "file";
      artifact: LockedFile | NamedFile;
      /** Any archive of a project, perhaps with a folder around it, and not what an index calls a source distribution. */
      archive?: true;
    }
  /** Hashes of files whose names only the index knows. */
  | { source: "hashes"; hashes: string[]; indexes: string[] }
  /** Relative to the lock. */
  | { source: "directory"; path: string }
  | { source: "git"; git: GitSource }
);

/** The Python and the system that a lock is read for. */
export interface LockTarget {
  markers: MarkerEnvironment;
  pythonVersion: string;
  /** Rank of every tag that the target accepts. */
  tags: Map<string, number>;
}

/** What is wanted of a lock beside the dependencies that everybody gets; normalised names. */
export interface LockWish {
  extras: string[];
  groups: string[];
}

/** Most packages that a lock may hold. */
const MAX_PACKAGES = 20_000;

/** `LOCK_LIMIT` for a lock with more packages than any application has. */
export function checkCount(count: number, lock: string, code = "LOCK_LIMIT"): void {
  if (count > MAX_PACKAGES) throw lockError(lock, code, `it lists ${count} packages`);
}

/** A file as locks list it. */
export interface ListedFile {
  file: string;
  /** `sha256:…`, or another algorithm, which counts as none. */
  hash: string;
  url?: string | undefined;
}

/** The best file for the target: a wheel by its tags, else the source distribution. `LOCK_NO_WHEEL` says what there is. */
export function chooseFile(
  files: ListedFile[],
  about: { name: string; version: string; lock: string; indexes: string[] },
  target: LockTarget,
): LockedFile | NamedFile {
  for (const { file } of files) checkFileName(file, about.name, about.lock);
  const chosen = chooseByTags(files, target);
  if (chosen === undefined) throw noWheel(about, files, target);
  const { kind, item } = chosen;
  const sha256 = /^sha256:([0-9a-f]{64})$/.exec(item.hash.toLowerCase())?.[1];
  if (sha256 === undefined) throw lockError(about.lock, "LOCK_HASH", `${item.file} has no SHA-256`);
  const found = { kind, file: item.file, sha256 };
  return item.url === undefined
    ? { ...found, location: { indexes: about.indexes } }
    : { ...found, location: { url: item.url } };
}

/** A wheel of the target, else a source distribution, else nothing. */
export function chooseByTags<T extends { file: string }>(
  files: T[],
  target: LockTarget,
): { kind: "wheel" | "sdist"; item: T } | undefined {
  const wheel = chooseWheel(
    files.filter(({ file }) => file.endsWith(".whl")),
    target.tags,
  );
  if (wheel !== undefined) return { kind: "wheel", item: wheel };
  const sdist = SDISTS.map((end) => files.find(({ file }) => file.endsWith(end))).find(Boolean);
  return sdist === undefined ? undefined : { kind: "sdist", item: sdist };
}

/** A file with an address of its own: what is no wheel may be any archive. */
export function ownFile(
  head: { name: string; version?: string; subdirectory?: string },
  artifact: LockedFile | NamedFile,
  location: LockedFile["location"],
): LockedPackage {
  const place = "url" in location ? { url: location.url.split("#")[0] ?? "" } : location;
  return {
    ...head,
    source: "file",
    artifact: { ...artifact, location: place },
    ...(artifact.kind === "sdist" && { archive: true }),
  };
}

/** In the order in which they are preferred. */
const SDISTS = [".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"];

export function noWheel(
  about: { name: string; version: string; lock: string },
  files: { file: string }[],
  { markers }: LockTarget,
  code = "LOCK_NO_WHEEL",
): FormatError {
  const there = files.map(({ file }) => file);
  const shown = there.slice(0, 5).join(", ") + (there.length > 5 ? `, … (${there.length})` : "");
  const target = `${markers.sys_platform} ${markers.platform_machine}, Python ${markers.python_version}`;
  const exists = there.length === 0 ? "it lists no file" : `it has ${shown}`;
  return lockError(
    about.lock,
    code,
    `${about.name} ${about.version} has no wheel for ${target} and no source distribution; ${exists}`,
    "Choose another Python or platform, or another version of the package.",
  );
}

export function checkFileName(file: string, name: string, lock: string): string {
  if (isFileName(file)) return file;
  throw lockError(lock, "LOCK_NAME", `${name}: ${quoted(file, 100)} is no file name`);
}

/** `LOCK_FIELD` for what is no version (PEP 440): nothing could be compared with it. */
export function checkVersion(version: string, name: string, lock: string): void {
  if (valid(version) !== null) return;
  throw lockError(lock, "LOCK_FIELD", `${name}: ${quoted(version, 80)} is no version`);
}

/** A commit is a whole object name: a branch or tag may be another one tomorrow. */
export function gitSource(url: string, commit: string, name: string, lock: string): GitSource {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) {
    throw lockError(
      lock,
      "LOCK_COMMIT",
      `${name} comes from Git without a whole commit (${quoted(commit, 80)})`,
    );
  }
  return { url: url.replace(/^git\+/, ""), commit };
}

/** An error about a lock; the usual way out is to make it again. */
export function lockError(
  file: string,
  code: string,
  what: string,
  hint = "Make the lock again for this project and target.",
): FormatError {
  return new FormatError(code, `${file}: ${what}`, { hint, details: { file } });
}
