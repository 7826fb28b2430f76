/**
 * Other programs: started from an argument array, never through a shell, with bounded output and time.
 * A program that a user names may be a `.cmd` on Windows; `cross-spawn` knows how to quote for those.
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";

import { EnvironmentError } from "./errors.ts";

export interface RunOptions {
  cwd?: string;
  /** The whole environment; default that of this process. */
  env?: Record<string, string | undefined>;
  /** Standard input; default empty. */
  input?: Uint8Array | string;
  timeoutMs?: number;
  /** Bound of each output stream in bytes; default 64 MiB. */
  maxOutput?: number;
}

export interface RunResult {
  /** Exit code; 128 + n when a signal ended it. */
  code: number;
  signal?: string;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

const MAX_OUTPUT = 64 << 20;

/**
 * Runs `argv` to its end. A non-zero exit code is a result, not an error. Throws `EnvironmentError`: `PROGRAM_MISSING`,
 * `PROGRAM_START`, `PROGRAM_TIMEOUT`, `PROGRAM_OUTPUT` (more than `maxOutput`).
 */
export async function run(argv: string[], options: RunOptions = {}): Promise<RunResult> {
  const name = argv[0] ?? "";
  const env = options.env ?? process.env;
  const program = findProgram(name, env, options.cwd);
  if (program === undefined) {
    throw new EnvironmentError("PROGRAM_MISSING", `The program ${name} was not found`, {
      hint: `Install ${name} or put its folder into PATH.`,
      details: { program: name },
    });
  }
  const child = await startPatiently([program, ...argv.slice(1)], env, options);
  running.add(child);
  let timedOut = false;
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          child.kill("SIGKILL");
          // What it started may live on and keep these open.
          child.cut();
        }, options.timeoutMs);
  try {
    child.feed(options.input ?? "");
    const max = options.maxOutput ?? MAX_OUTPUT;
    const [stdout, stderr, end] = await Promise.all([
      collect(child.stdout, max, name, child.kill),
      collect(child.stderr, max, name, child.kill),
      child.end,
    ]);
    if (timedOut) throw timeout(name, options.timeoutMs ?? 0);
    return { ...end, stdout, stderr };
  } catch (error) {
    throw timedOut ? timeout(name, options.timeoutMs ?? 0) : error;
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}

const running = new Set<Child>();

/**
 * Asks every program that runs to end. Synchronous, for signal handlers: what this process started must not outlive it, and
 * gets a moment to end its own children, so that nobody writes into folders that are being removed.
 */
export function stopPrograms(): void {
  if (running.size === 0) return;
  for (const child of running) child.kill("SIGTERM");
  Bun.sleepSync(300);
}

/**
 * The absolute path of an executable: `name` itself when it holds a slash, else the first in PATH (with PATHEXT on
 * Windows). Relative folders in PATH are skipped: they would mean another program in each folder.
 */
export function findProgram(
  name: string,
  env: Record<string, string | undefined> = process.env,
  cwd = ".",
): string | undefined {
  const windows = process.platform === "win32";
  const endings = windows ? ["", ...(env.PATHEXT ?? ".EXE;.CMD;.BAT;.COM").split(";")] : [""];
  const hasFolder = name.includes("/") || (windows && name.includes("\\"));
  const folders = hasFolder
    ? [""]
    : (env.PATH ?? env.Path ?? "").split(delimiter).filter((f) => isAbsolute(f));
  for (const folder of folders) {
    for (const ending of endings) {
      const path = hasFolder ? resolve(cwd, name + ending) : join(folder, name + ending);
      if (isExecutable(path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

interface Child {
  stdout: AsyncIterable<Uint8Array>;
  stderr: AsyncIterable<Uint8Array>;
  end: Promise<{ code: number; signal?: string }>;
  kill(signal?: NodeJS.Signals): void;
  feed(input: Uint8Array | string): void;
  /** Reads nothing more. */
  cut(): void;
}

const BUSY_TRIES = 50;

/**
 * The system starts no program that is open for writing (ETXTBSY). One that was just written is, for a moment, when another
 * program was started meanwhile: between fork and exec that child holds a copy of our file descriptors.
 */
async function startPatiently(...how: Parameters<typeof start>): Promise<Child> {
  for (let tries = 1; ; tries++) {
    try {
      return await start(...how);
    } catch (error) {
      const isBusy = (error as NodeJS.ErrnoException).code === "ETXTBSY";
      if (!isBusy || tries === BUSY_TRIES) throw error;
      await Bun.sleep(10);
    }
  }
}

async function start(
  argv: [string, ...string[]],
  env: Record<string, string | undefined>,
  options: RunOptions,
): Promise<Child> {
  const { default: spawn } = await import("cross-spawn");
  const { constants: os } = await import("node:os");
  const [program, ...args] = argv;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: env as NodeJS.ProcessEnv,
    stdio: ["pipe", "pipe", "pipe"],
    windowsHide: true,
  });
  const end = new Promise<{ code: number; signal?: string }>((done, failed) => {
    child.once("error", (cause) => failed(notStarted(program, cause)));
    child.once("close", (code, signal) =>
      done(
        signal === null ? { code: code ?? 0 } : { code: 128 + (os.signals[signal] ?? 0), signal },
      ),
    );
  });
  // A program that ends without reading its input is no error.
  child.stdin?.on("error", () => undefined);
  return {
    stdout: child.stdout as AsyncIterable<Uint8Array>,
    stderr: child.stderr as AsyncIterable<Uint8Array>,
    end,
    kill: (signal) => child.kill(signal),
    feed: (input) => child.stdin?.end(input),
    cut: () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
  };
}

async function collect(
  stream: AsyncIterable<Uint8Array>,
  max: number,
  name: string,
  kill: (signal: NodeJS.Signals) => void,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > max) {
      kill("SIGKILL");
      throw new EnvironmentError("PROGRAM_OUTPUT", `${name} wrote more than ${max} bytes`, {
        hint: "Check what it does when it is run by hand.",
        details: { program: name, max },
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function timeout(name: string, ms: number): EnvironmentError {
  return new EnvironmentError("PROGRAM_TIMEOUT", `${name} did not end within ${ms / 1000} s`, {
    hint: "Check what it waits for when it is run by hand.",
    details: { program: name, timeoutMs: ms },
  });
}

function notStarted(program: string, cause: Error): EnvironmentError {
  return new EnvironmentError("PROGRAM_START", `${program} cannot be started: ${cause.message}`, {
    hint: "Check that it exists, is executable and fits this system.",
    details: { program },
    cause,
  });
}
