/**
 * Files of the cache while they are fetched: `<sha256>.<host>.<pid>.part`, one for each process that fetches. What a process left
 * behind is taken over by renaming it, which only one can do; while a living process fetches a file, others wait for it.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

import { ioError } from "../../base/mod.ts";

/** Longer than any pause of a download: whoever holds a part that did not grow for so long is not waited for. */
const SILENT_MS = 180_000;
const OLD_MS = 86_400_000;

const HOST = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
/** What this process fetches now. */
const ours = new Set<string>();

export interface Claim extends Disposable {
  /** Where the file grows; holds what others fetched of it. */
  path: string;
}

/** The part of `sha256` in the existing `folder` for this process, or `undefined` while another one fetches it. */
export function claimPart(folder: string, sha256: string): Claim | undefined {
  const own = join(folder, `${sha256}.${HOST}.${process.pid}.part`);
  for (const name of readdirSync(folder)) {
    const [digest, host, pid] = name.split(".");
    if (digest !== sha256 || !name.endsWith(".part")) continue;
    const path = join(folder, name);
    if (isGrowing(path, host ?? "", Number(pid))) return undefined;
    // Only from the dead: a stopped process could still write into what it holds.
    if (path !== own && host === HOST && !isAlive(Number(pid))) takeOver(path, own);
  }
  if (ours.has(own)) return undefined;
  closeSync(openSync(own, "a"));
  ours.add(own);
  // Two that looked at the same moment see each other now, and one of them steps back.
  const others = readdirSync(folder).filter((name) => name.startsWith(`${sha256}.`));
  const isSecond = others.some((name) => {
    const [, host, pid] = name.split(".");
    const path = join(folder, name);
    return name.endsWith(".part") && path < own && isGrowing(path, host ?? "", Number(pid));
  });
  if (isSecond) {
    ours.delete(own);
    if (statSync(own).size === 0) rmSync(own);
    return undefined;
  }
  return { path: own, [Symbol.dispose]: () => void ours.delete(own) };
}

/** Removes parts that nobody went on with for a day. */
export function removeOldParts(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".part")) continue;
    const path = join(folder, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > OLD_MS) rmSync(path, { force: true });
  }
}

function isGrowing(path: string, host: string, pid: number): boolean {
  if (host === HOST && pid === process.pid) return ours.has(path);
  // The number of a dead process may be that of another one by now, so the living must also be at work.
  if (host === HOST && !isAlive(pid)) return false;
  const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return changed !== undefined && Date.now() - changed < SILENT_MS;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function takeOver(path: string, own: string): void {
  try {
    renameSync(path, own);
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw ioError(error, path);
  }
}
