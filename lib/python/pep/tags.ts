/**
 * Which wheels an interpreter can load, and which of them is best: PEP 425 tags in the order that `packaging.tags` gives them,
 * with PEP 600 (manylinux), PEP 656 (musllinux), macOS and Windows platform tags. Pure functions, no machine is asked.
 */
import { FormatError, quoted } from "../../base/mod.ts";
import { isProjectName, normaliseName } from "./names.ts";

export interface TagTarget {
  implementation: "cpython";
  /** Major and minor. */
  version: [number, number];
  /** `t` for free-threaded builds, else empty. */
  abiFlags: string;
  /** Platform tags, best first: `platformTags`. */
  platforms: string[];
}

export interface WheelName {
  name: string;
  version: string;
  build: [number, string] | undefined;
  /** Expanded: one `python-abi-platform` for each combination. */
  tags: string[];
}

const WHEEL =
  /^(?<name>[^-]+)-(?<version>[^-]+)(?:-(?<build>\d[^-]*))?-(?<py>[^-]+)-(?<abi>[^-]+)-(?<platform>[^-]+)\.whl$/;
const TAG_PART = /^[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*$/;

/** Reads a wheel's file name (PEP 427). `FormatError("WHEEL_NAME")`. */
export function parseWheelName(file: string): WheelName {
  const parts = WHEEL.exec(file)?.groups;
  const { name = "", version = "", build, py = "", abi = "", platform = "" } = parts ?? {};
  const sound =
    isProjectName(name) &&
    /^[A-Za-z0-9._+!]+$/.test(version) &&
    [py, abi, platform].every((part) => TAG_PART.test(part));
  if (parts === undefined || !sound) {
    throw new FormatError("WHEEL_NAME", `${quoted(file, 200)} is not the name of a wheel`, {
      hint: "Wheels are named name-version-python-abi-platform.whl.",
      details: { file: file.slice(0, 200) },
    });
  }
  const tags = py
    .split(".")
    .flatMap((p) =>
      abi.split(".").flatMap((a) => platform.split(".").map((l) => `${p}-${a}-${l}`)),
    );
  return {
    name: normaliseName(name),
    version: version.replaceAll("_", "-"),
    build: build === undefined ? undefined : splitBuild(build),
    tags: tags.map((tag) => tag.toLowerCase()),
  };
}

function splitBuild(build: string): [number, string] {
  const [, digits = "0", rest = ""] = /^(\d+)(.*)$/.exec(build) ?? [];
  return [Number(digits), rest];
}

/** Every tag that `target` accepts, best first. */
export function compatibleTags(target: TagTarget): string[] {
  const [major, minor] = target.version;
  const own = `cp${major}${minor}`;
  const tags: string[] = [];
  const push = (python: string, abi: string, platforms: string[]) => {
    for (const platform of platforms) tags.push(`${python}-${abi}-${platform}`);
  };
  const olderPythons = Array.from({ length: minor }, (_, i) => `py${major}${minor - 1 - i}`);
  const generic = [`py${major}${minor}`, `py${major}`, ...olderPythons];

  push(own, own + target.abiFlags, target.platforms);
  // The stable ABI does not exist for free-threaded builds, and not before 3.2.
  if (target.abiFlags === "") push(own, "abi3", target.platforms);
  push(own, "none", target.platforms);
  if (target.abiFlags === "") {
    for (let m = minor - 1; m >= 2; m--) push(`cp${major}${m}`, "abi3", target.platforms);
  }
  for (const python of generic) push(python, "none", target.platforms);
  push(own, "none", ["any"]);
  for (const python of generic) push(python, "none", ["any"]);
  return tags;
}

export type PlatformTagsOf =
  | { os: "linux"; machine: string; libc: "glibc" | "musl"; version: [number, number] }
  | { os: "darwin"; machine: string; version: [number, number] }
  | { os: "windows"; machine: string };

/** Platform tags of a system, best first. `version` is that of the C library, or of macOS. */
export function platformTags(system: PlatformTagsOf): string[] {
  if (system.os === "windows") {
    return [
      { x86_64: "win_amd64", aarch64: "win_arm64" }[system.machine] ?? `win_${system.machine}`,
    ];
  }
  if (system.os === "darwin") return macosTags(system.machine, system.version);
  const tags =
    system.libc === "musl"
      ? musllinuxTags(system.machine, system.version)
      : manylinuxTags(system.machine, system.version);
  return [...tags, `linux_${system.machine}`];
}

/** The names that glibc versions had before PEP 600. */
const LEGACY: Record<string, string> = {
  "2_17": "manylinux2014",
  "2_12": "manylinux2010",
  "2_5": "manylinux1",
};

function manylinuxTags(machine: string, [major, minor]: [number, number]): string[] {
  if (major !== 2) return [];
  const oldest = machine === "x86_64" || machine === "i686" ? 5 : 17;
  const tags: string[] = [];
  for (let m = minor; m >= oldest; m--) {
    tags.push(`manylinux_2_${m}_${machine}`);
    const legacy = LEGACY[`2_${m}`];
    if (legacy !== undefined) tags.push(`${legacy}_${machine}`);
  }
  return tags;
}

function musllinuxTags(machine: string, [major, minor]: [number, number]): string[] {
  return Array.from({ length: minor + 1 }, (_, i) => `musllinux_${major}_${minor - i}_${machine}`);
}

function macosTags(machine: string, [major, minor]: [number, number]): string[] {
  const arch = machine === "aarch64" ? "arm64" : machine;
  const formats =
    arch === "arm64"
      ? ["arm64", "universal2"]
      : ["x86_64", "intel", "fat64", "fat3", "universal2", "universal"];
  const tags: string[] = [];
  const push = (v: string, names: string[]) =>
    tags.push(...names.map((name) => `macosx_${v}_${name}`));
  for (let m = major; m >= 11; m--) push(`${m}_0`, formats);
  // Before 11, macOS was 10.x; arm64 wheels do not exist there, universal2 ones do.
  const top = major >= 11 ? 16 : minor;
  for (let m = top; m >= 4; m--) push(`10_${m}`, arch === "arm64" ? ["universal2"] : formats);
  return tags;
}

/** Rank of a wheel's best tag in `tags` (0 is best), or `undefined` when it does not fit. */
export function wheelRank(wheel: WheelName, tags: Map<string, number>): number | undefined {
  let best: number | undefined;
  for (const tag of wheel.tags) {
    const rank = tags.get(tag);
    if (rank !== undefined && (best === undefined || rank < best)) best = rank;
  }
  return best;
}

/** The best of `files` by tag, then by the higher build number, then by name; `undefined` when none fits. */
export function chooseWheel<T extends { file: string }>(
  files: T[],
  tags: Map<string, number>,
): T | undefined {
  const ranked = files.flatMap((item) => {
    const wheel = parseWheelName(item.file);
    const rank = wheelRank(wheel, tags);
    return rank === undefined ? [] : [{ item, rank, build: wheel.build ?? ([-1, ""] as const) }];
  });
  ranked.sort(
    (a, b) =>
      a.rank - b.rank ||
      b.build[0] - a.build[0] ||
      (a.build[1] < b.build[1] ? 1 : a.build[1] > b.build[1] ? -1 : 0) ||
      (a.item.file < b.item.file ? -1 : 1),
  );
  return ranked[0]?.item;
}

/** Tags as a table from tag to rank, for `chooseWheel`. */
export function rankTags(tags: string[]): Map<string, number> {
  const table = new Map<string, number>();
  for (const tag of tags) if (!table.has(tag)) table.set(tag, table.size);
  return table;
}
