/** What was found, for people and for the index block. */
import { macosFloor, platformOf } from "../runtime/target.ts";
import type { Application } from "./application.ts";

export interface PackedPython {
  version: string;
  /** Where it was found: an interpreter, or the program in an unpacked archive. */
  executable: string;
  platform: string;
  /** Oldest C library that everything runs on. */
  glibc?: string;
  /** macOS that wheels were chosen for. */
  macos?: string;
  /** Interpreter of this machine that resolved, built and compiled, when the packed one does not run here. */
  host?: string;
}

export interface ReportedPackage {
  name: string;
  version: string;
  file: string;
  sha256: string;
  license?: string;
  /** Where its sources come from, when that is no index: `git+URL@COMMIT`, an address, or a folder. */
  origin?: string;
}

export interface PythonReport {
  python: PackedPython;
  /** Beside the first. */
  further?: PackedPython[];
  /** `uv`, or the lock's file name. */
  resolution: string;
  /** `sha256` is that of the wheel, or of its RECORD when it was built here. */
  packages: ReportedPackage[];
  /** SHA-256 over the dependencies. */
  dependencyHash: string;
  /** SHA-256 over the project's sources (see prepare/source.ts); absent when it is not built. */
  sourceHash?: string;
  /** What the author should know. */
  notes: string[];
}

type Env = Record<string, string | undefined>;

/** The first application is the main one; packages of the others follow when they are not the same. */
export function reportOf(
  applications: Application[],
  dependencyHash: string,
  env: Env,
): PythonReport {
  const [main, ...others] = applications as [Application, ...Application[]];
  const packages = applications.flatMap(({ collected }) => collected.resolution.wheels);
  const once = packages.filter((w, i) => packages.findIndex((p) => p.key === w.key) === i);
  const { resolution, sources } = main.collected;
  return {
    python: packedPython(main, env),
    ...(others.length > 0 && { further: others.map((item) => packedPython(item, env)) }),
    resolution: resolution.source,
    packages: once.map((w) => ({
      name: w.name,
      version: w.version,
      file: w.file,
      sha256: w.key,
      ...(w.license !== undefined && { license: w.license }),
      ...(w.origin !== undefined && { origin: w.origin }),
    })),
    dependencyHash,
    ...(sources !== undefined && { sourceHash: sources }),
    notes: [...new Set(applications.flatMap(notesOf))],
  };
}

function packedPython({ choice, runtime, native }: Application, env: Env): PackedPython {
  const { target, host, runs } = choice;
  const { version, executable } = target;
  const glibc =
    runtime.glibc === undefined ? undefined : `2.${Math.max(runtime.glibc[1], native.glibc[1])}`;
  return {
    version,
    executable,
    platform: platformOf(target),
    ...(glibc !== undefined && { glibc }),
    ...(target.platform === "darwin" && { macos: macosFloor(env).join(".") }),
    ...(!runs && { host: host.executable }),
  };
}

function notesOf({ choice, runtime, collected, native, skipped }: Application): string[] {
  const { version } = choice.target;
  const notes = [...collected.notes];
  if (runtime.omitted.length > 0)
    notes.push(
      `left out of Python, because their libraries are missing${choice.portable ? " in this build" : " here"}: ${runtime.omitted.join(", ")}`,
    );
  if (native.external.length > 0) notes.push(`the target must have ${native.external.join(", ")}`);
  if (skipped.length > 0)
    notes.push(`${skipped.length} files are no valid Python ${version} and have no bytecode`);
  return notes;
}
