/**
 * From a project to the wheels that it needs: an existing lock with `frozen`, else uv's resolution for the target; then every file into
 * the cache, source distributions and folders built to wheels. The order of the result is that of the names.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { FormatError, UsageError } from "../../base/mod.ts";
import { compareNames, sha256Hex } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import { normaliseName } from "../pep/names.ts";
import { parseWheelName, wheelRank } from "../pep/tags.ts";
import { copySources } from "../prepare/source.ts";
import type { PythonProject } from "../project/project.ts";
import { type StagedWheel, stageWheel } from "../wheel/site.ts";
import { fetchFiles } from "./fetch.ts";
import { type LockedPackage, type LockTarget, readPylock } from "./pylock.ts";
import { buildWheel, compileLock, exportLock, type Resolver } from "./uv.ts";

export interface Resolution {
  wheels: StagedWheel[];
  /** Where the versions come from: `uv.lock`, `pylock.toml`, or `uv` for a fresh resolution. */
  source: string;
  /** SHA-256 of the names, versions and wheel hashes: equal for equal dependencies. */
  hash: string;
}

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

/** The wheels of the project's dependencies, staged. */
export async function resolveDependencies(
  resolver: Resolver,
  project: PythonProject,
  target: LockTarget,
  options: ResolveOptions,
): Promise<Resolution> {
  const { text, source } = await lockText(resolver, project, options);
  const packages =
    text === ""
      ? []
      : readPylock(text, source === "uv" ? project.manifest : join(project.root, source), target);
  const files = packages.flatMap((p) => (p.source === "file" ? [p.artifact] : []));
  const paths = await fetchFiles(resolver.ctx, files, project.root);
  const wheels: StagedWheel[] = [];
  for (const item of packages) {
    const path = item.source === "file" ? paths[files.indexOf(item.artifact)] : undefined;
    wheels.push(await wheelOf(resolver, item, path ?? "", project.root, options));
  }
  wheels.sort((a, b) => compareNames(a.distInfo, b.distInfo));
  const lines = wheels.map((wheel) => `${wheel.name} ${wheel.version} ${wheel.key}\n`).join("");
  return { wheels, source, hash: sha256Hex(new TextEncoder().encode(lines)) };
}

/** The lock to use, as pylock.toml text; empty when there is nothing to install. */
async function lockText(
  resolver: Resolver,
  project: PythonProject,
  options: ResolveOptions,
): Promise<{ text: string; source: string }> {
  const { root } = project;
  const { extras, extraPackages } = project.build;
  if (!options.frozen) {
    const dynamic = project.dynamicDependencies;
    if (
      project.dependencies.length === 0 &&
      extraPackages.length === 0 &&
      extras.length === 0 &&
      !dynamic
    ) {
      return { text: "", source: "uv" };
    }
    resolver.ctx.progress.step("Resolving the dependencies");
    // Asked for dynamic requirements, build backends write into the folder; only relative paths need the real one.
    const hasPaths =
      project.hasSources === true || extraPackages.some((text) => text.includes("/"));
    const folder = dynamic && !hasPaths ? sourceCopy(root, options, "metadata") : root;
    const text = namesItself(project)
      ? await compileLock(resolver, root, [], {
          lines: [...project.dependencies, ...extraPackages],
        })
      : await compileLock(resolver, folder, [basename(project.manifest)], {
          lines: extraPackages,
          extras,
        });
    return { text, source: "uv" };
  }
  if (extraPackages.length > 0) {
    throw new UsageError(
      "FROZEN_EXTRA",
      "--frozen and build.extra_packages contradict each other",
      {
        hint: "Put these packages into the lock.",
      },
    );
  }
  if (existsSync(join(root, "uv.lock")))
    return { text: await exportLock(resolver, root, extras), source: "uv.lock" };
  const pylock = join(root, "pylock.toml");
  if (existsSync(pylock)) return { text: readFileSync(pylock, "utf8"), source: "pylock.toml" };
  const requirements = join(root, "requirements.txt");
  if (existsSync(requirements))
    return {
      text: await frozenRequirements(resolver, root, requirements),
      source: "requirements.txt",
    };
  throw new UsageError("FROZEN_MISSING", `--frozen: ${root} holds no lock`, {
    hint: "Make one with `uv lock` or `uv pip compile --format pylock.toml`, or leave --frozen out.",
    details: { looked: ["uv.lock", "pylock.toml", "requirements.txt"] },
  });
}

