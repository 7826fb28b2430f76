/**
 * Locked packages as wheels: a wheel as it is; source distributions, archives, folders and Git commits built. What has a hash or a
 * commit is built once for an interpreter and kept.
 */
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";

import { FormatError, redacted } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import { parseWheelName, wheelRank } from "../pep/tags.ts";
import { copySources } from "../prepare/source.ts";
import { type StagedWheel, stageWheel } from "../wheel/site.ts";
import { gitCheckout, gitFrom, gitOrigin } from "./git.ts";
import type { LocatedPackage } from "./locate.ts";
import { folderBelow, unpackSources } from "./unpack.ts";
import { buildWheel, type Resolver } from "./uv.ts";

export interface ResolveOptions {
  frozen: boolean;
  /** Scratch folder of this run. */
  scratch: string;
  epoch: number;
  /** Sources that commands have changed already: a copy of the project at `root`, which may be built in. */
  prepared?: { root: string; folder: string };
  /** The interpreter of a build environment: the project is built with what is in it. */
  environment?: { root: string; python: string };
}

/** The wheel of one package. `path` is its file when it has one, `base` the folder that relative paths of the lock start from. */
export async function wheelOf(
  resolver: Resolver,
  item: LocatedPackage,
  path: string,
  base: string,
  options: ResolveOptions,
): Promise<StagedWheel> {
  if (item.source === "directory") {
    const folder = resolve(base, item.path, item.subdirectory ?? ".");
    const wheel = await buildProject(resolver, folder, options);
    return { ...wheel, origin: relative(base, folder).replaceAll("\\", "/") || "." };
  }
  if (item.source === "git") {
    const origin = gitOrigin(item.git, item.subdirectory);
    const wheel = await builtOnce(resolver, digest(origin), item.name, options.epoch, async () => {
      const checkout = await gitCheckout(resolver.ctx, gitFrom(item.git, base), item.name);
      const copy = join(emptyFolder(options, "git", origin), "source");
      cpSync(checkout, copy, { recursive: true, verbatimSymlinks: true });
      return folderBelow(copy, item.subdirectory, origin);
    });
    return { ...wheel, origin };
  }
  const { artifact } = item;
  if (artifact.kind === "wheel") return await stageWheel(resolver.ctx, path, artifact.sha256);
  const { subdirectory } = item;
  if (item.archive !== true)
    return await builtOnce(
      resolver,
      artifact.sha256,
      basename(path),
      options.epoch,
      async () => path,
    );
  const id =
    subdirectory === undefined ? artifact.sha256 : digest(`${artifact.sha256} ${subdirectory}`);
  const wheel = await builtOnce(resolver, id, basename(path), options.epoch, async () => {
    const folder = emptyFolder(options, "archive", id);
    return folderBelow(await unpackSources(path, folder), subdirectory, artifact.file);
  });
  const place = "url" in artifact.location ? redacted(artifact.location.url) : artifact.file;
  return {
    ...wheel,
    origin: subdirectory === undefined ? place : `${place}#subdirectory=${subdirectory}`,
  };
}

function emptyFolder(options: ResolveOptions, purpose: string, id: string): string {
  const folder = join(options.scratch, `${purpose}-${digest(id).slice(0, 12)}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The wheel of sources that `id` names (a SHA-256), built once for an interpreter; `sources` gives the file or folder to build. */
async function builtOnce(
  resolver: Resolver,
  id: string,
  label: string,
  epoch: number,
  sources: () => Promise<string>,
): Promise<StagedWheel> {
  const { ctx, python } = resolver;
  const build = digest(
    `${python.build} ${python.executable} ${epoch} ${resolver.variables ?? ""}`,
  ).slice(0, 16);
  const place = join(ctx.cacheDir, "python", "built", `${id}-${build}`);
  await cachedFolder(place, async (folder) => {
    const from = await sources();
    ctx.progress.step(`Building ${label}`);
    await buildWheel(resolver, from, folder, { label, epoch });
  });
  const wheel = join(place, onlyWheel(place));
  checkBuilt(resolver, wheel, label);
  return await stageWheel(ctx, wheel);
}

function onlyWheel(folder: string): string {
  return readdirSync(folder).find((name) => name.endsWith(".whl")) ?? "";
}

/** Builds the project at `root` in a copy, because build backends write into the folder they build. */
export async function buildProject(
  resolver: Resolver,
  root: string,
  options: ResolveOptions,
): Promise<StagedWheel> {
  const copy = sourceCopy(root, options, "build");
  const out = join(copy, "..", "wheel");
  mkdirSync(out);
  resolver.ctx.progress.step(`Building ${basename(root)}`);
  const { environment } = options;
  const within = environment?.root === root ? environment.python : undefined;
  const how = { label: root, epoch: options.epoch, environment: within };
  const wheel = await buildWheel(resolver, copy, out, how);
  checkBuilt(resolver, wheel, root);
  return await stageWheel(resolver.ctx, wheel);
}

/** What is built here with compiled parts runs here only. */
function checkBuilt(resolver: Resolver, wheel: string, source: string): void {
  if (wheelRank(parseWheelName(basename(wheel)), resolver.tags) !== undefined) return;
  throw new FormatError(
    "WHEEL_FOREIGN",
    `${source} builds to ${basename(wheel)}, which is not for ${resolver.platform} with Python ${resolver.pythonVersion}`,
    {
      hint: "It has compiled parts: use a version with a wheel for that platform, or pack on such a machine.",
      details: { source, wheel: basename(wheel), platform: resolver.platform },
    },
  );
}

/** A copy of the sources below `root`, in a folder of its own in the scratch folder of this run; the prepared one where there is one. */
export function sourceCopy(
  root: string,
  options: ResolveOptions,
  purpose: "build" | "metadata",
): string {
  const prepared = options.prepared?.root === root ? options.prepared.folder : undefined;
  if (prepared !== undefined && purpose === "build") return prepared;
  const work = join(options.scratch, `${purpose}-${digest(root).slice(0, 12)}`);
  rmSync(work, { recursive: true, force: true });
  const copy = join(work, "source");
  mkdirSync(work, { recursive: true });
  if (prepared === undefined) copySources(root, copy);
  else cpSync(prepared, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

function digest(text: string): string {
  return sha256Hex(new TextEncoder().encode(text));
}
