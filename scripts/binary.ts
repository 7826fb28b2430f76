/** `dist/sealift` as the sources are now, for tests: compiled only when one of them is newer. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { build } from "./build.ts";
import { hostTarget } from "./targets.ts";

const ROOT = join(import.meta.dir, "..");
const SOURCES = [
  "main.ts",
  "lib",
  "package.json",
  "package-lock.json",
  "build/launchers",
  "scripts/build.ts",
  "test/conformance",
];

let fresh: Promise<string> | undefined;

/** Its absolute path. Throws when it cannot be compiled here. */
export function freshBinary(): Promise<string> {
  fresh ??= provide();
  return fresh;
}

async function provide(): Promise<string> {
  const host = hostTarget();
  if (host === undefined)
    throw new Error(`sealift is not compiled for ${process.platform} ${process.arch}`);
  const path = join(ROOT, "dist", process.platform === "win32" ? "sealift.exe" : "sealift");
  const made = existsSync(path) ? statSync(path).mtimeMs : 0;
  if (SOURCES.every((source) => newest(join(ROOT, source)) < made)) return path;
  await mkdir(join(ROOT, "dist"), { recursive: true });
  await build(host, path);
  return path;
}

function newest(path: string): number {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(info.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
