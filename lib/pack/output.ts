/** For which platforms packages are made, and where they go. */
import { lstatSync, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";

import { EnvironmentError } from "../base/mod.ts";
import { hostPlatform, parsePlatform, type Platform } from "../launcher/mod.ts";
import type { Project } from "./manifest/project.ts";
import { releaseName } from "./release/manifest.ts";

export interface Output {
  platform: Platform;
  /** Absolute path. */
  path: string;
}

export interface OutputOptions {
  /** `--platform`, each may hold several separated by commas. */
  platforms?: readonly string[] | undefined;
  /** `-o`: a file, or a folder (existing, or with `/` at its end). */
  output?: string | undefined;
  force?: boolean | undefined;
}

/** @throws EnvironmentError `FILE_EXISTS` before any work is done; UsageError `PLATFORM_UNKNOWN` */
export function planOutputs(project: Project, options: OutputOptions): Output[] {
  const named = (options.platforms ?? [])
    .flatMap((text) => text.split(","))
    .filter((text) => text.trim() !== "");
  const wanted =
    named.length > 0 ? named.map(parsePlatform) : (project.platforms ?? [hostPlatform()]);
  const platforms = [...new Set(wanted)];
  const outputs = platforms.map((platform) => ({
    platform,
    path: outputPath(project, options.output, platform, platforms.length > 1),
  }));
  if (!options.force) for (const { path } of outputs) refuseExisting(path);
  return outputs;
}

/**
 * Where the release manifest of packages for several platforms goes: beside the first of them; undefined for one package.
 * @throws EnvironmentError `FILE_EXISTS`; FormatError when the version cannot be part of a file's name
 */
export function planRelease(
  project: Project,
  outputs: readonly Output[],
  force: boolean,
): string | undefined {
  const [first] = outputs;
  if (first === undefined || outputs.length < 2) return undefined;
  const { name, version } = project.package;
  const path = join(dirname(first.path), releaseName(name, version));
  if (!force) refuseExisting(path);
  return path;
}

/**
 * `dist/<name>.psp`, for Windows `dist/<name>.exe`, because it starts files by their ending; of several platforms, each stands
 * before the ending. A file that the user names keeps its name.
 */
function outputPath(
  project: Project,
  output: string | undefined,
  platform: Platform,
  several: boolean,
): string {
  const suffix = several ? `-${platform}` : "";
  const name = `${project.package.name}${suffix}${platform.startsWith("windows") ? ".exe" : ".psp"}`;
  if (output === undefined) return join(project.root, "dist", name);
  const path = resolve(output);
  const isFolder =
    /[/\\]$/.test(output) || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder) return join(path, name);
  const ending = extname(path);
  return join(dirname(path), `${basename(path, ending)}${suffix}${ending}`);
}

function refuseExisting(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new EnvironmentError("FILE_EXISTS", `${path}: exists already`, {
    hint: "Use `--force` to replace it, or `-o` to name another file.",
    details: { path },
  });
}
