/**
 * The main job on a real example: packs HTTPie from the package index into one signed file, verifies it, and runs it in a root
 * that holds the C library and nothing else: no Python, no Node, no network.
 */

import { existsSync } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { findProgram } from "../lib/base/mod.ts";
import { bareRoot } from "./bare-root.ts";

const ROOT = join(import.meta.dir, "..");
const WORK = join(ROOT, "build", "quickstart");
const SEALIFT = join(ROOT, "dist", "sealift");
const PACKAGE = join(WORK, "http.psp");

await step("Build the sealift binary", [process.execPath, "scripts/build.ts"]);
await rm(WORK, { recursive: true, force: true });
await mkdir(WORK, { recursive: true });
await step("Make a key pair", [SEALIFT, "keygen", "--out-dir", WORK, "--name", "publisher"]);
await step("Pack HTTPie with its Python", [
  SEALIFT,
  "pack",
  "docs/examples/httpie",
  "--key",
  join(WORK, "publisher.key"),
  "-o",
  PACKAGE,
]);
await step("Verify the package", [
  SEALIFT,
  "verify",
  PACKAGE,
  "--key",
  join(WORK, "publisher.pub"),
]);
await runBare();
console.log(
  `\nDone: ${PACKAGE} (${((await stat(PACKAGE)).size / 1e6).toFixed(1)} MB) runs where nothing is installed.`,
);

/** Runs the package where only the C library is; without bubblewrap on the host itself, and says so. */
async function runBare(): Promise<void> {
  const request = [
    "--offline",
    "--ignore-stdin",
    "POST",
    "https://example.org/launch",
    "ship=sealift",
  ];
  const bwrap = await bubblewrap();
  if (bwrap === undefined) {
    console.log(
      "bubblewrap is missing and cannot be installed here: running on this system instead",
    );
    await step("Run it", [PACKAGE, "--version"]);
    await step("Run it again, warm", [PACKAGE, ...request]);
    return;
  }
  const cache = join(WORK, "cache");
  await mkdir(cache, { mode: 0o700 });
  const root = [
    bwrap,
    ...bareRoot({ [PACKAGE]: "/http.psp" }),
    "--bind",
    cache,
    "/cache",
    "--setenv",
    "SEALIFT_CACHE",
    "/cache",
    "--",
    "/http.psp",
  ];
  await step("Run it in a root with the C library and nothing else", [...root, "--version"]);
  await step("Run it again, warm", [...root, ...request]);
}

async function bubblewrap(): Promise<string | undefined> {
  const found = findProgram("bwrap");
  if (found !== undefined || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get"))
    return found;
  await step("Install bubblewrap", [
    "sh",
    "-c",
    "apt-get update -qq && apt-get install -y -qq bubblewrap >/dev/null",
  ]);
  return findProgram("bwrap");
}

async function step(title: string, command: string[]): Promise<void> {
  const shown =
    command.length > 12
      ? `${command[0]} … ${command.slice(command.indexOf("--") + 1).join(" ")}`
      : command.join(" ");
  console.log(`\n── ${title}\n   $ ${shown.replaceAll(`${ROOT}/`, "")}`);
  const start = performance.now();
  const child = Bun.spawn(command, {
    cwd: ROOT,
    env: { ...process.env, XDG_CONFIG_HOME: join(WORK, "config") }, // the tour is the same whatever this machine trusts
    stdio: ["ignore", "inherit", "inherit"],
  });
  const code = await child.exited;
  if (code !== 0) {
    console.error(`\nquickstart: "${title}" failed with exit code ${code}`);
    process.exit(code);
  }
  console.log(`   ${((performance.now() - start) / 1000).toFixed(2)} s`);
}
