/** All wheels of a package in the order of events: commands, resolution, build environment, commands, the project's own build. */
import { FormatError } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import type { PythonProject } from "../project/project.ts";
import type { LockTarget } from "../resolve/pylock.ts";
import {
  buildProject,
  type Resolution,
  resolveDependencies,
  type ResolveOptions,
} from "../resolve/resolve.ts";
import type { Resolver } from "../resolve/uv.ts";
import { withoutExcluded } from "../wheel/exclude.ts";
import type { StagedWheel } from "../wheel/site.ts";
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
  if (!options.isBuilt) refuseBuildKeys(project);
  const preparation = await prepareBuild(ctx, project, python, options);
  const { venv, sources: prepared, notes } = preparation;
  const sources = options.isBuilt ? await sourceHash(root) : undefined;
  const detailed: ResolveOptions = {
    ...how,
    ...(prepared !== undefined && { prepared: { root, folder: prepared } }),
    ...(venv && !build.environment.isolation && { environment: { root, python: venv.python } }),
  };
  const named: Resolver = { ...resolver, variables: variablesOf(project, options.platform) };
  const resolution = await resolveDependencies(named, project, target, detailed);
  await finishPreparation(ctx, project, python, preparation, resolution.wheels, options);
  const own = options.isBuilt ? await buildProject(named, root, detailed) : undefined;
  if (venv && own && options.isNative && build.environment.venvPath !== undefined)
    await fillVenv(venv, python, [own]);
  const { wheels, unused } = withoutExcluded(resolution.wheels, build.environment.excludeFromDeps);
  for (const glob of unused)
    notes.push(`build.exclude_from_deps: no file of the dependencies matches ${glob}`);
  return {
    resolution: { ...resolution, wheels },
    own,
    ...(sources !== undefined && { sources }),
    notes,
  };
}

/** Names what the project sets for builds; empty when it sets nothing. */
function variablesOf(project: PythonProject, platform: string): string {
  const set = Object.entries(projectVariables(project, platform)).sort();
  return set.length === 0 ? "" : sha256Hex(new TextEncoder().encode(JSON.stringify(set)));
}

/** What has no effect is an error: its author expects one. */
function refuseBuildKeys(project: PythonProject): void {
  const { preBuild, isolation } = project.build.environment;
  const key = preBuild.length > 0 ? "pre_build_commands" : isolation ? undefined : "isolation";
  if (key === undefined) return;
  throw new FormatError(
    "MANIFEST",
    `${project.manifest}: build.${key} is about the build of the project, and this one is not built`,
    {
      hint: "Add a [build-system], or remove that key.",
      details: { file: project.manifest, key: `build.${key}` },
    },
  );
}
