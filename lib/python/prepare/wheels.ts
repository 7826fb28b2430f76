/** All wheels of a package in the order of events: commands, resolution, build environment, commands, the project's own build. */
import { FormatError, UsageError } from "../../base/mod.ts";
import { sha256File, sha256Hex } from "../../codec/mod.ts";
import type { LockTarget } from "../lock/locked.ts";
import type { PythonProject } from "../project/project.ts";
import {
  buildProject,
  type Resolution,
  resolveDependencies,
  type ResolveOptions,
} from "../resolve/resolve.ts";
import type { Resolver } from "../resolve/uv.ts";
import { withoutExcluded } from "../wheel/exclude.ts";
import { startNotes } from "../wheel/pth.ts";
import { type StagedWheel, stageWheel } from "../wheel/site.ts";
import {
  finishPreparation,
  prepareBuild,
  type PrepareOptions,
  projectVariables,
} from "./prepare.ts";
import { sourceHash } from "./source.ts";
import { fillVenv } from "./venv.ts";

export interface Collected {
  /** Without the files that the project excludes. */
  resolution: Resolution;
  /** The project's own wheel, when it is built. */
  own: StagedWheel | undefined;
  /** Digest of the project's sources before any command; absent when it is not built. */
  sources?: string;
  notes: string[];
}

/**
 * Resolves, fetches and builds everything, with the project's commands in between.
 * @throws FormatError `BUILD_…` beside what resolution and builds throw
 */
export async function collectWheels(
  resolver: Resolver,
  project: PythonProject,
  target: LockTarget,
  how: ResolveOptions,
  options: PrepareOptions & { isBuilt: boolean },
): Promise<Collected> {
  const { ctx, python } = resolver;
  const { root, build } = project;
  refuseIdleKeys(project, options.isBuilt);
  const preparation = await prepareBuild(ctx, project, python, options);
  const { venv, sources: prepared } = preparation;
  const sources = options.isBuilt ? await sourceHash(root) : undefined;
  const detailed: ResolveOptions = {
    ...how,
    // A lock in the place of a manifest is meant to be followed.
    frozen: how.frozen || project.lock !== undefined,
    ...(prepared !== undefined && { prepared: { root, folder: prepared } }),
    ...(venv && !build.environment.isolation && { environment: { root, python: venv.python } }),
  };
  const named: Resolver = {
    ...resolver,
    ...(build.usePip && { usePip: true, uv: refuseUv }),
    variables: variablesOf(project, options.platform),
  };
  const resolution = await resolveDependencies(named, project, target, detailed);
  const { wheels, unused } = withoutExcluded(resolution.wheels, build.environment.excludeFromDeps);
  await finishPreparation(ctx, project, python, preparation, wheels, options);
  const own = await ownWheel(named, project, detailed, options.isBuilt);
  if (venv && own && options.isNative && build.environment.venvPath !== undefined)
    await fillVenv(venv, python, [own]);
  const notes = [...preparation.notes, ...resolution.notes];
  for (const glob of unused)
    notes.push(`build.exclude_from_deps: no file of the dependencies matches ${glob}`);
  notes.push(...startNotes(own === undefined ? wheels : [own, ...wheels]));
  return {
    resolution: { ...resolution, wheels },
    own,
    ...(sources !== undefined && { sources }),
    notes,
  };
}

/** The project's own wheel: the one that it is, or the one that it is built to. */
async function ownWheel(
  resolver: Resolver,
  project: PythonProject,
  options: ResolveOptions,
  isBuilt: boolean,
): Promise<StagedWheel | undefined> {
  const { wheel } = project;
  if (wheel !== undefined) return await stageWheel(resolver.ctx, wheel, await sha256File(wheel));
  return isBuilt ? await buildProject(resolver, project.root, options) : undefined;
}

/** With `use_pip` nothing may start uv, also where only it would know an answer. */
async function refuseUv(): Promise<never> {
  throw new UsageError(
    "USE_PIP_UV",
    "build.use_pip forbids uv, which would be asked for the index now",
    {
      hint: "Name the index with --index-url or build.index_url.",
    },
  );
}

/** Names what the project sets for builds; empty when it sets nothing. */
function variablesOf(project: PythonProject, platform: string): string {
  const set = Object.entries(projectVariables(project, platform)).sort();
  return set.length === 0 ? "" : sha256Hex(new TextEncoder().encode(JSON.stringify(set)));
}

/** What has no effect is an error: its author expects one. */
function refuseIdleKeys(project: PythonProject, isBuilt: boolean): void {
  const { preInstall, preBuild, isolation, venvPath, systemSitePackages } =
    project.build.environment;
  const refuse = (key: string, what: string, hint: string) => {
    throw new FormatError("MANIFEST", `${project.manifest}: build.${key} ${what}`, {
      hint,
      details: { file: project.manifest, key: `build.${key}` },
    });
  };
  const build = "is about the build of the project, and this one is not built";
  const add = "Add a [build-system], or remove that key.";
  if (!isBuilt && preBuild.length > 0) refuse("pre_build_commands", build, add);
  if (!isBuilt && !isolation) refuse("isolation", build, add);
  const hasEnvironment =
    preInstall.length > 0 || preBuild.length > 0 || !isolation || venvPath !== undefined;
  if (systemSitePackages && !hasEnvironment) {
    refuse(
      "system_site_packages",
      "is about the build environment, which nothing here uses",
      "Set isolation = false or venv_path too, or remove that key.",
    );
  }
}
