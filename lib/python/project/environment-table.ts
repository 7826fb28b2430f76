/** The keys of `[tool.sealift.build]` about where and how the project is built, and which of its files travel. */
import * as v from "valibot";

import { Flag, FullText, Text } from "./fields.ts";

/** POSIX-quoted text, or the words themselves. No shell reads it. */
const Command = v.union(
  [FullText, v.pipe(v.array(Text), v.minLength(1, "must hold the program at least"))],
  'must be text or an array such as ["sh", "-c", "…"]',
);
const EnvMap = v.record(
  v.pipe(v.string(), v.regex(/^[^=\0]+$/, "is no name of an environment variable")),
  Text,
);
const System = v.pipe(
  v.string(),
  v.regex(
    /^(?:linux|darwin|windows)(?:_(?:amd64|arm64))?$/,
    "must be an os or os_arch such as linux or linux_amd64",
  ),
);

export const environmentEntries = {
  env: v.optional(EnvMap),
  platform: v.optional(v.record(System, v.strictObject({ env: v.optional(EnvMap) }))),
  pre_install_commands: v.optional(v.array(Command)),
  pre_build_commands: v.optional(v.array(Command)),
  isolation: v.optional(Flag),
  venv_path: v.optional(FullText),
  system_site_packages: v.optional(Flag),
  include_tests: v.optional(Flag),
  exclude_from_deps: v.optional(v.array(FullText)),
};
const environmentTable = v.strictObject(environmentEntries);
export type EnvironmentTable = v.InferOutput<typeof environmentTable>;

export interface EnvironmentSettings {
  /** For resolution, commands and builds. */
  env: Record<string, string>;
  /** `linux` or `linux_amd64` → further variables for packages of that system. */
  platformEnv: Record<string, Record<string, string>>;
  /** As written: text to be split, or words. Run before the dependencies are resolved. */
  preInstall: (string | string[])[];
  /** Run when the dependencies are there, before the project is built. */
  preBuild: (string | string[])[];
  /** False: the project is built with the packages of the build environment, not with `build-system.requires`. */
  isolation: boolean;
  /** Folder for the build environment, relative to the project; absent = a scratch folder. */
  venvPath?: string;
  /** The build environment sees the packages of the machine's Python. */
  systemSitePackages: boolean;
  includeTests: boolean;
  /** Globs over the files of the dependencies. */
  excludeFromDeps: string[];
}

export function environmentSettings(table: EnvironmentTable = {}): EnvironmentSettings {
  return {
    env: table.env ?? {},
    platformEnv: Object.fromEntries(
      Object.entries(table.platform ?? {}).map(([name, { env }]) => [name, env ?? {}]),
    ),
    preInstall: table.pre_install_commands ?? [],
    preBuild: table.pre_build_commands ?? [],
    isolation: table.isolation ?? true,
    ...(table.venv_path !== undefined && { venvPath: table.venv_path }),
    systemSitePackages: table.system_site_packages ?? false,
    includeTests: table.include_tests ?? false,
    excludeFromDeps: table.exclude_from_deps ?? [],
  };
}
