/**
 * Whether the base folder is one that only its owner can change: the launchers' own rule (docs/reference/launcher.md,
 * "Folders"), so that nothing is deleted or believed in a folder that somebody else could have prepared.
 */
import { lstatSync, readlinkSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";

import { EnvironmentError } from "../base/mod.ts";

const MAX_LINKS = 40;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * @returns whether the folder exists
 * @throws EnvironmentError `CACHE_CREATE` (no folder), `CACHE_OWNER`, `CACHE_WRITABLE`, `CACHE_LINK`
 */
export function checkBase(base: string): boolean {
  if (process.platform !== "win32") checkWay(base);
  const info = statSync(base, { throwIfNoEntry: false });
  if (info === undefined) return false;
  if (!info.isDirectory()) throw refusal("CACHE_CREATE", base, "is not a folder");
  if (process.platform === "win32") return true;
  if (info.uid !== process.geteuid?.())
    throw refusal("CACHE_OWNER", base, "belongs to another user");
  if (info.mode & OTHERS_WRITE)
    throw refusal("CACHE_WRITABLE", base, "can be written by other users");
  return true;
}

/** Follows the path part by part and refuses a symbolic link that others could replace. */
function checkWay(path: string): void {
  const rest = path.split("/").filter((part) => part !== "");
  let at = "/";
  for (let links = 0; rest.length > 0;) {
    const next = join(at, rest.shift() as string);
    const info = lstatSync(next, { throwIfNoEntry: false });
    if (info === undefined) return;
    if (!info.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > MAX_LINKS || isReplaceable(statSync(dirname(next)), info)) {
      throw refusal("CACHE_LINK", next, "is a symbolic link that other users can replace");
    }
    const target = readlinkSync(next);
    if (target.startsWith("/")) at = "/";
    rest.unshift(...target.split("/").filter((part) => part !== ""));
  }
}

function isReplaceable(folder: Stats, link: Stats): boolean {
  if ((folder.mode & OTHERS_WRITE) === 0) return false;
  const ours = link.uid === 0 || link.uid === process.geteuid?.();
  return (folder.mode & STICKY) === 0 || !ours;
}

const HINTS = {
  CACHE_CREATE: "Set SEALIFT_CACHE to a folder that you can write.",
  CACHE_OWNER: "Set SEALIFT_CACHE to a folder that you own.",
  CACHE_WRITABLE:
    "Run `chmod go-w` on it, or set SEALIFT_CACHE to a folder that only you can write.",
  CACHE_LINK: "Set SEALIFT_CACHE to a folder that only you can write.",
};

function refusal(code: keyof typeof HINTS, path: string, problem: string): EnvironmentError {
  return new EnvironmentError(code, `${path} ${problem}`, { hint: HINTS[code], details: { path } });
}
