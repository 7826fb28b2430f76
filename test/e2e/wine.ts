/**
 * wine, for tests of packages for Windows: a configuration of its own in a folder, without a display.
 * Debian's wine 8 lacks `bcryptprimitives.dll`, which programs made by Go since 1.22 need: a library that forwards its one
 * function is linked then.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { findProgram, run } from "../../lib/base/mod.ts";
import { needPackages } from "../support/debian.ts";

const LINKER = "binutils-mingw-w64-x86-64";

/** `true` when programs for Windows can be built and started here, else why not. */
export async function needWine(): Promise<true | string> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "wine is tried on x86-64 Linux";
  if (findProgram("go") === undefined) return "Go is not installed";
  return await needPackages(["wine", "wine64", LINKER]);
}

export interface Wine {
  /** The folder that programs see as `C:\`. */
  drive: string;
  /** Starts a program; names of variables that wine keeps for itself cannot be changed. */
  start(argv: string[], more?: StartOptions): Promise<Outcome>;
  stop(): Promise<void>;
}

export interface StartOptions {
  env?: Record<string, string>;
  input?: Uint8Array;
  /** Output goes through files: what it leaves running holds them, as every process of wine does with its parent's. */
  leaves?: boolean;
  /** Default: 30 s. */
  timeoutMs?: number;
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Makes a configuration below `folder`. Programs start in `folder`. */
export async function startWine(folder: string): Promise<Wine> {
  const base = {
    PATH: process.env.PATH,
    HOME: folder,
    WINEPREFIX: join(folder, "prefix"),
    LC_ALL: "C.UTF-8", // else no file name beyond ASCII can be made
    WINEDEBUG: "-all",
    WINEDLLOVERRIDES: "mscoree,mshtml=",
  };
  mkdirSync(base.WINEPREFIX);
  await must(["wine", "wineboot", "-i"], base, folder);
  const drive = join(base.WINEPREFIX, "drive_c");
  const system = join(drive, "windows", "system32");
  if (!existsSync(join(system, "bcryptprimitives.dll"))) await linkRandom(folder, system);
  // The first program starts wine's services, which keep its output open, and the last one ends them: so one stays.
  const keeper = Bun.spawn(["wine", "cmd"], {
    env: base,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  // Not before it speaks: a program that is faster would be the first.
  await keeper.stdout.getReader().read();
  return {
    drive,
    async start(argv, { env, input, leaves, timeoutMs = 30_000 } = {}) {
      if (leaves) return await startThroughFiles(folder, { ...base, ...env }, argv);
      const outcome = await run(["wine", ...argv], {
        cwd: folder,
        env: { ...base, ...env },
        timeoutMs,
        ...(input && { input }),
      });
      return { code: outcome.code, stdout: text(outcome.stdout), stderr: text(outcome.stderr) };
    },
    async stop() {
      void keeper.stdin.end();
      await keeper.exited;
    },
  };
}

async function startThroughFiles(
  folder: string,
  env: Record<string, string | undefined>,
  argv: string[],
): Promise<Outcome> {
  const [out, err] = [join(folder, "stdout"), join(folder, "stderr")];
  for (const file of [out, err]) writeFileSync(file, "");
  const child = Bun.spawn(["wine", ...argv], {
    cwd: folder,
    env,
    stdin: "ignore",
    stdout: Bun.file(out),
    stderr: Bun.file(err),
  });
  const code = await child.exited;
  return { code, stdout: await Bun.file(out).text(), stderr: await Bun.file(err).text() };
}

async function linkRandom(folder: string, system: string): Promise<void> {
  const [definition, exported] = [join(folder, "random.def"), join(folder, "random.exp")];
  writeFileSync(
    definition,
    "LIBRARY bcryptprimitives.dll\nEXPORTS\n  ProcessPrng = ADVAPI32.SystemFunction036\n",
  );
  const tool = (name: string) => `x86_64-w64-mingw32-${name}`;
  await must([tool("dlltool"), "-d", definition, "-e", exported], process.env, folder);
  const library = join(system, "bcryptprimitives.dll");
  await must([tool("ld"), "-shared", exported, "-o", library], process.env, folder);
}

/** Runs a program of this machine; its standard output. */
export async function must(
  argv: string[],
  env: Record<string, string | undefined>,
  cwd: string,
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, { env, cwd, timeoutMs: 120_000 });
  if (code === 0) return text(stdout);
  throw new Error(`${argv.join(" ")}: ${code}\n${text(stdout)}${text(stderr)}`);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
