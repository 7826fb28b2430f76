/**
 * What is in the cache: work environments, shared slots, and what is neither. Nothing here changes a byte or follows a
 * symbolic link; whatever a launcher did not write is listed as foreign and left alone by everything else.
 */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

import { EnvironmentError, FormatError, ioError, UsageError } from "../base/mod.ts";
import { type Marker, readMarker } from "./ready.ts";
import { checkBase } from "./safety.ts";
import { measure } from "./tree.ts";

/** `ready` can be started, `unready` was never finished (or is being made now), `corrupt` has a marker that lies. */
export type State = "ready" | "unready" | "corrupt";

interface Folder {
  path: string;
  state: State;
  /** What is wrong with the marker. */
  problem?: string;
  /** Milliseconds since 1970. */
  created?: number;
  lastUse?: number;
  /** Bytes on disk. */
  size: number;
  files: number;
}

export interface WorkEnvironment extends Folder {
  /** Name of its folder: `<name>-<version>-<16 hex>`. */
  id: string;
  name?: string;
  version?: string;
  /** SHA-256 of the signed metadata. */
  identity?: string;
  /** SHA-256 of the shared slots that it uses. */
  shared: string[];
  marker?: Marker;
}

export interface SharedSlot extends Folder {
  /** SHA-256 of its stored bytes, also the name of its folder. */
  sha256: string;
  /** Ids of the ready environments that use it. */
  usedBy: string[];
  marker?: Marker;
}

export interface Cache {
  base: string;
  environments: WorkEnvironment[];
  shared: SharedSlot[];
  /** Folders that were taken out of use and not yet deleted. */
  leftovers: string[];
  /** Paths that no launcher wrote. */
  foreign: string[];
}

/** Prefix of what was renamed away to be deleted. */
export const REMOVED = ".removed-";

/**
 * Reads the cache below `base`; a base that does not exist is an empty cache.
 * @param sizes whether to walk through the folders for `size` and `files`; otherwise both are 0
 * @throws EnvironmentError when the base is not safe or cannot be read
 */
export async function readCache(base: string, options: { sizes?: boolean } = {}): Promise<Cache> {
  const cache: Cache = { base, environments: [], shared: [], leftovers: [], foreign: [] };
  if (!checkBase(base)) return cache;
  for (const name of await list(join(base, "workenv"))) {
    const path = join(base, "workenv", name);
    if (name.startsWith(REMOVED)) cache.leftovers.push(path);
    else if (!isEnvironmentName(name) || !(await isFolder(path))) cache.foreign.push(path);
    else cache.environments.push(await readEnvironment(path, name, options.sizes === true));
  }
  for (const name of await list(join(base, "store"))) {
    const path = join(base, "store", name);
    if (name.startsWith(REMOVED)) cache.leftovers.push(path);
    else if (!/^[0-9a-f]{64}$/.test(name) || !(await isFolder(path))) cache.foreign.push(path);
    else cache.shared.push(await readShared(path, name, cache, options.sizes === true));
  }
  return cache;
}

/** Names in a folder of the base, sorted; a symbolic link in its place is refused. */
async function list(folder: string): Promise<string[]> {
  try {
    const info = await lstat(folder);
    if (!info.isDirectory()) {
      throw new EnvironmentError("CACHE_LINK", `${folder} is not a folder`, {
        hint: "Move it away; the launchers make the folder they need.",
        details: { path: folder },
      });
    }
    return (await readdir(folder)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw ioError(error, folder);
  }
}

function isEnvironmentName(name: string): boolean {
  return /^[A-Za-z0-9].*-[0-9a-f]{16}$/.test(name);
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path)).isDirectory();
}

async function readEnvironment(path: string, id: string, sizes: boolean): Promise<WorkEnvironment> {
  const folder = await readFolder(path, sizes, (marker) => {
    const { identity, package: owner } = marker.ready;
    if (owner === undefined) return "the marker is of a shared slot";
    return identity.startsWith(id.slice(-16)) ? undefined : "the marker is of another package";
  });
  const ready = folder.marker?.ready;
  const known = ready ? { ...ready.package, identity: ready.identity } : guess(id);
  return { id, ...known, ...folder, shared: ready?.stores ?? [] };
}

/** What the name of a folder says about an environment without a marker. */
function guess(id: string): { name?: string; version?: string } {
  const parts = id.slice(0, -17).split("-");
  return parts.length === 2 ? { name: parts[0] as string, version: parts[1] as string } : {};
}

async function readShared(
  path: string,
  sha256: string,
  cache: Cache,
  sizes: boolean,
): Promise<SharedSlot> {
  const folder = await readFolder(path, sizes, ({ ready }) => {
    if (ready.package !== undefined) return "the marker is of a work environment";
    return ready.identity === sha256 ? undefined : "the marker is of another slot";
  });
  const users = cache.environments.filter(({ shared }) => shared.includes(sha256));
  return { sha256, ...folder, usedBy: users.map(({ id }) => id) };
}

async function readFolder(
  path: string,
  sizes: boolean,
  check: (marker: Marker) => string | undefined,
): Promise<Folder & { marker?: Marker }> {
  const base = { path, ...(sizes ? await measure(path) : { size: 0, files: 0 }) };
  let marker: Marker | undefined;
  try {
    marker = await readMarker(path);
  } catch (error) {
    if (error instanceof FormatError) return { ...base, state: "corrupt", problem: error.message };
    throw error;
  }
  if (marker === undefined) return { ...base, state: "unready" };
  const problem = check(marker);
  if (problem !== undefined) return { ...base, state: "corrupt", problem };
  const { created, lastUse } = marker;
  return {
    ...base,
    state: "ready",
    created,
    ...(lastUse === undefined ? {} : { lastUse }),
    marker,
  };
}

/**
 * The environment that a word means: its folder name, at least 8 digits of its identity, `name`, or `name-version`.
 * @throws UsageError `WORKENV_UNKNOWN`, `WORKENV_AMBIGUOUS`
 */
export function findEnvironment(cache: Cache, word: string): WorkEnvironment {
  const exact = cache.environments.filter(({ id }) => id === word);
  const found = exact.length > 0 ? exact : cache.environments.filter((one) => isMeant(one, word));
  if (found.length === 1) return found[0] as WorkEnvironment;
  if (found.length === 0) {
    throw new UsageError(
      "WORKENV_UNKNOWN",
      `There is no work environment ${word} in ${cache.base}`,
      {
        hint: "`sealift workenv list` shows them.",
      },
    );
  }
  throw new UsageError("WORKENV_AMBIGUOUS", `${word} means ${found.length} work environments`, {
    hint: `Name one of: ${found.map(({ id }) => id).join(", ")}.`,
  });
}

function isMeant(one: WorkEnvironment, word: string): boolean {
  if (/^[0-9a-f]{8,64}$/.test(word)) {
    return (one.identity ?? one.id.slice(-16)).startsWith(word);
  }
  return one.name === word || one.id.slice(0, -17) === word;
}
