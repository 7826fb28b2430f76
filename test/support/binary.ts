/** The compiled `sealift` for tests: built once per process, and only when a source is newer. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { build } from "../../scripts/build.ts";
import { hostTarget } from "../../scripts/targets.ts";

const ROOT = join(import.meta.dir, "../..");
const SOURCES = [
  "main.ts",
  "lib",
  "package.json",
  "package-lock.json",
  "build/launchers",
  "scripts/build.ts",
];

let built: Promise<string> | undefined;

/** Its path. Throws when it cannot be compiled here. */
export function sealiftBinary(): Promise<string> {
  built ??= provide();
  return built;
}

async function provide(): Promise<string> {
  const host = hostTarget();
  if (host === undefined) throw new Error("sealift is not compiled for this system");
  const folder = join(ROOT, "build", "test");
  const path = join(folder, process.platform === "win32" ? "sealift.exe" : "sealift");
  const made = existsSync(path) ? statSync(path).mtimeMs : 0;
  if (SOURCES.every((source) => newest(join(ROOT, source)) < made)) return path;
  await mkdir(folder, { recursive: true });
  await build(host, path);
  return path;
}

function newest(path: string): number {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}
