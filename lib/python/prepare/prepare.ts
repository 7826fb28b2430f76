/**
 * What happens to a project before and after its dependencies are found: a copy of its sources, the build environment, and the author's
 * own commands in both. The folder of the project is never written to, but for `venv_path`.
 */
import { mkdirSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

import { type Context, FormatError, sourceDateEpoch } from "../../base/mod.ts";
import type { PythonProject } from "../project/project.ts";
import type { Interpreter } from "../runtime/interpreter.ts";
import type { StagedWheel } from "../wheel/site.ts";
import { runCommands } from "./commands.ts";
import { copySources } from "./source.ts";
import { fillVenv, makeVenv, type Venv } from "./venv.ts";

export interface Preparation {
  /** The project's sources with what the commands made of them; absent when there are no commands. */
  sources?: string;
  venv?: Venv;
  /** What the author should know. */
  notes: string[];
}

export interface PrepareOptions {
  /** `linux_amd64` */
  platform: string;
  scratch: string;
  /** The packages are for the interpreter's own system, so it can load them. */
  isNative: boolean;
  /** `venv_path` may be made; without it, and for a foreign system, the environment stays in `scratch`. */
  keepVenv: boolean;
}

/** Variables for resolution, commands and builds: the machine's, then those that the project sets. */
export function buildEnvironment(
  project: PythonProject,
  platform: string,
  machine: Context["env"],
): Context["env"] {
  return { ...machine, ...projectVariables(project, platform) };
}

/** `build.env`, then those of the system and of the exact platform, which win. */
export function projectVariables(project: PythonProject, platform: string): Record<string, string> {
  const { env, platformEnv } = project.build.environment;
  const [os = ""] = platform.split("_");
  return { ...env, ...platformEnv[os], ...platformEnv[platform] };
}

/** Makes the build environment and the copy of the sources, as far as they are needed, and runs `pre_install_commands`. */
export async function prepareBuild(
  ctx: Context,
  project: PythonProject,
  python: Interpreter,
  options: PrepareOptions,
): Promise<Preparation> {
  const { preInstall, preBuild, isolation, venvPath, systemSitePackages } =
    project.build.environment;
  const hasCommands = preInstall.length > 0 || preBuild.length > 0;
  const notes: string[] = [];
  if (!isolation && !options.isNative) throw foreignBuild(project, options.platform);
  const preparation: Preparation = { notes };
  if (hasCommands || venvPath !== undefined || !isolation) {
    const scratch = join(options.scratch, "environment");
    const kept = venvPath === undefined ? undefined : resolve(project.root, venvPath);
    const folder = options.keepVenv && options.isNative ? (kept ?? scratch) : scratch;
    preparation.venv = await makeVenv(folder, python, { systemSitePackages });
    if (!options.isNative)
      notes.push(`the build environment has no packages, because they are for ${options.platform}`);
  }
  if (!hasCommands) return preparation;
  preparation.sources = join(options.scratch, "prepared", "source");
  mkdirSync(join(preparation.sources, ".."), { recursive: true });
  copySources(project.root, preparation.sources);
  await commands(ctx, project, preparation, options, "pre_install_commands", preInstall);
  return preparation;
}

/** Puts the dependencies into the build environment, then runs `pre_build_commands`. */
export async function finishPreparation(
  ctx: Context,
  project: PythonProject,
  python: Interpreter,
  preparation: Preparation,
  dependencies: StagedWheel[],
  options: PrepareOptions,
): Promise<void> {
  if (preparation.venv !== undefined && options.isNative)
    await fillVenv(preparation.venv, python, dependencies);
  const { preBuild } = project.build.environment;
  await commands(ctx, project, preparation, options, "pre_build_commands", preBuild);
}

async function commands(
  ctx: Context,
  project: PythonProject,
  { sources, venv }: Preparation,
  { platform }: PrepareOptions,
  key: string,
  list: (string | string[])[],
): Promise<void> {
  if (list.length === 0 || sources === undefined || venv === undefined) return;
  const env: Record<string, string | undefined> = {
    ...ctx.env,
    PYTHONHOME: undefined,
    // Equal sources give equal results: what a script iterates over, and the times that it writes.
    PYTHONHASHSEED: "0",
    SOURCE_DATE_EPOCH: String(sourceDateEpoch(ctx.env)),
    VIRTUAL_ENV: venv.folder,
    Path: undefined,
    PATH: [venv.bin, ctx.env.PATH ?? ctx.env.Path].filter(Boolean).join(delimiter),
    SEALIFT_PROJECT: project.root,
    SEALIFT_PLATFORM: platform,
    ...(ctx.offline && { SEALIFT_OFFLINE: "1", UV_OFFLINE: "1", PIP_NO_INDEX: "1" }),
  };
  await runCommands(`${project.manifest}: build.${key}`, list, { ctx, cwd: sources, env });
}

function foreignBuild(project: PythonProject, platform: string): FormatError {
  return new FormatError(
    "BUILD_ISOLATION",
    `${project.manifest}: build.isolation = false cannot build for ${platform} on this machine`,
    {
      hint: `The build environment would need packages for ${platform}; pack there, or leave isolation on.`,
      details: { file: project.manifest, platform },
    },
  );
}
