/** `.pth` files at the root of site-packages: lines that begin with `import` run at every start of the interpreter, others add folders. */
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";

import { quoted } from "../../base/mod.ts";
import type { StagedWheel } from "./site.ts";

const STARTERS = /^(?:[^/]+\.pth|(?:site|user)customize\.py)$/;
/** Larger ones are not read: what they do is not said. */
const MAX_READ = 1 << 20;

/** One sentence for each file of `wheels` that acts at every start: who brings it, and what it does. */
export function startNotes(wheels: StagedWheel[]): string[] {
  return wheels.flatMap((wheel) =>
    wheel.files
      .filter(({ scheme, path }) => scheme === "site" && STARTERS.test(path))
      .map(({ path, member, size }) => {
        if (path.endsWith(".py")) return `${wheel.name} brings ${path}, which runs at every start`;
        const file = join(wheel.folder, "files", member);
        const lines = size > MAX_READ ? [] : readFileSync(file, "utf8").split(/\r?\n/);
        return `${wheel.name} brings ${path}, which ${effect(lines)}`;
      }),
  );
}

function effect(lines: string[]): string {
  const folders = lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !/^(?:#|import[ \t])/.test(line));
  const outside = folders.find((folder) => isAbsolute(folder));
  if (outside !== undefined)
    return `names ${quoted(outside)}, a folder that the package does not hold`;
  if (lines.some((line) => /^import[ \t]/.test(line))) return "runs code at every start";
  return "adds to the search path at every start";
}
