/**
 * Lays the packages of a folder of wheels out as one tree, with sealift's own engine: `bun install.ts WHEELS CACHE TREE`. What the cache
 * holds unpacked is linked, what it does not is checked and unpacked first. A measuring program: packs need no such tree.
 */
import { linkSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

import { silentProgress } from "../../lib/base/mod.ts";
import { sha256File } from "../../lib/codec/mod.ts";
import { stageWheel } from "../../lib/python/wheel/site.ts";

const [wheels = "", cacheDir = "", tree = ""] = process.argv.slice(2);
const ctx = { offline: true, cacheDir, progress: silentProgress, env: process.env };
const folders = new Set<string>();
for (const file of readdirSync(wheels)) {
  const path = join(wheels, file);
  const wheel = await stageWheel(ctx, path, await sha256File(path));
  for (const { scheme, path: place, member } of wheel.files) {
    const target = join(tree, scheme === "site" ? place : join(scheme, place));
    const parent = dirname(target);
    if (!folders.has(parent)) mkdirSync(parent, { recursive: true });
    folders.add(parent);
    linkSync(join(wheel.folder, "files", member), target);
  }
}
