/**
 * The Bun executables that programs are compiled into. That of the host is installed by npm, which checked it; the others
 * are fetched by npm and compared with the SHA-512 in the lock file here, on every build.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import { run } from "../lib/base/mod.ts";
import { hostTarget, type Target } from "./targets.ts";

const ROOT = join(import.meta.dir, "..");
const CACHE = join(ROOT, "build", "bases");

/** The path of the base executable of `target`; one that must be unpacked is put into `scratch`. */
export async function baseExecutable(target: Target, scratch: string): Promise<string> {
  if (target.name === hostTarget()?.name) {
    return installed(target) ?? (await fetched(target, scratch));
  }
  return await fetched(target, scratch);
}

/** npm's installer of Bun moves the executable from the platform's package into its own. */
function installed(target: Target): string | undefined {
  const places = [
    join(ROOT, "node_modules", target.base, target.executable),
    join(ROOT, "node_modules", "bun", "bin", "bun.exe"),
  ];
  return places.find((path) => existsSync(path));
}

async function fetched(target: Target, scratch: string): Promise<string> {
  const { version, integrity } = await locked(target.base);
  const archive = join(CACHE, `${target.base.replace("@oven/", "")}-${version}.tgz`);
  if (!existsSync(archive)) await download(`${target.base}@${version}`, archive);
  try {
    checkIntegrity(`${target.base}@${version}`, await readFile(archive), integrity);
  } catch (error) {
    await rm(archive);
    throw error;
  }
  // Unpacked anew each time: what is compiled in is what was compared.
  await must(["tar", "-xzf", archive, "-C", scratch, `package/${target.executable}`]);
  return join(scratch, "package", target.executable);
}

/** Throws when the bytes are not those that the lock file names. */
export function checkIntegrity(name: string, bytes: Uint8Array, integrity: string): void {
  const actual = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  if (actual === integrity) return;
  throw new Error(`${name}: the archive is ${actual}, package-lock.json says ${integrity}`);
}

async function download(specifier: string, archive: string): Promise<void> {
  const folder = `${archive}.part`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await must(["npm", "pack", specifier, "--silent", "--pack-destination", folder]);
  const [file] = await readdir(folder);
  if (file === undefined) throw new Error(`npm pack ${specifier} wrote nothing`);
  await rename(join(folder, file), archive);
  await rm(folder, { recursive: true });
}

/** Version and integrity of a package as they stand in the lock file. */
export async function locked(name: string): Promise<{ version: string; integrity: string }> {
  const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8"));
  const entry = lock.packages[`node_modules/${name}`];
  if (typeof entry?.version !== "string" || !String(entry.integrity).startsWith("sha512-")) {
    throw new Error(`package-lock.json has no version and sha512 of ${name}; run \`npm install\``);
  }
  return entry;
}

async function must(argv: string[]): Promise<void> {
  const result = await run(argv, { timeoutMs: 600_000 });
  if (result.code === 0) return;
  throw new Error(`${argv.join(" ")} failed:\n${new TextDecoder().decode(result.stderr)}`);
}
