/**
 * From a project to the wheels that it needs: an existing lock with `frozen`, else a resolution for the target; then every file into
 * the cache, sources built to wheels. The order of the result is that of the names.
 */
import { basename } from "node:path";

import { compareNames, sha256Hex } from "../../codec/mod.ts";
import { fetchFiles } from "../index/fetch.ts";
import type { LockedPackage, LockTarget } from "../lock/locked.ts";
import { locksOf, readLock } from "../lock/locks.ts";
import type { PythonProject } from "../project/project.ts";
import type { StagedWheel } from "../wheel/site.ts";
import { type ResolveOptions, wheelOf } from "./build.ts";
import { resolveFresh } from "./fresh.ts";
import { locatePackages } from "./locate.ts";
import type { Resolver } from "./uv.ts";

export { buildProject, type ResolveOptions } from "./build.ts";

export interface Resolution {
  wheels: StagedWheel[];
  /** Where the versions come from: the lock's file name, or `uv` or `pip` for a fresh resolution. */
  source: string;
  /** SHA-256 of the names, versions and wheel hashes: equal for equal dependencies. */
  hash: string;
  /** What the author should know. */
  notes: string[];
}

/** The wheels of the project's dependencies, staged. */
export async function resolveDependencies(
  resolver: Resolver,
  project: PythonProject,
  target: LockTarget,
  options: ResolveOptions,
): Promise<Resolution> {
  const { packages, source, base, lock, notes } = await neededPackages(
    resolver,
    project,
    target,
    options,
  );
  const lookup = { resolver, target, lock, root: project.root, notes };
  const located = await locatePackages(packages, lookup);
  const files = located.flatMap((item) => (item.source === "file" ? [item.artifact] : []));
  const paths = await fetchFiles(resolver.ctx, files, base);
  const wheels: StagedWheel[] = [];
  for (const item of located) {
    const path = item.source === "file" ? paths[files.indexOf(item.artifact)] : undefined;
    wheels.push(await wheelOf(resolver, item, path ?? "", base, options));
  }
  wheels.sort((a, b) => compareNames(a.distInfo, b.distInfo));
  const lines = wheels.map((wheel) => `${wheel.name} ${wheel.version} ${wheel.key}\n`).join("");
  return { wheels, source, hash: sha256Hex(new TextEncoder().encode(lines)), notes };
}

interface Needed {
  packages: LockedPackage[];
  source: string;
  /** Folder that relative paths start from. */
  base: string;
  /** The file that messages are about. */
  lock: string;
  notes: string[];
}

async function neededPackages(
  resolver: Resolver,
  project: PythonProject,
  target: LockTarget,
  options: ResolveOptions,
): Promise<Needed> {
  if (options.frozen) {
    const locked = await readLock(resolver, project, target);
    return { ...locked, source: basename(locked.lock) };
  }
  const fresh = await resolveFresh(resolver, project, target, options);
  const ignored = locksOf(project)
    .map((path) => basename(path))
    .filter((name) => /lock(?:\.toml)?$/.test(name));
  const notes = ignored.map(
    (name) => `${name} was not looked at; --frozen takes the versions from it`,
  );
  const source = project.build.usePip ? "pip" : "uv";
  return { ...fresh, source, lock: project.manifest, notes: [...fresh.notes, ...notes] };
}