/**
 * A manifest that only packs a published application may bear its name. uv would take that dependency for the project itself,
 * so it gets the requirements without the manifest around them.
 */
function namesItself(project: PythonProject): boolean {
  const own = normaliseName(project.name);
  const names = project.dependencies.map((text) => /^\s*([A-Za-z0-9._-]+)/.exec(text)?.[1] ?? "");
  return names.some((name) => normaliseName(name) === own);
}

/** Hashed requirements: uv finds the files, and every file must have a hash that the requirements name. */
async function frozenRequirements(resolver: Resolver, root: string, file: string): Promise<string> {
  const known = new Set(
    readFileSync(file, "utf8")
      .match(/(?<=--hash[= ]sha256:)[0-9a-fA-F]{64}/g)
      ?.map((h) => h.toLowerCase()),
  );
  if (known.size === 0) {
    throw new FormatError("REQUIREMENTS_HASH", `${file}: has no hashes`, {
      hint: "Make it with `uv pip compile --generate-hashes`.",
      details: { file },
    });
  }
  const text = await compileLock(resolver, root, [basename(file)], { noDependencies: true });
  // Hashes that the requirements do not name are taken out; a package that has none left is refused by the reader.
  return text.replace(/sha256 = "([0-9a-fA-F]{64})"/g, (whole, hash: string) =>
    known.has(hash.toLowerCase()) ? whole : 'unknown = ""',
  );
}

async function wheelOf(
  resolver: Resolver,
  item: LockedPackage,
  path: string,
  base: string,
  options: ResolveOptions,
): Promise<StagedWheel> {
  if (item.source === "directory")
    return await buildProject(resolver, resolve(base, item.path), options);
  if (item.artifact.kind === "wheel")
    return await stageWheel(resolver.ctx, path, item.artifact.sha256);
  const built = await builtWheel(resolver, path, item.artifact.sha256, options.epoch);
  checkBuilt(resolver, built, basename(path));
  return await stageWheel(resolver.ctx, built);
}

/** The wheel of a source distribution, built once for an interpreter. */
async function builtWheel(
  resolver: Resolver,
  sdist: string,
  sha256: string,
  epoch: number,
): Promise<string> {
  const { ctx, python } = resolver;
  const build = sha256Hex(
    new TextEncoder().encode(
      `${python.build} ${python.executable} ${epoch} ${resolver.variables ?? ""}`,
    ),
  ).slice(0, 16);
  const place = join(ctx.cacheDir, "python", "built", `${sha256}-${build}`);
  await cachedFolder(place, async (folder) => {
    ctx.progress.step(`Building ${basename(sdist)}`);
    await buildWheel(resolver, sdist, folder, epoch);
  });
  return join(place, onlyWheel(place));
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
  const wheel = await buildWheel(resolver, copy, out, options.epoch, within);
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
function sourceCopy(root: string, options: ResolveOptions, purpose: "build" | "metadata"): string {
  const prepared = options.prepared?.root === root ? options.prepared.folder : undefined;
  if (prepared !== undefined && purpose === "build") return prepared;
  const digest = sha256Hex(new TextEncoder().encode(root)).slice(0, 12);
  const work = join(options.scratch, `${purpose}-${digest}`);
  rmSync(work, { recursive: true, force: true });
  const copy = join(work, "source");
  mkdirSync(work, { recursive: true });
  if (prepared === undefined) copySources(root, copy);
  else cpSync(prepared, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}
