/**
 * The stubs inside this program: Brotli-compressed files (RFC 7932) written by `scripts/launchers.ts`, each checked against the
 * digest in the embedded lock before it is used.
 */

import { brotliDecompressSync } from "node:zlib";

import { lock, stubs } from "../../build/launchers/embedded.ts";
import { EnvironmentError, InternalError } from "../base/mod.ts";
import { sha256Hex } from "../codec/mod.ts";
import type { Platform } from "./platform.ts";
import type { StubLanguage } from "./recipe.ts";

const MAX_STUB = 64 * 1024 * 1024;

export interface Launcher {
  bytes: Uint8Array;
  tool: "sealift-rust" | "sealift-go";
  toolVersion: string;
  platform: Platform;
  sha256: string;
}

export interface LauncherInfo {
  name: string;
  language: StubLanguage;
  platform: Platform;
  /** bytes, uncompressed */
  size: number;
  sha256: string;
  /** the compiler it was built with */
  toolchain: string;
  /** SHA-256 over the sources it was built from */
  source: string;
}

interface LockEntry {
  sha256: string;
  size: number;
  toolchain: string;
  source: string;
}

const entries = lock.stubs as Record<string, LockEntry>;

/** Version of the stubs: the one of sealift. */
export const launcherVersion: string = lock.version;

/** Every embedded stub, sorted by name. */
export function listLaunchers(): LauncherInfo[] {
  return Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) => {
      const [language, platform] = name.split("-") as [StubLanguage, Platform];
      return { name, language, platform, ...entry };
    });
}

/**
 * The stub for a platform. `auto` is the Rust stub where there is one, else the Go stub.
 * @throws EnvironmentError `LAUNCHER_MISSING`, InternalError `LAUNCHER_DIGEST`
 */
export async function embeddedLauncher(
  kind: StubLanguage | "auto",
  platform: Platform,
): Promise<Launcher> {
  const languages: StubLanguage[] = kind === "auto" ? ["rust", "go"] : [kind];
  const language = languages.find((candidate) => entries[`${candidate}-${platform}`]);
  if (!language) throw missing(kind, platform);
  const name = `${language}-${platform}`;
  const entry = entries[name] as LockEntry;
  const bytes = brotliDecompressSync(await Bun.file(stubs[name] as string).bytes(), {
    maxOutputLength: MAX_STUB,
  });
  const sha256 = sha256Hex(bytes);
  if (sha256 !== entry.sha256) {
    throw new InternalError(
      "LAUNCHER_DIGEST",
      `The embedded launcher ${name} does not match its locked SHA-256`,
      {
        hint: "This copy of sealift is damaged: install it again",
        details: { expected: entry.sha256, actual: sha256 },
      },
    );
  }
  return { bytes, tool: `sealift-${language}`, toolVersion: launcherVersion, platform, sha256 };
}

function missing(kind: string, platform: Platform): EnvironmentError {
  const have = listLaunchers()
    .filter((launcher) => kind === "auto" || launcher.language === kind)
    .map((launcher) => launcher.platform);
  return new EnvironmentError(
    "LAUNCHER_MISSING",
    `No ${kind === "auto" ? "" : `${kind} `}launcher for ${platform} is embedded`,
    {
      hint: have.length > 0 ? `Available: ${have.join(", ")}` : "Use --launcher-bin FILE",
    },
  );
}
