/**
 * The uv driver: resolution, export of a lock, and building of wheels. uv decides what is installed, nothing else does; it
 * never installs anything here. Its own cache and configuration (UV_* variables, uv.toml, [tool.uv]) count.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { type Context, FormatError, quoteWords } from "../../base/mod.ts";
import type { PythonContext } from "../index/index-settings.ts";
import type { LockWish } from "../lock/locked.ts";
import type { PlatformTagsOf } from "../pep/tags.ts";
import type { Interpreter } from "../runtime/interpreter.ts";
import { pipWheel } from "./pip.ts";
import type { Tool } from "./tools.ts";
import { linkOptions, runUv } from "./uv-run.ts";

export interface Resolver {
  ctx: PythonContext;
  /** Asked only when something has to be resolved or built: a lock with wheels needs no uv. */
  uv: () => Promise<Tool>;
  /** Runs here: uv asks it, and wheels are built with it. Often, but not always, the target itself. */
  python: Interpreter;
  /** Version of the target's Python, `3.12.4`. */
  pythonVersion: string;
  /** uv's name of the target, such as `x86_64-manylinux_2_28`. */
  platform: string;
  /** Wheels that the target accepts; one that was built here must be among them. */
  tags: Map<string, number>;
  /** pip builds, and uv is not used. */
  usePip?: boolean;
  /** Names the variables that the project sets for builds: a build in the cache was made with the same. */
  variables?: string;
}

/** glibc versions that uv has a platform for; the newest that is not newer than the target's counts. */
const MANYLINUX = [17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40];

export function uvPlatform(system: PlatformTagsOf): string {
  const { machine } = system;
  if (system.os === "windows") return `${machine}-pc-windows-msvc`;
  if (system.os === "darwin") return `${machine}-apple-darwin`;
  if (system.libc === "musl") return `${machine}-unknown-linux-musl`;
  const minor = MANYLINUX.findLast((m) => m <= system.version[1]) ?? 17;
  return `${machine}-manylinux_2_${minor}`;
}

/**
 * Resolves requirement files for the target to the text of a pylock.toml with hashes. `files` are names in `cwd`;
 * `extra` are further requirement lines. `RESOLVE` with uv's own explanation, `RESOLVE_NETWORK` when the index cannot be reached.
 */
export async function compileLock(
  resolver: Resolver,
  cwd: string,
  files: string[],
  options: {
    lines?: string[];
    extras?: string[];
    /** Constraint files. */
    constraints?: string[];
    noDependencies?: boolean;
    /** Gets what uv warns of and an author should know. */
    notes?: string[];
  } = {},
): Promise<string> {
  const lines = options.lines ?? [];
  const argv = [
    "pip",
    "compile",
    "--format",
    "pylock.toml",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
  ];
  argv.push("--python", resolver.python.executable, "--python-platform", resolver.platform);
  argv.push("--python-version", resolver.pythonVersion);
  for (const extra of options.extras ?? []) argv.push("--extra", extra);
  for (const file of options.constraints ?? []) argv.push("--constraints", file);
  if (options.noDependencies === true) argv.push("--no-deps");
  argv.push(...linkOptions(resolver.ctx), ...files);
  if (lines.length > 0) argv.push("-");
  const { stdout, stderr } = await runUv(resolver, argv, {
    cwd,
    input: lines.map((line) => `${line}\n`).join(""),
    what: "Resolving the dependencies",
  });
  options.notes?.push(...warnings(stderr));
  return stdout;
}

/** What uv did although it is doubtful: withdrawn files, extras that a package does not have. */
function warnings(stderr: string): string[] {
  return [...stderr.matchAll(/^warning: (.*(?:yanked|does not have an extra).*)$/gim)].map(
    ([, text = ""]) => text,
  );
}

/** The lock of a uv project as pylock.toml text, exactly as uv.lock says; `LOCK_STALE` is uv's word when it does not fit the project. */
export async function exportLock(resolver: Resolver, cwd: string, wish: LockWish): Promise<string> {
  const argv = [
    "export",
    "--format",
    "pylock.toml",
    "--frozen",
    "--no-emit-project",
    "--no-default-groups",
    "--no-header",
  ];
  argv.push("--python", resolver.python.executable);
  for (const extra of wish.extras) argv.push("--extra", extra);
  for (const group of wish.groups) argv.push("--group", group);
  const { stdout } = await runUv(resolver, argv, { cwd, what: "Reading uv.lock" });
  return stdout;
}

export interface WheelBuild {
  /** What the user knows the sources by: they may lie in a copy. */
  label: string;
  epoch: number;
  /** Interpreter of an environment that has everything; without it the build is isolated. */
  environment?: string | undefined;
}

/** Builds the wheel of a source folder or source distribution; gives the wheel's path in `out`, which must be empty. */
export async function buildWheel(
  resolver: Pick<Resolver, "ctx" | "uv" | "python" | "usePip">,
  source: string,
  out: string,
  { label, epoch, environment }: WheelBuild,
): Promise<string> {
  const what = `Building ${label}`;
  const argv = [
    "build",
    "--wheel",
    "--out-dir",
    out,
    "--python",
    environment ?? resolver.python.executable,
    ...(environment === undefined ? [] : ["--no-build-isolation"]),
    ...linkOptions(resolver.ctx),
    source,
  ];
  // Generators iterate over sets and write times and numbers; none of them may depend on who builds.
  const env = {
    SOURCE_DATE_EPOCH: String(epoch),
    PYTHONHASHSEED: "0",
    TZ: "UTC",
    LC_ALL: "C.UTF-8",
    ...reproducible(resolver.ctx.env, source),
  };
  if (resolver.usePip === true) await pipWheel(resolver, source, out, { what, env, environment });
  else {
    const hint = "The explanation is that of its build system; `uv build` tries the build alone.";
    await runUv(resolver, argv, { cwd: out, what, env, hint, copy: { path: source, of: label } });
  }
  const wheels = readdirSync(out).filter((name) => name.endsWith(".whl"));
  const [wheel] = wheels;
  if (wheel !== undefined && wheels.length === 1) return join(out, wheel);
  throw new FormatError("BUILD", `${source}: the build made ${wheels.length} wheels, not one`, {
    hint: "Check its build system.",
    details: { source },
  });
}

/** Compiler flags behind the user's own: no debug information, source path or build id, which would differ with every build folder. */
function reproducible(env: Context["env"], source: string): Record<string, string> {
  if (process.platform === "win32") return {};
  // Build tools split these variables as a shell does.
  const map = quoteWords([`-ffile-prefix-map=${source}=.`]);
  const compile = `-g0 ${map}`;
  const added = (name: string, flags: string) => [env[name], flags].filter(Boolean).join(" ");
  return {
    CFLAGS: added("CFLAGS", compile),
    CXXFLAGS: added("CXXFLAGS", compile),
    ...(process.platform === "linux" && { LDFLAGS: added("LDFLAGS", "-Wl,--build-id=none") }),
  };
}
