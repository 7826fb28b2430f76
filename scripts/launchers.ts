/**
 * Builds the launcher stubs and lays them out for embedding:
 * `build/launchers/<name>.br`, `build/launchers/lock.json`, `build/launchers/embedded.ts`.
 *
 * `launchers/lock.json` (committed) holds the digests of the stubs per toolchain. A build with a toolchain that is
 * recorded there and unchanged sources must give the recorded bytes; `--lock` records the present ones.
 *
 *   bun scripts/launchers.ts [--force] [--lock]
 */

import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

import {
  allTargets,
  buildStub,
  type BuiltStub,
  missingFor,
  sourceDigest,
  type StubLanguage,
  stubName,
  type StubTarget,
} from "../lib/launcher/recipe.ts";

const ROOT = join(import.meta.dir, "..");
const OUT = join(ROOT, "build", "launchers");
const LOCK = join(ROOT, "launchers", "lock.json");

interface LockEntry {
  sha256: string;
  size: number;
  toolchain: string;
  source: string;
}
interface Lock {
  schema: "sealift.launchers/1";
  version: string;
  stubs: Record<string, LockEntry[]>;
}
export interface EmbeddedLock {
  schema: "sealift.launchers/1";
  version: string;
  stubs: Record<string, LockEntry>;
}

if (import.meta.main) await main(process.argv.slice(2));

async function main(flags: string[]): Promise<void> {
  const version = (
    JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string }
  ).version;
  const sources: Record<StubLanguage, string> = {
    rust: await sourceDigest(ROOT, "rust"),
    go: await sourceDigest(ROOT, "go"),
  };
  const targets = await buildable();
  if (
    !flags.includes("--force") &&
    !flags.includes("--lock") &&
    (await isFresh(version, sources, targets))
  )
    return;
  await mkdir(OUT, { recursive: true });
  const built: BuiltStub[] = [];
  for (const target of targets) {
    console.error(`building the launcher ${stubName(target)}`);
    built.push(await buildStub(ROOT, target, join(OUT, "bin")));
  }
  const lock: EmbeddedLock = { schema: "sealift.launchers/1", version, stubs: {} };
  for (const stub of built) {
    const { sha256, size, toolchain } = stub;
    lock.stubs[stubName(stub)] = { sha256, size, toolchain, source: sources[stub.language] };
  }
  await Promise.all(built.map(compress));
  if (flags.includes("--lock")) await recordLock(lock);
  else await compareWithLock(lock);
  await writeFile(join(OUT, "embedded.ts"), embeddedModule(Object.keys(lock.stubs)));
  await writeFile(join(OUT, "lock.json"), `${JSON.stringify(lock, null, 2)}\n`);
  await rm(join(OUT, "bin"), { recursive: true });
}

async function buildable(): Promise<StubTarget[]> {
  const targets: StubTarget[] = [];
  for (const target of allTargets()) {
    const reason = await missingFor(target);
    if (reason === undefined) targets.push(target);
    else console.error(`leaving out the launcher ${stubName(target)}: ${reason}`);
  }
  return targets;
}

async function isFresh(
  version: string,
  sources: Record<StubLanguage, string>,
  targets: StubTarget[],
): Promise<boolean> {
  if (!existsSync(join(OUT, "lock.json")) || !existsSync(join(OUT, "embedded.ts"))) return false;
  const lock = JSON.parse(await readFile(join(OUT, "lock.json"), "utf8")) as EmbeddedLock;
  if (lock.version !== version) return false;
  return targets.every((target) => {
    const name = stubName(target);
    return (
      lock.stubs[name]?.source === sources[target.language] && existsSync(join(OUT, `${name}.br`))
    );
  });
}

/** Brotli, because the seven of them are half a megabyte smaller than with zstd. */
async function compress(stub: BuiltStub): Promise<void> {
  const bytes = await readFile(stub.path);
  const params = {
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const packed = await promisify(brotliCompress)(bytes, { params });
  await writeFile(join(OUT, `${stubName(stub)}.br`), packed);
}

async function readLock(version: string): Promise<Lock> {
  if (!existsSync(LOCK)) return { schema: "sealift.launchers/1", version, stubs: {} };
  return JSON.parse(await readFile(LOCK, "utf8")) as Lock;
}

async function recordLock(now: EmbeddedLock): Promise<void> {
  const lock = await readLock(now.version);
  lock.version = now.version;
  for (const [name, entry] of Object.entries(now.stubs)) {
    const others = (lock.stubs[name] ?? []).filter(
      (old) => old.source === entry.source && old.toolchain !== entry.toolchain,
    );
    lock.stubs[name] = [...others, entry];
  }
  await writeFile(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
}

async function compareWithLock(now: EmbeddedLock): Promise<void> {
  const lock = await readLock(now.version);
  for (const [name, entry] of Object.entries(now.stubs)) {
    const recorded = lock.stubs[name]?.find(
      (old) => old.toolchain === entry.toolchain && old.source === entry.source,
    );
    if (!recorded)
      console.error(`launchers/lock.json has no digest of ${name} for ${entry.toolchain}`);
    else if (recorded.sha256 !== entry.sha256) {
      throw new Error(
        `${name}: built ${entry.sha256}, launchers/lock.json says ${recorded.sha256} for the same source and toolchain;` +
          " if the build changed on purpose, run `npm run launchers -- --lock`",
      );
    }
  }
}

function embeddedModule(names: string[]): string {
  const sorted = names.toSorted();
  const imports = sorted.map(
    (name, i) => `import stub${i} from "./${name}.br" with { type: "file" };`,
  );
  const rows = sorted.map((name, i) => `  "${name}": stub${i},`);
  return [
    "// Written by scripts/launchers.ts.",
    ...imports,
    'import lock from "./lock.json";',
    "",
    "export const stubs: Record<string, string> = {",
    ...rows,
    "};",
    "export { lock };",
    "",
  ].join("\n");
}
