/** The systems a stub can be for, in the words of the format: os and arch as Go names them. */

import { UsageError } from "../base/mod.ts";

export const PLATFORMS = [
  "linux_amd64",
  "linux_arm64",
  "darwin_amd64",
  "darwin_arm64",
  "windows_amd64",
  "windows_arm64",
] as const;
export type Platform = (typeof PLATFORMS)[number];

const OS_NAMES: Record<string, string> = { linux: "linux", darwin: "darwin", win32: "windows" };
const ARCH_NAMES: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/** The platform this process runs on. */
export function hostPlatform(): Platform {
  return parsePlatform(`${OS_NAMES[process.platform]}_${ARCH_NAMES[process.arch]}`);
}

/** Reads `linux_amd64`; also accepts `-` or `/` between the parts and the names x86_64, x64, aarch64, macos. */
export function parsePlatform(text: string): Platform {
  const canonical = text
    .trim()
    .toLowerCase()
    .replace(/^(macos|macosx)/, "darwin")
    .replace(/^win(32)?([_\-/])/, "windows$2")
    .replace(/(x86_64|x64)$/, "amd64")
    .replace(/aarch64$/, "arm64")
    .replace(/^([a-z]+)[-/]/, "$1_");
  const found = PLATFORMS.find((platform) => platform === canonical);
  if (found) return found;
  throw new UsageError("PLATFORM_UNKNOWN", `Unknown platform "${text}"`, {
    hint: `Platforms: ${PLATFORMS.join(", ")}`,
  });
}
