/**
 * How `sealift run` starts a package on this machine. A sealed package whose own launcher is ours and fits this system is
 * executed as it is. Everything else (a launcher for another system, one of the earlier launchers, a file without the execute bit or on
 * a file system that executes nothing) is started by the embedded stub with `--run-package`, which checks all of it again.
 */
import { constants } from "node:fs";
import { access, chmod, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";

import {
  CheckError,
  type Context,
  EnvironmentError,
  ioError,
  writeFileAtomic,
} from "../base/mod.ts";
import { sha256File } from "../codec/mod.ts";
import { embeddedLauncher, hostPlatform } from "../launcher/mod.ts";
import { openPackage, type Verdict, verifyPackage } from "../pspf/mod.ts";
import { openTrustStore } from "../trust/mod.ts";

export interface StartPlan {
  /** What to execute: absolute path and all words after it. */
  program: string;
  args: string[];
  env: Record<string, string>;
  /** The package's own launcher, or the embedded one. */
  by: "own" | "embedded";
  verdict: Verdict;
}

/**
 * Verifies every byte of the package and says how to start it.
 * @throws CheckError `RUN_REFUSED` with what failed; FormatError, EnvironmentError
 */
export async function planStart(ctx: Context, file: string, args: string[]): Promise<StartPlan> {
  const path = resolve(file);
  const verdict = await verifyForRun(ctx, path);
  const env = startEnv(ctx);
  if (await runsItself(path)) return { program: path, args, env, by: "own", verdict };
  const stub = await hostStub(ctx);
  return { program: stub, args: ["--run-package", path, ...args], env, by: "embedded", verdict };
}

async function verifyForRun(ctx: Context, path: string): Promise<Verdict> {
  const trust = await openTrustStore({ env: ctx.env });
  const verdict = await verifyPackage(path, { progress: ctx.progress, ...(trust && { trust }) });
  const failed = verdict.checks.filter((check) => !check.ok);
  // The launcher warns about trust itself when the user relaxed that; everything else is never relaxed.
  const relaxed = ctx.env.SEALIFT_VALIDATION === "relaxed";
  const fatal = failed.find((check) => !(relaxed && check.name === "trust"));
  if (fatal === undefined) return verdict;
  throw new CheckError(fatal.code ?? "RUN_REFUSED", fatal.detail, {
    hint: "Nothing was started. `sealift verify` shows every check.",
    details: { file: path, check: fatal.name },
  });
}

async function runsItself(path: string): Promise<boolean> {
  const pkg = await openPackage(path);
  const { build, launcher } = pkg.metadata;
  await pkg.close();
  const isOurs = pkg.sealed && /^sealift-(rust|go)$/.test(launcher?.tool ?? "");
  if (!isOurs || `${build?.os}_${build?.arch}` !== hostPlatform()) return false;
  // False also where the file system is mounted noexec.
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The embedded launcher of this machine as a file that can be executed, compared with its digest on each use. */
export async function hostStub(ctx: Context): Promise<string> {
  const stub = await embeddedLauncher("auto", hostPlatform());
  const ending = process.platform === "win32" ? ".exe" : "";
  const folder = join(ctx.cacheDir, "stubs");
  const path = join(folder, `${stub.tool}-${stub.sha256.slice(0, 16)}${ending}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const there = await sha256File(path).catch(() => undefined);
    if (there !== stub.sha256)
      await writeFileAtomic(path, stub.bytes, { mode: 0o700, force: true });
    else await chmod(path, 0o700);
    await access(path, constants.X_OK);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") throw noexec(folder);
    throw ioError(error, folder);
  }
}

function noexec(folder: string): EnvironmentError {
  return new EnvironmentError(
    "CACHE_NOEXEC",
    `${folder} is on a file system mounted noexec: programs cannot run from it`,
    {
      hint: "Set SEALIFT_CACHE to a folder on a file system that allows execution.",
    },
  );
}

/** The user's environment; `--cache-dir` reaches the launcher as the variable that it knows. */
function startEnv(ctx: Context): Record<string, string> {
  const entries = Object.entries(ctx.env).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  return { ...Object.fromEntries(entries), SEALIFT_CACHE: ctx.cacheDir };
}
