/**
 * Resolution without a lock: the project's requirements, and what its settings add, for the target. uv decides; with
 * `build.use_pip` pip does.
 */
import { existsSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { FormatError } from "../../base/mod.ts";
import type { LockedPackage, LockTarget } from "../lock/locked.ts";
import { readPylock } from "../lock/pylock.ts";
import { normaliseName } from "../pep/names.ts";
import { checkExtras, checkGroups, extraLines } from "../project/groups.ts";
import type { PythonProject } from "../project/project.ts";
import { type ResolveOptions, sourceCopy } from "./build.ts";
import { pipResolution } from "./pip.ts";
import { compileLock, type Resolver } from "./uv.ts";

export interface Fresh {
  packages: LockedPackage[];
  /** Folder that relative paths of the packages start from. */
  base: string;
  notes: string[];
}

/** What is resolved: files (absolute, or manifests in `folder`), and lines that follow them. */
export interface Requirements {
  folder: string;
  /** A manifest whose dependencies count: its name in `folder`. */
  manifest?: string;
  extras: string[];
  files: string[];
  constraints: string[];
  lines: string[];
}

/** `RESOLVE` with uv's or pip's explanation, `RESOLVE_NETWORK`, `RESOLVE_OFFLINE`. */
export async function resolveFresh(
  resolver: Resolver,
  project: PythonProject,
  target: LockTarget,
  options: ResolveOptions,
): Promise<Fresh> {
  const requirements = requirementsOf(project, options);
  if (requirements === undefined) return { packages: [], base: project.root, notes: [] };
  resolver.ctx.progress.step("Resolving the dependencies");
  const { packages, notes } = project.build.usePip
    ? await pipResolution(resolver, project, requirements, target, options)
    : await uvResolution(resolver, project, requirements, target);
  const own = normaliseName(project.name);
  // A wheel stands among its own dependencies, because the resolver was asked for it.
  const others =
    project.wheel === undefined ? packages : packages.filter(({ name }) => name !== own);
  return { packages: others, base: requirements.folder, notes };
}

async function uvResolution(
  resolver: Resolver,
  project: PythonProject,
  requirements: Requirements,
  target: LockTarget,
) {
  const { folder, manifest, ...rest } = requirements;
  const notes: string[] = [];
  const files = [...(manifest === undefined ? [] : [manifest]), ...rest.files];
  const text = await compileLock(resolver, folder, files, { ...rest, notes });
  return { packages: readPylock(text, project.manifest, target), notes };
}

/** Nothing when there is nothing to install. */
function requirementsOf(project: PythonProject, options: ResolveOptions): Requirements | undefined {
  const { root, build, dynamicDependencies: dynamic } = project;
  const extras = wantedExtras(project);
  const groups = checkGroups(build.groups, project.groups.names, project.manifest);
  const additions = [
    ...build.extraPackages,
    ...groups.flatMap((name) => project.groups.lines(name)),
    ...build.folders.map((folder) => folderLine(folder, project)),
  ];
  const rest = {
    files: build.requirementFiles.map((file) => existing(file, "requirements_file", project)),
    constraints: build.constraintFiles.map((file) => existing(file, "constraints", project)),
  };
  if (project.wheel !== undefined) {
    const names = extras.length === 0 ? "" : `[${extras.join(",")}]`;
    const own = `${project.name}${names} @ ${Bun.pathToFileURL(project.wheel).href}`;
    return { ...rest, folder: root, extras: [], lines: [own, ...additions] };
  }
  const isEmpty =
    [project.dependencies, additions, extras, rest.files].every((list) => list.length === 0) &&
    !dynamic;
  if (isEmpty) return undefined;
  if (namesItself(project) || project.isListed === true) {
    const lines = [
      ...project.dependencies,
      ...extras.flatMap((name) => extraLines(project.extras, name)),
      ...additions,
    ];
    return { ...rest, folder: root, extras: [], lines };
  }
  // Asked for dynamic requirements, build backends write into the folder; only relative paths need the real one.
  const hasPaths = project.hasSources === true || additions.some((text) => text.includes("/"));
  const folder = dynamic && !hasPaths ? sourceCopy(root, options, "metadata") : root;
  return { ...rest, folder, manifest: basename(project.manifest), extras, lines: additions };
}

function wantedExtras({ build, extras, manifest }: PythonProject): string[] {
  return extras === undefined
    ? [...new Set(build.extras.map(normaliseName))]
    : checkExtras(build.extras, Object.keys(extras), manifest);
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

/** A folder beside the project, as a requirement. A name that is no folder is not looked up in an index: somebody else may own it there. */
function folderLine(folder: string, project: PythonProject): string {
  const path = resolve(project.root, folder);
  const isProject = ["pyproject.toml", "setup.py", "setup.cfg"].some((name) =>
    existsSync(join(path, name)),
  );
  if (isProject) return Bun.pathToFileURL(path).href;
  throw new FormatError(
    "BUILD_FOLDER",
    `${project.manifest}: build.dependencies names ${folder}, which is no folder with a Python project`,
    {
      hint: "Requirements that come from the index go into build.extra_packages.",
      details: { file: project.manifest, key: "build.dependencies", path },
    },
  );
}

function existing(file: string, key: string, project: PythonProject): string {
  const path = resolve(project.root, file);
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  throw new FormatError(
    "BUILD_FILE",
    `${project.manifest}: build.${key} names ${file}, which is no file`,
    {
      hint: "Paths are relative to the manifest.",
      details: { file: project.manifest, key: `build.${key}`, path },
    },
  );
}
