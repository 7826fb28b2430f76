/** `[tool.sealift.build]`: what is resolved, from where, and how wheels are built. */
import * as v from "valibot";

import {
  environmentEntries,
  type EnvironmentSettings,
  environmentSettings,
} from "./environment-table.ts";
import { Flag, FullText } from "./fields.ts";
import { INDEX_KEYS, type IndexWishes, indexWishes } from "./index-keys.ts";

const Texts = v.array(FullText);
const OneOrMore = v.union([FullText, Texts], "must be a text or a list of texts");

export const BuildTable = v.strictObject({
  ...environmentEntries,
  ...INDEX_KEYS,
  dependencies: v.optional(Texts),
  extra_packages: v.optional(Texts),
  extras: v.optional(Texts),
  groups: v.optional(Texts),
  no_dev_deps: v.optional(Flag),
  requirements_file: v.optional(OneOrMore),
  constraints: v.optional(OneOrMore),
  use_pip: v.optional(Flag),
});

export interface BuildSettings {
  /** Where and how the project is built, and which files of the dependencies travel. */
  environment: EnvironmentSettings;
  /** Folders of other projects that are built and installed too, relative to the project. */
  folders: string[];
  /** Requirements (PEP 508) beside those of the project. */
  extraPackages: string[];
  /** Checked where the project lists its extras: it has each of them. */
  extras: string[];
  /** Dependency groups, as the project's tool names them. */
  groups: string[];
  /** False: the groups that the project's tool installs for development go in as well. */
  noDevDeps: boolean;
  /** Requirement files that are resolved together with the project, relative to it. */
  requirementFiles: string[];
  /** Constraint files, relative to the project. */
  constraintFiles: string[];
  /** pip resolves and builds, and uv is not used. */
  usePip: boolean;
  /** Where packages come from. */
  index: IndexWishes;
}

export function buildSettings(table: v.InferOutput<typeof BuildTable> | undefined): BuildSettings {
  return {
    environment: environmentSettings(table),
    folders: table?.dependencies ?? [],
    extraPackages: table?.extra_packages ?? [],
    extras: table?.extras ?? [],
    groups: table?.groups ?? [],
    noDevDeps: table?.no_dev_deps ?? true,
    requirementFiles: [table?.requirements_file ?? []].flat(),
    constraintFiles: [table?.constraints ?? []].flat(),
    usePip: table?.use_pip ?? false,
    index: indexWishes(table),
  };
}
