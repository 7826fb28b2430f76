/** `[tool.sealift.build]`: what is resolved, from where, and how wheels are built. */
import * as v from "valibot";

import { FullText } from "./fields.ts";

export const BuildTable = v.strictObject({
  extra_packages: v.optional(v.array(FullText)),
  extras: v.optional(v.array(FullText)),
});

export interface BuildSettings {
  /** Checked: the project has each of them. */
  extras: string[];
  /** Requirements beside those of the project. */
  extraPackages: string[];
}

export function buildSettings(table: v.InferOutput<typeof BuildTable> | undefined): BuildSettings {
  return { extras: table?.extras ?? [], extraPackages: table?.extra_packages ?? [] };
}
