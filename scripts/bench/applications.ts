/** Rows about whole Python applications, against PEX, shiv and PyInstaller: building, first start, size. */
import { statSync } from "node:fs";
import { join } from "node:path";

import { type Command, removed, start } from "./measure.ts";
import { type Application, type Peer, peersOf } from "./peers.ts";
import type { Bench, Figure, Row } from "./rows.ts";

const HTTP: Application = {
  id: "http",
  example: "httpie",
  requirements: ["httpie==3.2.4"],
  script: "http",
  entry: "httpie.__main__:main",
};
const NOTEBOOK: Application = {
  id: "notebook",
  example: "notebook",
  requirements: ["nbconvert==7.17.2", "ipykernel==7.4.0", "jupyterlab==4.4.10"],
  script: "jupyter-nbconvert",
  entry: "nbconvert.nbconvertapp:main",
};

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

export const APPLICATION_ROWS: Row[] = [
  {
    id: "pack-http",
    what: "building one file of HTTPie, caches warm, against PEX, shiv and PyInstaller",
    target: "≤ 2 s, ≥ 3 × faster",
    measure(bench) {
      const peers = peersOf(HTTP, bench.work, bench.fast);
      const times = inTurn(
        [packing(bench, HTTP.example).command, ...peers.map(({ build }) => build)],
        3,
      );
      const { ours, best, text } = compared(times, peers, seconds);
      const result = `${seconds(ours)}, ${(best / ours).toFixed(1)} × faster`;
      return { ours: seconds(ours), peer: text, result, met: ours <= 2000 && best / ours >= 3 };
    },
  },
  firstStart(HTTP, "first start of HTTPie, `http --version`"),
  firstStart(NOTEBOOK, "first start of a tree of 90 packages, `nbconvert --version`"),
  size(HTTP),
  size(NOTEBOOK),
];

function firstStart(of: Application, what: string): Row {
  return {
    id: `first-${of.id}`,
    what: `${what}, caches empty, against PEX, shiv and PyInstaller`,
    target: "≤ 0.5 × the best",
    measure(bench) {
      const peers = built(of, bench);
      const cache = join(bench.fast, `first-${of.id}`);
      const ours = {
        argv: [packageOf(of, bench), "--version"],
        env: { SEALIFT_CACHE: cache },
        before: removed(cache),
      };
      const times = inTurn([ours, ...peers.map(({ first }) => first)], 5);
      for (const folder of [cache, join(bench.fast, "pex-root"), join(bench.fast, "shiv-root")])
        removed(folder)();
      const { ours: own, best, text } = compared(times, peers, seconds);
      const times1 = own / best;
      return {
        ours: seconds(own),
        peer: text,
        result: `${times1.toFixed(2)} ×`,
        met: times1 <= 0.5,
      };
    },
  };
}

function size(of: Application): Row {
  return {
    id: `size-${of.id}`,
    what: `size of ${of.example === "httpie" ? "HTTPie" : "the tree of 90 packages"} as one file; only PyInstaller's carries an interpreter as well`,
    target: "< PyInstaller",
    measure(bench): Figure {
      const peers = built(of, bench);
      const ours = statSync(packageOf(of, bench)).size;
      const sizes = peers.map(({ file }) => statSync(file).size);
      const whole = Math.min(...sizes.filter((_, i) => peers[i]?.carriesPython));
      const peer = peers.map(({ name }, i) => `${name} ${megabytes(sizes[i] ?? 0)}`).join(", ");
      return {
        ours: megabytes(ours),
        peer,
        result: `${(ours / whole).toFixed(2)} ×`,
        met: ours < whole,
      };
    },
  };
}

/** The peers' files, built when they are not there. */
function built(of: Application, bench: Bench): Peer[] {
  const peers = peersOf(of, bench.work, bench.fast);
  for (const { build, file } of peers)
    if (statSync(file, { throwIfNoEntry: false }) === undefined) start(build);
  return peers;
}

/** Packs an example with a cache of the bench; the command, and the file that it makes. */
export function packing(bench: Bench, example: string): { command: Command; file: string } {
  const file = bench.path(`${example}.psp`);
  const argv = [bench.sealift, "pack", join(bench.root, "docs", "examples", example)];
  argv.push("--key-seed", "bench", "--force", "-o", file);
  return { command: { argv, env: { SEALIFT_CACHE: bench.path("python-cache") } }, file };
}

/** Our file, packed anew in each run of the bench. */
function packageOf(of: Application, bench: Bench): string {
  const { command, file } = packing(bench, of.example);
  start(command);
  return file;
}

/** Medians in milliseconds of commands that are run in turn, after one warm-up of each. */
function inTurn(commands: Command[], runs: number): number[] {
  const samples: number[][] = commands.map(() => []);
  for (let i = -1; i < runs; i++) {
    commands.forEach((command, k) => {
      const { ms } = start(command);
      if (i >= 0) samples[k]?.push(ms);
    });
  }
  return samples.map((times) => times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN);
}

function compared(times: number[], peers: Peer[], unit: (value: number) => string) {
  const [ours = Number.NaN, ...others] = times;
  const text = peers.map(({ name }, i) => `${name} ${unit(others[i] ?? 0)}`).join(", ");
  return { ours, best: Math.min(...others), text };
}
