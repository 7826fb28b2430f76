/** Our wheel engine: installing a tree of many packages, against uv. */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

import { findProgram } from "../../lib/base/mod.ts";
import { packing } from "./applications.ts";
import { pair, removed, start } from "./measure.ts";
import type { Bench, Figure, Row } from "./rows.ts";

const LIMIT = 1.5;

/** Both lay the same wheels out as one tree of hard links on the same file system. */
function install(id: string, state: "warm" | "empty"): Row {
  return {
    id,
    what: `the packages of a notebook (some ninety) installed into a tree from their wheels with ${state === "warm" ? "a warm" : "an empty"} cache, against \`uv pip install --target\``,
    target: `≤ ${LIMIT} ×`,
    measure(bench) {
      const wheels = wheelsOf(bench);
      const [ours, theirs] = ["sealift", "uv"].map((name) => join(bench.fast, `${id}-${name}`));
      const gone = (folder: string) => () => {
        removed(join(folder, "tree"))();
        if (state === "empty") removed(join(folder, "cache"))();
      };
      for (const folder of [ours, theirs]) mkdirSync(folder as string, { recursive: true });
      const program = join(import.meta.dir, "install.ts");
      const python = interpreter();
      const names = readdirSync(wheels).map((name) => join(wheels, name));
      const figure = pair(
        {
          argv: [process.execPath, program, wheels, `${ours}/cache`, `${ours}/tree`],
          before: gone(ours as string),
        },
        {
          argv: [
            ...[uvOf(bench), "pip", "install", "--quiet", "--offline", "--no-deps", "--no-index"],
            ...["--python", python, "--link-mode", "hardlink", "--cache-dir", `${theirs}/cache`],
            ...["--target", `${theirs}/tree`, ...names],
          ],
          before: gone(theirs as string),
        },
        5,
      );
      for (const folder of [ours, theirs]) removed(folder as string)();
      return compared(figure);
    },
  };
}

function compared({ ours, peer }: ReturnType<typeof pair>): Figure {
  const times = ours.ms / peer.ms;
  const met = times <= LIMIT;
  return { ours: seconds(ours.ms), peer: seconds(peer.ms), result: `${times.toFixed(2)} ×`, met };
}

/** The wheels of the example, fetched by packing it, in one folder. */
function wheelsOf(bench: Bench): string {
  const folder = bench.path("wheels");
  if (existsSync(folder)) return folder;
  const cache = bench.path("notebook-cache");
  start({ ...packing(bench, "notebook").command, env: { SEALIFT_CACHE: cache } });
  mkdirSync(folder);
  for (const path of new Bun.Glob("wheels/*/*.whl").scanSync({ cwd: cache, absolute: true }))
    copyFileSync(path, join(folder, basename(path)));
  return folder;
}

/** The uv of PATH, else the one that packing brought. */
function uvOf(bench: Bench): string {
  const [pinned] = new Bun.Glob("python/tools/uv-*/uv").scanSync({
    cwd: bench.path("notebook-cache"),
    absolute: true,
  });
  const path = findProgram("uv") ?? pinned;
  if (path === undefined) throw new Error("there is no uv: remove build/bench/notebook-cache");
  return path;
}

/** The real one: version managers put a script in its place, which takes its time. */
function interpreter(): string {
  const question = "import sys; print(sys._base_executable)";
  return Bun.spawnSync(["python3", "-c", question]).stdout.toString().trim();
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

export const WHEEL_ROWS: Row[] = [
  install("install-60", "warm"),
  install("install-60-cold", "empty"),
];
