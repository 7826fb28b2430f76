/** Timing of whole processes: pairs run in turn, so that a drift of the machine hits both sides; medians are reported. */

import { existsSync, rmSync } from "node:fs";

export interface Command {
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Run before each timed start, outside the measurement. */
  before?: () => void;
  exit?: number;
}

export interface Sample {
  /** milliseconds, wall clock */
  ms: number;
}

export interface Pair {
  ours: Sample;
  peer: Sample;
  /** Median of ours minus peer, run by run: what a drift of the machine does not touch. Milliseconds. */
  over: number;
  runs: number;
}

/** Runs both in turn `runs` times after one warm-up and returns the medians. */
export function pair(ours: Command, peer: Command, runs: number): Pair {
  const a: Sample[] = [];
  const b: Sample[] = [];
  for (let i = -1; i < runs; i++) {
    const first = start(ours);
    const second = start(peer);
    if (i >= 0) {
      a.push(first);
      b.push(second);
    }
  }
  const over = median(a.map(({ ms }, i) => ms - (b[i] as Sample).ms));
  return { ours: medianOf(a), peer: medianOf(b), over, runs };
}

/** Median of `runs` starts after one warm-up. */
export function single(command: Command, runs: number): Sample {
  start(command);
  return medianOf(Array.from({ length: runs }, () => start(command)));
}

/** Measurements must not depend on the trust store of whoever runs them. */
export const NO_STORE = { XDG_CONFIG_HOME: "/nonexistent", SEALIFT_TRUST_DIR: undefined };

export function start(command: Command): Sample {
  command.before?.();
  const begin = performance.now();
  const child = Bun.spawnSync(command.argv, {
    env: { ...process.env, ...NO_STORE, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ms = performance.now() - begin;
  if (child.exitCode !== (command.exit ?? 0)) {
    throw new Error(
      `\`${command.argv.join(" ")}\` exited with ${child.exitCode}: ${child.stderr.toString()}`,
    );
  }
  return { ms };
}

/** A pipeline for `sh`, on the given cores. */
export function shell(text: string, cores?: string): string[] {
  return onCores(["sh", "-ec", text], cores);
}

export function onCores(argv: string[], cores?: string): string[] {
  return cores === undefined ? argv : ["taskset", "-c", cores, ...argv];
}

export function removed(path: string): () => void {
  return () => {
    if (existsSync(path)) rmSync(path, { recursive: true });
  };
}

function medianOf(samples: Sample[]): Sample {
  return {
    ms: median(samples.map(({ ms }) => ms)),
  };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
