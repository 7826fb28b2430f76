/**
 * Removing what the cache holds. An environment goes in one step, marker and files together: it is renamed away under the
 * launchers' lock and deleted after that, so there is never a marker without its files. What runs, or is being
 * made, stays.
 */
import { randomBytes } from "node:crypto";
import { rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { ioError } from "../base/mod.ts";
import { type Cache, readCache, REMOVED } from "./cache.ts";
import { isAnyLocked, takeLock } from "./lock.ts";
import { findRunning, type Running } from "./running.ts";
import { measure, removeTree } from "./tree.ts";

type Env = Record<string, string | undefined>;

export type Reason = "asked" | "old" | "unready" | "corrupt" | "unreferenced" | "leftover";

export interface Candidate {
  path: string;
  reason: Reason;
  /** Bytes on disk. */
  size: number;
}

export interface Kept extends Candidate {
  /** Why it stayed. */
  because: string;
}

export interface Outcome {
  removed: Candidate[];
  kept: Kept[];
  /** What this system cannot tell, for the person who asked. */
  warnings: string[];
}

export interface CleanOptions {
  /** Also ready environments that were not started for so many days. */
  olderThanDays?: number;
  /** Also every ready environment and shared slot. */
  all?: boolean;
  dryRun?: boolean;
  env: Env;
  /** Milliseconds since 1970. */
  now?: number;
}

const DAY = 86_400_000;
/** A shared slot is unreferenced for a moment while the first start that needs it goes on. */
const GRACE = 10 * 60_000;

const BUSY = "locked: an application is being set up";

/** What `clean` would remove, in the order in which it would. Unreferenced slots are found after that (`cleanCache`). */
export function planClean(cache: Cache, options: CleanOptions): Candidate[] {
  const now = options.now ?? Date.now();
  const oldest = now - (options.olderThanDays ?? Number.POSITIVE_INFINITY) * DAY;
  const plan: Candidate[] = cache.leftovers.map((path) => ({ path, reason: "leftover", size: 0 }));
  for (const { path, size, state, created, lastUse } of cache.environments) {
    if (state !== "ready") plan.push({ path, size, reason: state });
    else if (options.all) plan.push({ path, size, reason: "asked" });
    else if (Math.max(created ?? 0, lastUse ?? 0) < oldest)
      plan.push({ path, size, reason: "old" });
  }
  return plan;
}

/** Shared slots that nothing uses once the environments of `gone` are away. */
export function planStore(cache: Cache, gone: Set<string>, options: CleanOptions): Candidate[] {
  const now = options.now ?? Date.now();
  const staying = new Set(
    cache.environments.filter(({ path }) => !gone.has(path)).map(({ id }) => id),
  );
  return cache.shared.flatMap(({ path, size, state, created, usedBy }): Candidate[] => {
    if (state !== "ready") return [{ path, size, reason: state }];
    const fresh = !options.all && now - (created ?? 0) < GRACE;
    const used = usedBy.some((id) => staying.has(id));
    return used || fresh ? [] : [{ path, size, reason: "unreferenced" }];
  });
}

/**
 * Removes what is of no use, and what the options ask for.
 * @throws EnvironmentError when the base is not safe
 */
export async function cleanCache(base: string, options: CleanOptions): Promise<Outcome> {
  const cache = await readCache(base, { sizes: true });
  const remover = await Remover.open(base, options);
  for (const candidate of planClean(cache, options)) await remover.remove(candidate);
  const gone = new Set(remover.outcome.removed.map(({ path }) => path));
  const slots = planStore(cache, gone, options);
  // An environment that is being made may be about to use any slot.
  const busy = slots.length > 0 && (await isAnyLocked(base, options.env));
  for (const candidate of slots) {
    if (busy) remover.keep(candidate, BUSY);
    else await remover.remove(candidate);
  }
  return remover.outcome;
}

/** Removes one work environment. Shared slots stay for `clean`. */
export async function removeEnvironment(
  base: string,
  path: string,
  options: Pick<CleanOptions, "dryRun" | "env">,
): Promise<Outcome> {
  const remover = await Remover.open(base, options);
  const { size } = await measure(path);
  await remover.remove({ path, size, reason: "asked" });
  return remover.outcome;
}

class Remover {
  readonly outcome: Outcome = { removed: [], kept: [], warnings: [] };

  private constructor(
    private readonly base: string,
    private readonly options: Pick<CleanOptions, "dryRun" | "env">,
    private readonly running: Running | undefined,
  ) {
    if (running === undefined) {
      this.#warn("this system does not tell which programs run out of the cache");
    }
  }

  static async open(base: string, options: Pick<CleanOptions, "dryRun" | "env">): Promise<Remover> {
    return new Remover(base, options, await findRunning(base));
  }

  keep(candidate: Candidate, because: string): void {
    this.outcome.kept.push({ ...candidate, because });
  }

  async remove(candidate: Candidate): Promise<void> {
    const users = this.running?.using(candidate.path) ?? [];
    if (users.length > 0) return this.keep(candidate, `in use by process ${users.join(", ")}`);
    const away = this.options.dryRun
      ? await this.#isFree(candidate)
      : await this.#renameAway(candidate);
    if (away === undefined) return;
    this.outcome.removed.push(candidate);
    if (!this.options.dryRun) await removeTree(away);
  }

  async #isFree(candidate: Candidate): Promise<string | undefined> {
    if (candidate.reason === "leftover") return candidate.path;
    const lock = await this.#lock(candidate);
    await lock?.release();
    return lock && candidate.path;
  }

  /** Takes the folder out of use. @returns its new path, undefined when it stays */
  async #renameAway(candidate: Candidate): Promise<string | undefined> {
    if (candidate.reason === "leftover") return candidate.path;
    const lock = await this.#lock(candidate);
    if (lock === undefined) return undefined;
    const away = join(dirname(candidate.path), `${REMOVED}${randomBytes(8).toString("hex")}`);
    try {
      await rename(candidate.path, away);
      if (candidate.reason !== "unreferenced" || !(await this.#isUsedNow(candidate))) return away;
      await rename(away, candidate.path);
      this.keep(candidate, BUSY);
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Windows does not rename a folder while a program runs from it.
      if (
        process.platform !== "win32" ||
        (code !== "EPERM" && code !== "EBUSY" && code !== "EACCES")
      ) {
        throw ioError(error, candidate.path);
      }
      this.keep(candidate, "in use");
      return undefined;
    } finally {
      await lock.release();
    }
  }

  /**
   * Whether a shared slot that was just renamed away found a user meanwhile. A first start that saw it still holds the lock of its
   * environment, or has written its marker; one that comes later does not see it and makes its own.
   */
  async #isUsedNow({ path }: Candidate): Promise<boolean> {
    const sha256 = basename(path);
    if (await isAnyLocked(this.base, this.options.env, sha256)) return true;
    const { environments } = await readCache(this.base);
    return environments.some(({ shared }) => shared.includes(sha256));
  }

  async #lock(candidate: Candidate) {
    const lock = await takeLock(this.base, basename(candidate.path), this.options.env);
    if (lock === undefined) this.keep(candidate, BUSY);
    else if (!lock.certain) {
      this.#warn("without the program `flock` it cannot be known that nothing is being set up");
    }
    return lock;
  }

  #warn(text: string): void {
    if (!this.outcome.warnings.includes(text)) this.outcome.warnings.push(text);
  }
}
