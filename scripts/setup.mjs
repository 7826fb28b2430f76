/**
 * Makes a checkout ready: npm packages as the lock file says, a Bun that starts, the launcher stubs built. Plain Node (18 or
 * later), because it runs before anything is installed. When nothing is to be done it takes a tenth of a second.
 *
 * Packages run no install scripts. The one that matters, moving Bun's executable into place, is done here.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const MODULES = join(ROOT, "node_modules");
const STAMP = join(MODULES, ".sealift-lock");
const BUN = join(MODULES, "bun", "bin", "bun.exe");

try {
  if (Number(process.versions.node.split(".")[0]) < 18) {
    fail(`Node ${process.versions.node} is too old`, "Install Node 18 or later.");
  }
  installPackages();
  placeBun();
  buildLaunchers();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}

function installPackages() {
  const digest = createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === digest) return;
  if (!isInstalled()) {
    console.error("setup: installing npm packages");
    const flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    // npm is a script on Windows, and a script needs the shell there.
    const result = spawnSync("npm", flags, {
      cwd: ROOT,
      stdio: ["ignore", 2, 2],
      shell: process.platform === "win32",
    });
    if (result.error?.code === "ENOENT")
      fail("npm is missing", "Install it; it usually comes with Node.");
    if (result.status !== 0) fail("`npm ci` failed", "Its messages stand above.");
  }
  writeFileSync(STAMP, digest);
}

/** Whether npm itself finished with the lock file as it is now (it writes this file last). */
function isInstalled() {
  const done = join(MODULES, ".package-lock.json");
  return (
    existsSync(done) && statSync(done).mtimeMs >= statSync(join(ROOT, "package-lock.json")).mtimeMs
  );
}

/** npm links `bun` to a placeholder that only explains that install scripts were off. */
function placeBun() {
  // The placeholder is a few hundred bytes, Bun 90 MB and more.
  if (existsSync(BUN) && statSync(BUN).size > 1_000_000) return;
  const base = platformBun();
  if (base === undefined) {
    fail(
      `npm installed no Bun for ${process.platform} ${process.arch}`,
      "Check that npm may install optional packages.",
    );
  }
  const temporary = `${BUN}.new`;
  try {
    linkSync(base, temporary);
  } catch {
    copyFileSync(base, temporary);
  }
  chmodSync(temporary, 0o755);
  renameSync(temporary, BUN);
}

/** The first installed `@oven/bun-*` whose executable starts here (glibc and musl may both be there). */
function platformBun() {
  const folder = join(MODULES, "@oven");
  if (!existsSync(folder)) return undefined;
  for (const name of readdirSync(folder).sort()) {
    for (const file of ["bun", "bun.exe"]) {
      const path = join(folder, name, "bin", file);
      if (!existsSync(path)) continue;
      chmodSync(path, 0o755);
      if (spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0) return path;
    }
  }
  return undefined;
}

/** Runs `scripts/launchers.ts` when a source is newer than what it wrote; it decides by digests what to build. */
function buildLaunchers() {
  const script = join(ROOT, "scripts", "launchers.ts");
  const product = join(ROOT, "build", "launchers", "embedded.ts");
  if (!existsSync(script)) return;
  const built = existsSync(product) ? statSync(product).mtimeMs : 0;
  const sources = [
    "launchers/rust",
    "launchers/go",
    "launchers/lock.json",
    "scripts/launchers.ts",
    "lib/launcher",
    "package.json",
  ];
  if (built > 0 && sources.every((path) => newest(join(ROOT, path)) <= built)) return;
  if (!starts("go", "version") && !starts("cargo", "--version")) {
    fail(
      "the launchers cannot be built: neither Go nor Rust (cargo) is installed",
      "Install both; one is enough to begin.",
    );
  }
  const result = spawnSync(BUN, [script], { cwd: ROOT, stdio: ["ignore", 2, 2] });
  if (result.status !== 0) fail("building the launchers failed", "The messages stand above.");
  if (!existsSync(product)) return;
  const now = new Date();
  utimesSync(product, now, now);
}

/** The latest modification time of a file, or of anything in a folder but compiled output. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return readdirSync(path)
    .filter((name) => name !== "target")
    .reduce((latest, name) => Math.max(latest, newest(join(path, name))), info.mtimeMs);
}

function starts(program, flag) {
  try {
    execFileSync(program, [flag], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** @returns {never} */
function fail(problem, hint) {
  throw new Error(`${problem}\n       ${hint}`);
}
