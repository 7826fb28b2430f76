/**
 * What the native parts of a package ask of the system that it runs on: the C library and its version, and libraries that the package
 * does not hold. Read from the dynamic sections of the ELF files in the slots, never by running them.
 */
import { basename, posix } from "node:path";

import { FormatError } from "../../base/mod.ts";
import type { TreeEntry } from "../../codec/mod.ts";
import type { Elf } from "../../python/mod.ts";
import type { StagedSlot } from "../stage/stage.ts";

export interface NativeReport {
  /** Programs and libraries for the package's machine. */
  files: number;
  /** Oldest glibc that everything runs on, such as `2.28`; absent when nothing needs glibc. */
  glibc?: string;
  /** Distributions that have it, each with its first version that does. */
  systems: string[];
  /** Something needs the C library of Alpine Linux. */
  musl: boolean;
  /** Libraries of displays, drivers and the like, which the target must have. */
  fromTarget: string[];
  /** Libraries that neither the package nor every system has. */
  missing: { slot: string; path: string; library: string }[];
}

/** First release of each distribution with a glibc of at least this minor version (2.x). */
const RELEASES: [name: string, releases: [minor: number, release: string][]][] = [
  [
    "Debian",
    [
      [19, "8"],
      [24, "9"],
      [28, "10"],
      [31, "11"],
      [36, "12"],
      [41, "13"],
    ],
  ],
  [
    "Ubuntu",
    [
      [19, "14.04"],
      [23, "16.04"],
      [27, "18.04"],
      [31, "20.04"],
      [35, "22.04"],
      [39, "24.04"],
    ],
  ],
  [
    "RHEL",
    [
      [12, "6"],
      [17, "7"],
      [28, "8"],
      [34, "9"],
      [39, "10"],
    ],
  ],
];

/** e_machine of the ELF header. */
const MACHINES: Record<string, number> = { amd64: 62, arm64: 183 };

/**
 * Parts of the manylinux policy (PEP 600) that a system without a display may lack, beside what the Python room calls the target's own:
 * the libraries of the compiler, which nearly every system has.
 */
const COMPILER = /^lib(?:gcc_s|stdc\+\+|atomic|gomp|z)\.so\.\d+$/;

/** @returns undefined for packages without such files, and for systems that use other formats */
export async function nativeReport(
  slots: StagedSlot[],
  platform: string,
): Promise<NativeReport | undefined> {
  const [os = "", machine = ""] = platform.split("_");
  const candidates = os === "linux" ? slots.flatMap(candidatesOf) : [];
  if (candidates.length === 0) return undefined;
  const { isCLibrary, isElf, isTargetLibrary, parseElf, readElf } =
    await import("../../python/mod.ts");
  const read = ({ source, path }: Candidate): Elf | undefined => {
    try {
      if (source instanceof Uint8Array) return parseElf(source, path);
      return isElf(source) ? readElf(source) : undefined;
    } catch (error) {
      // Data that only begins like a program, such as test files of packages that read ELF.
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  };
  const natives = candidates
    .map((candidate) => ({ ...candidate, elf: read(candidate) }))
    .filter((one): one is Candidate & { elf: Elf } => one.elf?.machine === MACHINES[machine]);
  if (natives.length === 0) return undefined;

  const known = new Set(slots.flatMap(namesOf));
  const places = new Set(slots.flatMap(placesOf));
  for (const { elf } of natives) if (elf.soname !== undefined) known.add(elf.soname);
  const report: NativeReport = {
    files: natives.length,
    systems: [],
    musl: false,
    fromTarget: [],
    missing: [],
  };
  const fromTarget = new Set<string>();
  for (const { slot, path, elf } of natives) {
    for (const library of elf.needed) {
      if (isMusl(library)) report.musl = true;
      else if (isCLibrary(library) || known.has(library)) continue;
      else if (places.has(`${slot}:${placeOf(path, library)}`)) continue;
      else if (isTargetLibrary(library) || COMPILER.test(library)) fromTarget.add(library);
      else report.missing.push({ slot, path, library });
    }
  }
  report.fromTarget = [...fromTarget].sort();
  const needsGlibc = natives.some(({ elf }) =>
    elf.needed.some((name) => name.startsWith("libc.so.6")),
  );
  if (!needsGlibc) return report;
  const minor = glibcMinor(natives.map(({ elf }) => elf));
  return { ...report, glibc: `2.${minor}`, systems: systemsWith(minor) };
}

interface Candidate {
  slot: string;
  path: string;
  source: string | Uint8Array;
}

/** Files that may be programs or libraries: by their mode and name, so that not every file of a package is opened. */
function candidatesOf({ input }: StagedSlot): Candidate[] {
  const { id: slot, content } = input;
  if (content.kind === "file") return [{ slot, path: input.target, source: content.path }];
  if (content.kind !== "tree") return [];
  return content.entries.flatMap(({ path, type, mode, source }) => {
    const isNative = type === "file" && ((mode & 0o111) !== 0 || /\.so(?:\.[\d.]+)?$/.test(path));
    if (!isNative || source === undefined) return [];
    return [{ slot, path, source: typeof source === "string" ? source : source.bytes }];
  });
}

/** Names by which the loader may find a file of the slot, links included. */
function namesOf({ input }: StagedSlot): string[] {
  if (input.content.kind !== "tree") return [basename(input.target)];
  const isLibrary = ({ type, path }: TreeEntry) => type !== "directory" && path.includes(".so");
  return input.content.entries.filter(isLibrary).map(({ path }) => basename(path));
}

/** Every file of a slot, as `slot:path`. */
function placesOf({ input: { id, content } }: StagedSlot): string[] {
  return content.kind === "tree" ? content.entries.map(({ path }) => `${id}:${path}`) : [];
}

/** `$ORIGIN/../lib/libpython3.11.so.1.0` is a place relative to the file that asks, as relocatable interpreters have it. */
function placeOf(path: string, library: string): string | undefined {
  if (!library.startsWith("$ORIGIN/")) return undefined;
  return posix.join(posix.dirname(path), library.slice("$ORIGIN/".length));
}

function isMusl(library: string): boolean {
  return /^(?:libc\.musl-[\w.-]+|libc\.so|ld-musl-[\w.-]+)$/.test(library);
}

function glibcMinor(files: Elf[]): number {
  const names = files.flatMap(({ versions }) => [...versions.values()].flat());
  return Math.max(0, ...names.map((name) => Number(/^GLIBC_2\.(\d+)/.exec(name)?.[1] ?? 0)));
}

function systemsWith(minor: number): string[] {
  return RELEASES.flatMap(([name, releases]) => {
    const first = releases.find(([has]) => has >= minor);
    return first === undefined ? [] : [`${name} ${first[1]}`];
  });
}
