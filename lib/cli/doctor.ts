/**
 * What `sealift doctor` looks at. Each check answers in one line and says how to repair what is wrong; none changes
 * anything, none opens a socket, and one that cannot be made is not passed.
 */
import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname, join } from "node:path";

import { configFolder, dataFolder, findProgram, SealiftError } from "../base/mod.ts";
import { embeddedLauncher, hostPlatform, listLaunchers } from "../launcher/mod.ts";
import { findTool, probePython } from "../python/mod.ts";
import { openTrustStore } from "../trust/mod.ts";
import { checkBase, readCache } from "../workenv/mod.ts";
import type { CommandContext } from "./command.ts";
import { parseMounts } from "./mounts.ts";

export interface Finding {
  check: string;
  status: "ok" | "warn" | "fail";
  detail: string;
  hint?: string;
}

type Answer = Omit<Finding, "check">;

const LOW_SPACE = 1 << 30;
const NO_SPACE = 64 << 20;

const CHECKS: Record<string, (context: CommandContext) => Answer | Promise<Answer>> = {
  "cache folder": cacheFolderCheck,
  "cache content": cacheContent,
  "programs in the cache": executable,
  "free space": freeSpace,
  "data folder": dataFolderCheck,
  "trust store": trustStore,
  "default key": defaultKey,
  validation: validation,
  launchers: launchers,
  flock: lockProgram,
  uv: uv,
  python: python,
  bubblewrap: bubblewrap,
  network: network,
};

/** Makes every check, in a fixed order. */
export async function examine(context: CommandContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [check, look] of Object.entries(CHECKS)) {
    findings.push({ check, ...(await answer(look, context)) });
  }
  return findings;
}

async function answer(look: (typeof CHECKS)[string], context: CommandContext): Promise<Answer> {
  try {
    return await look(context);
  } catch (error) {
    if (error instanceof SealiftError) return fail(error.message, error.hint);
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function ok(detail: string): Answer {
  return { status: "ok", detail };
}

function warn(detail: string, hint: string): Answer {
  return { status: "warn", detail, hint };
}

function fail(detail: string, hint?: string): Answer {
  return { status: "fail", detail, ...(hint === undefined ? {} : { hint }) };
}

function cacheFolderCheck({ cacheDir }: CommandContext): Answer {
  if (checkBase(cacheDir)) return writable(cacheDir, "SEALIFT_CACHE");
  const parent = existing(cacheDir);
  const answer = writable(parent, "SEALIFT_CACHE");
  return answer.status === "ok" ? ok(`${cacheDir} is made on the first start`) : answer;
}

function writable(folder: string, variable: string): Answer {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return ok(folder);
  } catch {
    return fail(`${folder} cannot be written`, `Set ${variable} to a folder that you can write.`);
  }
}

/** The nearest folder on the way to `path` that exists. */
function existing(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existing(dirname(path));
}

async function cacheContent({ cacheDir }: CommandContext): Promise<Answer> {
  const { environments, shared, leftovers, foreign } = await readCache(cacheDir);
  const broken = [...environments, ...shared].filter(({ state }) => state !== "ready").length;
  const text = `${environments.length} work environments, ${shared.length} shared slots`;
  if (foreign.length > 0) {
    return warn(`${text}; ${foreign[0]} was not made by sealift`, "Move it away, or let it be.");
  }
  if (broken + leftovers.length === 0) return ok(text);
  return warn(
    `${text}; ${broken + leftovers.length} of no use`,
    "Run `sealift workenv clean` to remove them.",
  );
}

/** Whether programs may run from the file system of the cache. */
async function executable({ cacheDir }: CommandContext): Promise<Answer> {
  if (process.platform !== "linux") return ok("this system has no noexec mounts to look for");
  const folder = realpathSync(existing(cacheDir));
  const mount = parseMounts(readFileSync("/proc/self/mountinfo", "utf8")).of(folder);
  if (mount === undefined) return warn(`the mount of ${folder} is not known`, "Check `mount`.");
  if (!mount.options.includes("noexec")) return ok(`${mount.point} allows them`);
  return fail(
    `${mount.point} is mounted noexec`,
    "Set SEALIFT_CACHE to a folder on a file system that allows execution.",
  );
}

async function freeSpace({ cacheDir }: CommandContext): Promise<Answer> {
  const { bavail, bsize } = await statfs(existing(cacheDir));
  const free = bavail * bsize;
  const text = `${Math.floor(free / (1 << 20)).toLocaleString("en-US")} MiB free for the cache`;
  const hint = "Free some space, run `sealift clean`, or set SEALIFT_CACHE to another disk.";
  if (free < NO_SPACE) return fail(text, hint);
  return free < LOW_SPACE ? warn(text, hint) : ok(text);
}

function dataFolderCheck({ env }: CommandContext): Answer {
  return writable(existing(dataFolder(env)), "SEALIFT_DATA");
}

async function trustStore({ env }: CommandContext): Promise<Answer> {
  const store = await openTrustStore({ env });
  if (store === undefined) return ok("there is none: any valid signature is accepted");
  const { uid, mode } = statSync(store.dir);
  if (process.platform !== "win32" && uid !== 0 && uid !== process.geteuid?.()) {
    return fail(`${store.dir} belongs to another user`, "Who owns it decides whom you trust.");
  }
  if (process.platform !== "win32" && mode & 0o022) {
    return fail(`${store.dir} can be written by others`, `Run \`chmod go-w ${store.dir}\`.`);
  }
  const { keys, revoked, pins } = store;
  return ok(
    `${store.dir}: ${keys.length} trusted, ${revoked.length} revoked, ${pins.length} pinned`,
  );
}

function defaultKey({ env }: CommandContext): Answer {
  const path = join(configFolder(env), "keys", "default.key");
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined) return ok("there is none; `pack` makes one, or takes --key");
  if (process.platform !== "win32" && info.mode & 0o077) {
    return fail(`${path} can be read by others`, `Run \`chmod 600 ${path}\`.`);
  }
  return ok(path);
}

