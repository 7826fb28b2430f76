/**
 * The launchers' locks (flock on `<base>/locks/<name>.lock`), taken without waiting. Bun has no flock, so the `flock`
 * program holds it for us and lets go when our end of a pipe closes, also when we die. Where the program is missing,
 * /proc/locks on Linux shows a holder, but nothing keeps the next one out; elsewhere nothing is known.
 */
import { lstat, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { EnvironmentError, findProgram, ioError } from "../base/mod.ts";

export interface Lock {
  /** Whether the lock is really held; otherwise somebody could take it at any moment. */
  certain: boolean;
  release(): Promise<void>;
}

type Env = Record<string, string | undefined>;

/**
 * Takes the lock of a work environment or shared slot.
 * @param name folder name of the environment, or the digest of the slot
 * @returns undefined when somebody holds it
 * @throws EnvironmentError `LOCK` when it cannot be told
 */
export async function takeLock(base: string, name: string, env: Env): Promise<Lock | undefined> {
  const folder = join(base, "locks");
  const path = join(folder, `${name}.lock`);
  await inodeOf(folder, "folder");
  const inode = await inodeOf(path, "file");
  const flock = process.platform === "win32" ? undefined : findProgram("flock", env);
  if (flock !== undefined) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return holdWith(flock, path);
  }
  if (inode !== undefined && (await isHeldInProc(inode))) return undefined;
  return { certain: false, release: async () => {} };
}

/** Whether anybody holds any of the launchers' locks but that of `except`. */
export async function isAnyLocked(base: string, env: Env, except?: string): Promise<boolean> {
  const names = await readdir(join(base, "locks")).catch(() => []);
  for (const name of names) {
    if (!name.endsWith(".lock") || name === `${except}.lock`) continue;
    const lock = await takeLock(base, name.slice(0, -".lock".length), env);
    if (lock === undefined) return true;
    await lock.release();
  }
  return false;
}

/** Inode of a path that must not be a link or a pipe; undefined when it does not exist. */
async function inodeOf(path: string, kind: "file" | "folder"): Promise<number | undefined> {
  try {
    const info = await lstat(path);
    const right = kind === "file" ? info.isFile() : info.isDirectory();
    if (!right) throw unusable(path, `it is not a ${kind}`);
    return info.ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw ioError(error, path);
  }
}

async function holdWith(flock: string, path: string): Promise<Lock | undefined> {
  const child = Bun.spawn([flock, "-n", path, "sh", "-c", "echo held; exec cat >/dev/null"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const release = async () => {
    await child.stdin.end();
    await child.exited;
  };
  const { value } = await child.stdout.getReader().read();
  if (value !== undefined) return { certain: true, release };
  await release();
  if (child.exitCode === 1) return undefined;
  throw unusable(path, (await new Response(child.stderr).text()).trim());
}

/**
 * Whether any flock of any process is on this inode. The device is not compared: on btrfs and overlayfs the one in
 * /proc/locks is not the one of stat. A false "held" is safe.
 */
async function isHeldInProc(inode: number): Promise<boolean> {
  const text = await readFile("/proc/locks", "utf8").catch(() => "");
  return parseLocks(text).has(String(inode));
}

/** The inodes under a flock, from the text of /proc/locks. Waiters have an arrow after the number. */
export function parseLocks(text: string): Set<string> {
  const inodes = text.matchAll(/^\d+:(?: ->)? FLOCK +\S+ +\S+ +-?\d+ [0-9a-f]+:[0-9a-f]+:(\d+) /gm);
  return new Set(Array.from(inodes, (match) => match[1] as string));
}

function unusable(path: string, problem: string): EnvironmentError {
  return new EnvironmentError("LOCK", `${path}: the lock cannot be taken: ${problem}`, {
    hint: "Check the folder; `sealift doctor` says what is wrong with it.",
    details: { path },
  });
}
