/** Extension modules and programs of the wheels, made independent of this machine's libraries: one folder of libraries for each slot. */
import type { Context } from "../../base/mod.ts";
import type { TreeEntry } from "../../codec/mod.ts";
import { bundleLibraries, libraryNames } from "../native/native.ts";
import type { Layout, Target } from "../runtime/target.ts";
import { nativeItems, type StagedWheel, withReplaced } from "../wheel/site.ts";

export interface Independent {
  own: StagedWheel[];
  site: StagedWheel[];
  siteLibraries: TreeEntry[];
  appLibraries: TreeEntry[];
  /** Libraries that the target must have. */
  external: string[];
  glibc: [number, number];
}

/** Wheels for macOS and Windows bring what they need, or find it in the system: nothing is changed there. */
export async function independentParts(
  ctx: Context,
  target: Target,
  layout: Layout,
  wheels: { own: StagedWheel[]; dependencies: StagedWheel[] },
): Promise<Independent> {
  const { own, dependencies } = wheels;
  if (target.platform !== "linux") {
    const none = { siteLibraries: [], appLibraries: [], external: [] };
    return { own, site: dependencies, ...none, glibc: [0, 0] };
  }
  const siteItems = nativeItems(dependencies, "site");
  const appItems = [
    ...nativeItems(own, "site", `${layout.packages}/`),
    ...nativeItems([...own, ...dependencies], "prefix"),
  ];
  const bundle = (items: typeof siteItems, folder: string, others: typeof siteItems) =>
    bundleLibraries(ctx, target, items, folder, libraryNames(others));
  const site = await bundle(siteItems, "sealift.libs", appItems);
  const app = await bundle(appItems, "lib/sealift/libs", siteItems);
  const replaced = new Map([...site.replaced, ...app.replaced]);
  return {
    own: withReplaced(own, replaced),
    site: withReplaced(dependencies, replaced),
    siteLibraries: site.entries,
    appLibraries: app.entries,
    external: [...new Set([...site.external, ...app.external])].sort(),
    glibc: [2, Math.max(site.glibc[1], app.glibc[1])],
  };
}
