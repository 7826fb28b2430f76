/**
 * The application with one Python: its runtime, its dependencies and itself as three trees, and how its commands start. A package with
 * several Pythons has this several times, each in a place of its own.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { EnvironmentError, sourceDateEpoch } from "../../base/mod.ts";
import { arrangeTree, type TreeEntry } from "../../codec/mod.ts";
import { isBuilt, withCommands } from "../commands.ts";
import { checkEntryPoints } from "../entry-points.ts";
import type { PythonContext } from "../index/index-settings.ts";
import { type Collected, collectWheels } from "../prepare/wheels.ts";
import type { PythonProject } from "../project/project.ts";
import type { PythonChoice } from "../runtime/choose.ts";
import { type Runtime, stageRuntime } from "../runtime/runtime.ts";
import { type Place, prepareCommand, prepareEntry } from "../runtime/start.ts";
import { layoutOf } from "../runtime/target.ts";
import { compileWheels, prefixEntries, siteEntries, type StagedWheel } from "../wheel/site.ts";
import { type Independent, independentParts } from "./native-parts.ts";
import { checkRequirements, resolverFor } from "./wheel-target.ts";

export interface ApplicationOptions {
  platform: string;
  frozen?: boolean | undefined;
  dryRun?: boolean | undefined;
  /** Existing folder for this run. */
  scratch: string;
  place: Place;
  /** Commands of this Python, once the project's own wheel is known: name → object reference. */
  commands: (own: StagedWheel | undefined) => Map<string, string>;
}

export interface Application {
  choice: PythonChoice;
  runtime: Runtime;
  collected: Collected;
  native: Independent;
  /** Files that are not valid for this Python. */
  skipped: string[];
  commands: Map<string, string>;
  trees: { runtime: TreeEntry[]; site: TreeEntry[]; app: TreeEntry[] };
  /** Runs once, at first start. */
  setup: string[];
}

/** Finds, fetches, builds, checks and compiles everything for `choice`. */
export async function stageApplication(
  ctx: PythonContext,
  project: PythonProject,
  choice: PythonChoice,
  options: ApplicationOptions,
): Promise<Application> {
  const { target, runs, portable, compiler } = choice;
  const { bytecode: kind, optimisation } = project.runtime;
  if (kind !== undefined && compiler === undefined) throw noCompiler(choice, options.platform);
  const layout = layoutOf(target);
  const { include } = project.python;
  const wishes = { bytecode: kind, include, compiler, portable, runs };
  const runtime = await stageRuntime(ctx, target, wishes);
  const collected = await collect(ctx, project, choice, { ...options, runtime });
  const { resolution, own } = collected;
  const wheels = own === undefined ? resolution.wheels : [own, ...resolution.wheels];
  const bytecode = await compileWheels(ctx, wheels, target, runtime.compiler, kind);
  const native = await independentParts(ctx, target, layout, {
    own: own === undefined ? [] : [own],
    dependencies: resolution.wheels,
  });
  const tree = (of: StagedWheel[]) => siteEntries(of, bytecode, target.cacheTag, optimisation);
  const site = arrangeTree([...tree(native.site), ...native.siteLibraries]);
  const ownTree = tree(native.own);
  const commands = options.commands(own);
  checkEntryPoints(commands, project, { entries: [...site, ...ownTree], runtime, target });
  const app = arrangeTree([
    prepareEntry(layout),
    ...under(layout.packages, ownTree),
    ...withCommands(prefixEntries([...native.own, ...native.site], layout), commands),
    ...native.appLibraries,
  ]);
  const pth = site.map((entry) => entry.path).filter((path) => /^[^/{}]+\.pth$/.test(path));
  return {
    choice,
    runtime,
    collected,
    native,
    skipped: [...bytecode.skipped.values()].flat(),
    commands,
    trees: { runtime: runtime.entries, site, app },
    setup: prepareCommand(options.place, layout, target.version, pth),
  };
}

/** The dependencies and, when the project is one itself, its own wheel: found, fetched, built and checked. */
async function collect(
  ctx: PythonContext,
  project: PythonProject,
  choice: PythonChoice,
  options: ApplicationOptions & { runtime: Runtime },
): Promise<Collected> {
  const { resolver, lockTarget } = resolverFor(ctx, choice, options.runtime);
  const scratch = join(options.scratch, options.place.app);
  mkdirSync(scratch, { recursive: true });
  const { platform, dryRun } = options;
  const how = { frozen: options.frozen === true, scratch, epoch: sourceDateEpoch(ctx.env) };
  const collected = await collectWheels(resolver, project, lockTarget, how, {
    platform,
    scratch,
    // Of several Pythons, the first one's packages are kept.
    keepVenv: dryRun !== true && options.place.folder === "",
    isBuilt: isBuilt(project),
    isNative: choice.runs,
  });
  const { own, resolution } = collected;
  const wheels = own === undefined ? resolution.wheels : [own, ...resolution.wheels];
  checkRequirements(wheels, choice.target);
  return collected;
}

function under(folder: string, entries: TreeEntry[]): TreeEntry[] {
  return entries.map((entry) => ({ ...entry, path: `${folder}/${entry.path}` }));
}

function noCompiler({ target }: PythonChoice, platform: string): EnvironmentError {
  const minor = target.minor.join(".");
  return new EnvironmentError(
    "PYTHON_COMPILER",
    `No Python ${minor} of this machine can make the bytecode for ${platform}`,
    {
      hint: `Install Python ${minor}, or set compile_bytecode = false in [tool.sealift.runtime].`,
      details: { version: target.version, platform },
    },
  );
}