function validation({ env }: CommandContext): Answer {
  const level = env.SEALIFT_VALIDATION || "strict";
  if (level === "strict") return ok("strict");
  if (level !== "relaxed") {
    return fail(`SEALIFT_VALIDATION=${level} is not a level`, "Set it to strict, or unset it.");
  }
  return warn("relaxed: packages of unknown signers run", "Unset SEALIFT_VALIDATION.");
}

async function launchers(): Promise<Answer> {
  const all = listLaunchers();
  for (const { language, platform } of all) await embeddedLauncher(language, platform);
  const host = hostPlatform();
  const names = all.filter(({ platform }) => platform === host).map(({ name }) => name);
  if (names.length === 0) {
    return warn(`none for ${host}`, "Packages for this system need `pack --launcher-bin FILE`.");
  }
  return ok(`${all.length} whole, ${names.join(" and ")} for this system`);
}

function lockProgram({ env }: CommandContext): Answer {
  if (process.platform === "win32") return ok("not needed on Windows");
  const path = findProgram("flock", env);
  if (path !== undefined) return ok(path);
  return warn(
    "not found: `workenv clean` cannot keep a first start out while it removes",
    "Install util-linux, or clean while nothing starts.",
  );
}

async function uv(context: CommandContext): Promise<Answer> {
  try {
    const { path, version } = await findTool({ ...context, offline: true }, "uv");
    return ok(`${version} at ${path}`);
  } catch (error) {
    if (!(error instanceof SealiftError) || error.code !== "OFFLINE") throw error;
    const hint = context.offline ? "Put uv into PATH." : "`pack` fetches it when it is needed.";
    return warn("not found: Python projects need it", hint);
  }
}

async function python({ env }: CommandContext): Promise<Answer> {
  const path = findProgram(process.platform === "win32" ? "python" : "python3", env);
  if (path === undefined) {
    return warn("not found: Python projects need one, or an archive", "Give `pack --python`.");
  }
  const { version } = await probePython(path, { env });
  return ok(`${version} at ${path}`);
}

function bubblewrap({ env }: CommandContext): Answer {
  if (process.platform !== "linux") return ok("only for Linux");
  const path = findProgram("bwrap", env);
  if (path !== undefined) return ok(path);
  return warn("not found: nothing can be run in a sandbox", "Install the package bubblewrap.");
}

function network({ offline }: CommandContext): Answer {
  return ok(offline ? "offline: no command opens a socket" : "may be used");
}
