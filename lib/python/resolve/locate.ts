/**
 * Locks that know hashes but no addresses, or not even file names: what is missing is asked of the index, for files only that the cache
 * does not hold. What was learned stays in the cache, so that the next pack needs no index.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { AtomicFile, CheckError } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import type { IndexFile } from "../index/index-page.ts";
import { findFiles } from "../index/index.ts";
import {
  chooseByTags,
  type LockedFile,
  type LockedPackage,
  lockError,
  type LockTarget,
  type NamedFile,
  noWheel,
} from "../lock/locked.ts";
import type { Resolver } from "./uv.ts";

/** A package whose file, if it is one, can be fetched. */
export type LocatedPackage = Exclude<LockedPackage, { source: "file" | "hashes" }> | LocatedFile;
type LocatedFile = Extract<LockedPackage, { source: "file" }> & { artifact: LockedFile };

/** How many pages of the index are asked for at once. */
const CONNECTIONS = 8;

interface Lookup {
  resolver: Resolver;
  target: LockTarget;
  lock: string;
  root: string;
  notes: string[];
}

/**
 * The same packages, in order, with addresses. Adds to `notes` what was withdrawn from the index. `LOCK_MISSING` when no index
 * has a file with the hash of the lock, `LOCK_DIFFERS` when it has another one under that name.
 */
export async function locatePackages(
  packages: LockedPackage[],
  lookup: Lookup,
): Promise<LocatedPackage[]> {
  const located: LocatedPackage[] = new Array(packages.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < packages.length; i = next++) {
      const item = packages[i];
      if (item !== undefined) located[i] = await locate(item, lookup);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONNECTIONS, packages.length) }, worker));
  return located;
}

async function locate(item: LockedPackage, lookup: Lookup): Promise<LocatedPackage> {
  if (item.source === "hashes") {
    const { hashes: _, indexes: __, ...head } = item;
    return { ...head, source: "file", artifact: await byHashes(item, lookup) };
  }
  if (item.source !== "file") return item;
  const { artifact } = item;
  if (!("indexes" in artifact.location)) return { ...item, artifact: artifact as LockedFile };
  return { ...item, artifact: await byName(item.name, artifact as NamedFile, lookup) };
}

async function byName(name: string, file: NamedFile, lookup: Lookup): Promise<LockedFile> {
  const cached = join(wheelFolder(lookup, file.sha256), file.file);
  if (existsSync(wheelFolder(lookup, file.sha256))) return { ...file, location: { path: cached } };
  const there = await offered(name, file.location.indexes, lookup);
  const found = there.find(
    (other) => other.file === file.file && (other.sha256 ?? file.sha256) === file.sha256,
  );
  if (found !== undefined) {
    note(found, name, lookup);
    return { ...file, location: { url: found.url } };
  }
  const other = there.find((item) => item.file === file.file);
  if (other === undefined) throw missing(name, file.file, lookup);
  throw new CheckError(
    "LOCK_DIFFERS",
    `${lookup.lock}: the index has another ${file.file} than the lock`,
    {
      hint: "Do not use this file; find out who changed it.",
      details: { file: file.file, expected: file.sha256, actual: other.sha256 },
    },
  );
}

type ByHashes = Extract<LockedPackage, { source: "hashes" }>;

/** Of the files whose hashes the lock lists, the one for the target. */
async function byHashes(item: ByHashes, lookup: Lookup): Promise<LockedFile> {
  const wanted = new Set(item.hashes);
  const known = await remembered(item, lookup);
  const files =
    known ??
    (await offered(item.name, item.indexes, lookup)).flatMap(({ sha256, ...file }) =>
      sha256 !== undefined && wanted.has(sha256) ? [{ ...file, sha256 }] : [],
    );
  if (files.length === 0) throw missing(item.name, `file with a hash of the lock`, lookup);
  const about = { name: item.name, version: item.version ?? "", lock: lookup.lock };
  const chosen = chooseByTags(files, lookup.target);
  if (chosen === undefined) throw noWheel(about, files, lookup.target);
  if (known === undefined) await remember(item, files, lookup);
  const { file, url, sha256 } = chosen.item;
  note(chosen.item, item.name, lookup);
  return { kind: chosen.kind, file, sha256, location: { url } };
}

type Offered = IndexFile & { sha256: string };

/** The hashes name the files for ever, so what the index said about them once stays true. */
function memoryOf(item: ByHashes, { resolver }: Lookup): string {
  const id = sha256Hex(new TextEncoder().encode([item.name, ...item.hashes.toSorted()].join("\n")));
  return join(resolver.ctx.cacheDir, "python", "files", `${id}.json`);
}

async function remembered(item: ByHashes, lookup: Lookup): Promise<Offered[] | undefined> {
  const path = memoryOf(item, lookup);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Offered[]) : undefined;
}

async function remember(item: ByHashes, files: Offered[], lookup: Lookup): Promise<void> {
  const path = memoryOf(item, lookup);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await using file = await AtomicFile.create(path, { force: true });
  await file.write(new TextEncoder().encode(JSON.stringify(files)));
  await file.commit();
}

/** What the indexes of the lock have, and then the usual ones. */
async function offered(name: string, indexes: string[], lookup: Lookup): Promise<IndexFile[]> {
  const found: IndexFile[] = [];
  for (const index of indexes)
    found.push(...(await findFiles(lookup.resolver, name, { root: lookup.root, index })));
  return found.length > 0 ? found : await findFiles(lookup.resolver, name, { root: lookup.root });
}

function wheelFolder({ resolver }: Lookup, sha256: string): string {
  return join(resolver.ctx.cacheDir, "wheels", sha256);
}

function note({ file, yanked }: IndexFile, name: string, { notes }: Lookup): void {
  if (yanked === undefined) return;
  notes.push(`${name}: ${file} was withdrawn from the index${yanked === "" ? "" : ` (${yanked})`}`);
}

function missing(name: string, what: string, { lock }: Lookup): Error {
  return lockError(
    lock,
    "LOCK_MISSING",
    `no index has the ${what} of ${name}`,
    "Check the index settings, or make the lock again.",
  );
}
