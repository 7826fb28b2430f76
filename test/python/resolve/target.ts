import type { LockTarget } from "../../../lib/python/lock/locked.ts";
/** Targets to read locks for. */
import { markerEnvironment } from "../../../lib/python/pep/marker.ts";
import { compatibleTags, platformTags, rankTags } from "../../../lib/python/pep/tags.ts";

/** CPython 3.`minor`.1 on x86-64. */
export function targetOf(minor: number, platform: "linux" | "win32" = "linux"): LockTarget {
  const version = `3.${minor}.1`;
  const system =
    platform === "win32"
      ? { os: "windows" as const, machine: "x86_64" }
      : {
          os: "linux" as const,
          machine: "x86_64",
          libc: "glibc" as const,
          version: [2, 28] as [number, number],
        };
  const machine = platform === "win32" ? "AMD64" : "x86_64";
  return {
    markers: markerEnvironment({ version, minor: [3, minor], platform, machine }),
    pythonVersion: version,
    tags: rankTags(
      compatibleTags({
        implementation: "cpython",
        version: [3, minor],
        abiFlags: "",
        platforms: platformTags(system),
      }),
    ),
  };
}
