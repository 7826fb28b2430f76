/**
 * Compiles `sealift` into one executable file per system.
 *
 *   bun scripts/build.ts          the host's, twice, compared → dist/sealift
 *   bun scripts/build.ts --once   the host's, once
 *   bun scripts/build.ts --all    every target as well → dist/sealift-<os>-<arch>
 *
 * Sources are copied to an empty folder and compiled there as `./main.ts`, because Bun writes relative paths into the
 * file, reads settings from the current folder, and would take a base executable that lies there.
 */
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { EXEC_ARGV } from "../lib/cli/mod.ts";
import { sha256File } from "../lib/codec/mod.ts";
import manifest from "../package.json";
import { baseExecutable } from "./base.ts";
import { executableFormat, hostTarget, outputName, type Target, TARGETS } from "./targets.ts";

const ROOT = join(import.meta.dir, "..");
const DIST = join(ROOT, "dist");
/** The host binary may not grow beyond this: 125 MB. */
const MAX_BYTES = 125_000_000;

if (import.meta.main) await main(process.argv.slice(2));

async function main(flags: string[]): Promise<void> {
  const unknown = flags.find((flag) => flag !== "--all" && flag !== "--once");
  if (unknown !== undefined) throw new Error(`There is no option ${unknown}; use --all or --once`);
  await mkdir(DIST, { recursive: true });
  const host = hostTarget();
  if (host !== undefined) await buildHost(host, !flags.includes("--once"));
  else if (!flags.includes("--all")) {
    throw new Error(`sealift is not compiled for ${process.platform} ${process.arch}; use --all`);
  }
  if (!flags.includes("--all")) return;
  for (const target of TARGETS) {
    const path = join(DIST, outputName(target));
    await announce(path, await build(target, path));
  }
}

async function buildHost(host: Target, twice: boolean): Promise<void> {
  const path = join(DIST, host.name.startsWith("windows") ? "sealift.exe" : "sealift");
  const digest = await build(host, path);
  await smokeTest(path);
  const { size } = await stat(path);
  if (size > MAX_BYTES) throw new Error(`${size} bytes is over the budget of ${MAX_BYTES}`);
  await announce(path, digest);
  if (!twice) return;
  const second = `${path}.second`;
  try {
    if ((await build(host, second)) !== digest) {
      throw new Error(`Two builds of ${host.name} differ: the build is not reproducible`);
    }
    console.log("Built a second time: the same bytes");
  } finally {
    await rm(second, { force: true });
  }
}

/** Compiles one target and returns the SHA-256 of the file. */
export async function build(target: Target, output: string): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), "sealift-build-"));
  const stage = join(scratch, "source");
  try {
    await stageSources(stage);
    const base = await baseExecutable(target, scratch);
    const entries = ["./main.ts", ...(await workers(stage))];
    const file = target.name.startsWith("windows") ? "sealift.exe" : "sealift";
    await compile(stage, entries, target, base, file);
    await checkFile(join(stage, file), target);
    await install(join(stage, file), output);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return await sha256File(output);
}

async function announce(path: string, digest: string): Promise<void> {
  const megabytes = ((await stat(path)).size / 1e6).toFixed(1);
  console.log(`${digest}  ${megabytes} MB  ${path.slice(ROOT.length + 1)}`);
}

/** Only what the program is made of, so that no setting or stray file of the checkout takes part. */
async function stageSources(stage: string): Promise<void> {
  for (const folder of ["build", "test"]) await mkdir(join(stage, folder), { recursive: true });
  for (const name of [
    "main.ts",
    "lib",
    "package.json",
    "tsconfig.json",
    join("build", "launchers"),
    join("test", "conformance"),
  ]) {
    await cp(join(ROOT, name), join(stage, name), { recursive: true });
  }
  const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8"));
  for (const [path, entry] of Object.entries<{ dev?: boolean; optional?: boolean }>(
    lock.packages,
  )) {
    const types = /^node_modules\/(?:@types|bun-types|undici-types)/.test(path);
    if (path === "" || (entry.dev && !types) || entry.optional) continue;
    await cp(join(ROOT, path), join(stage, path), { recursive: true });
  }
}

/** Worker threads are programs of their own: each is one more entry point. */
async function workers(stage: string): Promise<string[]> {
  const found: string[] = [];
  for await (const path of new Bun.Glob("lib/**/_*-worker.ts").scan(stage)) found.push(`./${path}`);
  return found.sort();
}

async function compile(
  stage: string,
  entries: string[],
  target: Target,
  base: string,
  file: string,
): Promise<void> {
  const argv = [
    process.execPath,
    "build",
    ...entries,
    "--compile",
    `--target=${target.base.replace("@oven/", "").replace("aarch64", "arm64")}`,
    "--outfile",
    `./${file}`,
    "--compile-executable-path",
    base,
    "--format=esm",
    "--splitting",
    "--bytecode",
    "--minify-syntax",
    "--minify-whitespace",
    "--define",
    'process.env.NODE_ENV="production"',
    "--define",
    `VERSION=${JSON.stringify(manifest.version)}`,
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-dotenv",
    `--compile-exec-argv=${EXEC_ARGV.join(" ")}`,
    "--reject-unresolved",
    "--check",
  ];
  const child = Bun.spawn(argv, {
    cwd: stage,
    stdout: "pipe",
    stderr: "pipe",
    env: buildEnvironment(),
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`Compiling for ${target.name} failed:\n${out}${err}`);
}

/** Nothing that changes what Bun does gets through. */
function buildEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:BUN_|NODE_|npm_)/.test(name)),
  );
}

async function checkFile(path: string, target: Target): Promise<void> {
  const file = await open(path);
  const header = new Uint8Array(4096);
  await file.read(header, 0, header.length, 0);
  await file.close();
  const format = executableFormat(header);
  if (format !== target.format)
    throw new Error(`${target.name}: the file is ${format ?? "no executable"}`);
  const musl = Buffer.from(header).includes("/ld-musl-");
  if (format.startsWith("elf") && musl !== target.name.endsWith("-musl")) {
    throw new Error(`${target.name}: the file is for the other C library`);
  }
}

/** A rename, so that a running old binary is not written into. */
async function install(from: string, to: string): Promise<void> {
  const temporary = `${to}.part`;
  await copyFile(from, temporary);
  await chmod(temporary, 0o755);
  await rename(temporary, to);
}

async function smokeTest(path: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sealift-smoke-"));
  try {
    await writeFile(join(folder, "bunfig.toml"), 'preload = ["./no-such-file.ts"]\n');
    const child = Bun.spawn([path, "--version"], {
      cwd: folder,
      stdout: "pipe",
      stderr: "inherit",
    });
    const text = await new Response(child.stdout).text();
    if ((await child.exited) === 0 && text === `sealift ${manifest.version}\n`) return;
    throw new Error(`${path} --version answered ${JSON.stringify(text)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
