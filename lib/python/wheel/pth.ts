/** `.pth` files at the root of site-packages: lines that begin with `import` run at every start of the interpreter, others add folders. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { quoted } from "../../base/mod.ts";
import type { StagedWheel } from "./site.ts";

const STARTERS = /^(?:[^/]+\.pth|(?:site|user)customize\.py)$/;
/** Larger ones are not read. */
const MAX_READ = 1 << 20;

/** One sentence for each file of `wheels` that acts at every start: who brings it, and what it does. */
export function startNotes(wheels: StagedWheel[]): string[] {
  return wheels.flatMap((wheel) =>
    wheel.files
      .filter(({ scheme, path }) => scheme === "site" && STARTERS.test(path))
      .map(({ path, member, size }) => {
        if (path.endsWith(".py")) return `${wheel.name} brings ${path}, which runs at every start`;
        const file = join(wheel.folder, "files", member);
        const does = size > MAX_READ ? "acts at every start" : effect(readFileSync(file, "utf8"));
        return `${wheel.name} brings ${path}, which ${does}`;
      }),
  );
}

function effect(text: string): string {
  const lines = text.split(/\r?\n/);
  const folders = lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !/^(?:#|import[ \t])/.test(line));
  const outside = folders.find((folder) => /^(?:[A-Za-z]:)?[\\/]/.test(folder));
  if (outside !== undefined)
    return `names ${quoted(outside)}, a folder that the package does not hold`;
  if (lines.some((line) => /^import[ \t]/.test(line))) return "runs code at every start";
  return "adds to the search path at every start";
}
