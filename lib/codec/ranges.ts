/** SHA-256 of several ranges of one file on all cores: one worker thread per further core, the main thread takes part. */
import { availableParallelism } from "node:os";

import { type Progress, silentProgress } from "../base/mod.ts";
import type { Answer } from "./_hash-worker.ts";
import { type ByteRange, sha256File } from "./hash.ts";

/** Starting a thread costs some milliseconds: less than this is hashed sooner than it is distributed. */
const WORTH_A_WORKER = 32 << 20;

export interface HashRangesOptions {
  /** Threads; default: one per core. */
  jobs?: number;
  progress?: Progress;
}

interface Job {
  range: ByteRange;
  index: number;
}

/**
 * The digests as hex, in the order of `ranges`. `EnvironmentError` when the file cannot be read or ends before a range
 * does (`FILE_SHORT`).
 */
export async function sha256Ranges(
  path: string,
  ranges: readonly ByteRange[],
  options: HashRangesOptions = {},
): Promise<string[]> {
  const total = ranges.reduce((sum, range) => sum + range.length, 0);
  const task = (options.progress ?? silentProgress).task(`Hashing ${path}`, total);
  const queue = ranges.map((range, index) => ({ range, index }));
  // The largest first, so that the threads end at about the same time.
  queue.sort((a, b) => b.range.length - a.range.length);
  const digests: string[] = [];
  const advance = (bytes: number) => task.advance(bytes);
  const here = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      digests[job.index] = await sha256File(path, { ...job.range, advance });
    }
  };
  const helpers = Array.from({ length: helperCount(queue, options.jobs) }, () =>
    hashElsewhere(path, queue, digests, advance),
  );
  await Promise.all([here(), ...helpers]);
  // What a thread could not do is back in the queue.
  await here();
  task.done();
  return digests;
}

function helperCount(queue: Job[], jobs = availableParallelism()): number {
  const large = queue.filter(({ range }) => range.length >= WORTH_A_WORKER).length;
  return Math.max(0, Math.min(jobs, large) - 1);
}

/** Feeds one thread until the queue is empty. Never rejects: a job that fails there goes back. */
function hashElsewhere(
  path: string,
  queue: Job[],
  digests: string[],
  advance: (bytes: number) => void,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const worker = new Worker(workerUrl());
  let job: Job | undefined;
  let counted = 0;
  const stop = () => {
    if (job !== undefined) queue.push(job);
    // The range will be counted again.
    if (job !== undefined) advance(-counted);
    worker.terminate();
    resolve();
  };
  const next = () => {
    job = queue.shift();
    counted = 0;
    if (job === undefined) stop();
    else worker.postMessage(job.range);
  };
  worker.onerror = stop;
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if ("advance" in data) {
      counted += data.advance;
      advance(data.advance);
    } else if (job === undefined || data.hex === undefined) {
      stop();
    } else {
      digests[job.index] = data.hex;
      next();
    }
  };
  worker.postMessage(path);
  next();
  return promise;
}

/** In the compiled executable this module is in a chunk at the root, and the worker keeps its path. */
function workerUrl(): URL {
  const path = Bun.isStandaloneExecutable ? "./lib/codec/_hash-worker.ts" : "./_hash-worker.ts";
  return new URL(path, import.meta.url);
}
