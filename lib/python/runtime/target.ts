/**
 * The Python that a package gets: what it is, and where its parts lie on disk. Nothing here says that it runs on this machine: the
 * description of an interpreter for another system is read from its files (description.ts). One that runs here is an `Interpreter`.
 */
import type { PlatformTagsOf } from "../pep/tags.ts";

export interface Target {
  /** Absolute path of its program, outside of any virtual environment. */
  executable: string;
  /** `3.11.7`. */
  version: string;
  /** Major and minor. */
  minor: [number, number];
  /** `sys.version`, or what stands for it: also tells two builds of one version apart. */
  build: string;
  /** `cpython-311`, part of the names of bytecode files. */
  cacheTag: string;
  /** `t` when built without the global lock, else empty. */
  abiFlags: string;
  /** As `sys.platform` says: `linux`, `darwin`, `win32`. */
  platform: string;
  /** As `platform.machine()` says there: `x86_64`, `aarch64`, on macOS `arm64`, on Windows `AMD64` and `ARM64`. */
  machine: string;
  /** Of Linux; `none` elsewhere. */
  libc: { name: "glibc" | "musl" | "none"; version: [number, number] };
  prefix: string;
  /** Folders of the standard library, absolute, inside `prefix`. */
  stdlib: string;
  platstdlib: string;
  /** Paths of the build machine that the interpreter remembers. */
  buildPaths: string[];
}

/** macOS that wheels may ask for when the environment says nothing (`MACOSX_DEPLOYMENT_TARGET`): the one that uv resolves for. */
const MACOS: [number, number] = [13, 0];

const MACHINES: Record<string, string> = {
  x86_64: "amd64",
  amd64: "amd64",
  aarch64: "arm64",
  arm64: "arm64",
};
const SYSTEMS: Record<string, string> = { win32: "windows" };

/** `linux_amd64` and so on; a system or machine that no package can be for keeps its own name. */
export function platformOf({ platform, machine }: Pick<Target, "platform" | "machine">): string {
  return `${SYSTEMS[platform] ?? platform}_${MACHINES[machine.toLowerCase()] ?? machine}`;
}

/** The platform that this process runs on. */
export function ownPlatform(): string {
  return platformOf({ platform: process.platform, machine: process.arch.replace("x64", "x86_64") });
}

/** Where the parts of a Python lie, relative to its prefix; a work environment is laid out in the same way. */
export interface Layout {
  windows: boolean;
  /** The program of the runtime: `bin/python3.11`, `python.exe`. */
  program: string;
  /** The program in a work environment: `bin/python3.11`, `Scripts/python.exe`. */
  started: string;
  /** Folder of programs in a work environment. */
  scripts: string;
  /** `lib`, `Lib`: one spelling per package, because some file systems fold them. */
  base: string;
  /** The standard library: `lib/python3.11`, `Lib`. */
  library: string;
  packages: string;
  /** Endings of extension modules. */
  modules: string[];
}

export function layoutOf(target: Pick<Target, "platform" | "minor" | "abiFlags">): Layout {
  if (target.platform === "win32") {
    return {
      windows: true,
      program: "python.exe",
      started: "Scripts/python.exe",
      scripts: "Scripts",
      base: "Lib",
      library: "Lib",
      packages: "Lib/site-packages",
      modules: [".pyd"],
    };
  }
  const name = `python${target.minor.join(".")}`;
  const library = `lib/${name}${target.abiFlags}`;
  return {
    windows: false,
    program: `bin/${name}`,
    started: `bin/${name}`,
    scripts: "bin",
    base: "lib",
    library,
    packages: `${library}/site-packages`,
    modules: [".so"],
  };
}

/** What wheels may count on: `glibc` of the target where it is one, and the macOS that `env` or the default asks for. */
export function systemOf(
  target: Target,
  glibc: [number, number],
  env: Record<string, string | undefined>,
): PlatformTagsOf {
  const machine = platformOf(target).endsWith("_arm64") ? "aarch64" : "x86_64";
  if (target.platform === "win32") return { os: "windows", machine };
  if (target.platform === "darwin") return { os: "darwin", machine, version: macosFloor(env) };
  const libc = target.libc.name === "musl" ? "musl" : "glibc";
  const version = libc === "musl" ? target.libc.version : glibc;
  return { os: "linux", machine: target.machine, libc, version };
}

export function macosFloor(env: Record<string, string | undefined>): [number, number] {
  const [, major, minor] = /^(\d+)(?:\.(\d+))?/.exec(env.MACOSX_DEPLOYMENT_TARGET ?? "") ?? [];
  return major === undefined ? MACOS : [Number(major), Number(minor ?? 0)];
}
