/**
 * Which programs run out of the cache. A launcher replaces itself with the program and holds no lock then, so only the
 * system knows: on Linux /proc tells what each process of the user runs, maps, stands in and was told at its start.
 */
import { realpathSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";

/** Folders below the cache with the processes that use them; undefined where the system does not tell. */
export interface Running {
  /** Process numbers that use `folder` or anything below it. */
  using(folder: string): number[];
}

interface Seen {
  pid: number;
  /** Everything that /proc says, one path or variable per line. */
  text: string;
}

export async function findRunning(base: string): Promise<Running | undefined> {
  if (process.platform !== "linux") return undefined;
  const names = await readdir("/proc").catch(() => undefined);
  if (names === undefined) return undefined;
  const root = realpathSync(base);
  const roots = [...new Set([base, root])];
  const seen: Seen[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const text = await look(`/proc/${name}`);
    if (roots.some((path) => text.includes(path))) seen.push({ pid: Number(name), text });
  }
  return { using: (folder) => usersOf(seen, folder, base, root) };
}

/** Processes of other users cannot be read; they cannot run what is in a folder with mode 0700 either. */
async function look(proc: string): Promise<string> {
  const [exe, cwd, maps, environ] = await Promise.all([
    readlink(`${proc}/exe`).catch(() => ""),
    readlink(`${proc}/cwd`).catch(() => ""),
    readFile(`${proc}/maps`, "utf8").catch(() => ""),
    readFile(`${proc}/environ`, "utf8").catch(() => ""),
  ]);
  return [exe, cwd, maps, environ.replaceAll("\0", "\n")].join("\n");
}

function usersOf(seen: Seen[], folder: string, base: string, root: string): number[] {
  const forms = [...new Set([folder, root + folder.slice(base.length)])];
  const found = (text: string) => forms.some((form) => mentions(text, form));
  return seen.filter(({ text }) => found(text)).map(({ pid }) => pid);
}

/** Whether a path stands in the text and ends there or goes on below it. */
function mentions(text: string, path: string): boolean {
  for (let at = text.indexOf(path); at >= 0; at = text.indexOf(path, at + 1)) {
    const next = text[at + path.length];
    if (next === undefined || "/\n: ".includes(next)) return true;
  }
  return false;
}
