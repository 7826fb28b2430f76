/** Files of a Python made independent of where they were built and installed: search paths of ELF files, paths in sysconfig's data. */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import type { Context } from "../../base/mod.ts";
import { readElf } from "../native/elf.ts";
import { isCLibrary } from "../native/libraries.ts";
import { setSearchPath } from "../native/patch.ts";
import { findTool } from "../resolve/tools.ts";
import type { CopyPlan } from "./plan.ts";
import type { Target } from "./target.ts";

/**
 * Gives each file that needs a bundled library, or has an absolute search path, one relative search path: `lib/` of the runtime.
 * @param portable the build was made to be moved
 */
export async function relativeSearchPaths(
  ctx: Context,
  folder: string,
  plan: CopyPlan,
  portable: boolean,
): Promise<void> {
  const elves = [...plan.files.filter((file) => file.elf), ...plan.libraries];
  for (const { to } of elves) {
    const path = join(folder, to);
    const elf = readElf(path);
    const searches = [...elf.rpath, ...elf.runpath];
    // A name with a slash is a place, not something to search for.
    const needs = elf.needed.some((name) => !isCLibrary(name) && !name.includes("/"));
    if (!needs && searches.length === 0) continue;
    // Its builders made it relative already.
    if (portable && searches.length > 0 && searches.every((path) => path.startsWith("$ORIGIN")))
      continue;
    const toLib = relative(dirname(to), "lib");
    const origin = toLib === "" ? "$ORIGIN" : `$ORIGIN/${toLib}`;
    // Set also where it is not needed: removing the entry would leave the old path in the string table.
    await setSearchPath(ctx, path, origin, { tool: await findTool(ctx, "patchelf") });
  }
}

/** Where an interpreter was built and installed is nobody's business on the target; prefixes of the system stay. */
export function neutralBuildPaths(target: Target, folder: string, plan: CopyPlan): void {
  const system = target.prefix === "/usr" || target.prefix === "/usr/local";
  for (const { to } of plan.files) {
    if (!/(?:^|\/)_sysconfig(?:data|_vars)_[^/]*\.(?:py|json)$/.test(to)) continue;
    let text = readFileSync(join(folder, to), "utf8");
    for (const path of target.buildPaths)
      if (path.length > 1) text = text.replaceAll(path, "/build");
    if (!system) text = text.replaceAll(target.prefix, "/install");
    writeFileSync(join(folder, to), text);
  }
}
