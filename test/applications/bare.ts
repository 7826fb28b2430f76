/**
 * Applications as their users have them: an example project packed by the finished program, started through its launcher in a root that
 * holds the C library and nothing else, without network. Downloads are kept between runs; each test's work environments are not.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { bareRoot } from "../../scripts/bare-root.ts";
import { freshBinary } from "../../scripts/binary.ts";
import { needPackages } from "../support/debian.ts";

const ROOT = join(import.meta.dir, "..", "..");
const EXAMPLES = join(ROOT, "docs", "examples");
/** Wheels, runtimes and resolutions: kept, so that only the first run downloads. */
const CACHE = join(ROOT, "build", "test", "python-cache");
const NETWORK = 5;

export interface Packed {
  file: string;
  /** Writable folder that the package sees as `/work`. */
  work: string;
  /** Launcher's base folder, `/cache` inside. */
  cache: string;
}

export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

const folders: string[] = [];

/** Packs an example with the given words; why not, when this machine cannot (no index, no bubblewrap). */
export async function packExample(name: string, words: string[] = []): Promise<Packed | string> {
  if (process.platform !== "linux") return "the bare root is for Linux";
  const tools = await needPackages(["bubblewrap"]);
  if (tools !== true) return tools;
  const folder = mkdtempSync(join(tmpdir(), `application-${name}-`));
  folders.push(folder);
  const place = {
    file: join(folder, `${name}.psp`),
    work: join(folder, "work"),
    cache: join(folder, "cache"),
  };
  for (const path of [place.work, place.cache]) mkdirSync(path, { mode: 0o700 });
  const project = words.some((word) => word === "-m") ? [] : [join(EXAMPLES, name)];
  const argv = [
    await freshBinary(),
    "pack",
    ...project,
    "-o",
    place.file,
    "--key-seed",
    "applications",
    ...words,
  ];
  const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: undefined, SEALIFT_CACHE: CACHE };
  const done = await run([...argv, "-q"], { cwd: join(EXAMPLES, name), env, timeoutMs: 900_000 });
  const stderr = new TextDecoder().decode(done.stderr);
  if (done.code === NETWORK) return `the package index cannot be reached: ${stderr.split("\n")[0]}`;
  if (done.code !== 0) throw new Error(`packing ${name}: exit ${done.code}\n${stderr}`);
  return place;
}

/** The command line that starts the package in the bare root. */
export function bareCommand(
  of: Packed,
  words: string[],
  env: Record<string, string> = {},
): string[] {
  const settings = Object.entries({ SEALIFT_CACHE: "/cache", ...env }).flatMap(([name, value]) => [
    "--setenv",
    name,
    value,
  ]);
  const binds = ["--bind", of.work, "/work", "--bind", of.cache, "/cache"];
  return [
    "bwrap",
    ...bareRoot({ [of.file]: "/app.psp" }, "/work"),
    ...binds,
    ...settings,
    "--",
    "/app.psp",
    ...words,
  ];
}

/** Starts the package in the bare root and waits for its end. */
export async function inBareRoot(
  of: Packed,
  words: string[],
  options: { env?: Record<string, string>; input?: string } = {},
): Promise<Run> {
  const { input } = options;
  const done = await run(bareCommand(of, words, options.env), {
    timeoutMs: 300_000,
    ...(input !== undefined && { input }),
  });
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: done.code, stdout: text(done.stdout), stderr: text(done.stderr) };
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}
