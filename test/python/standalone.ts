/**
 * Real interpreters for other systems: builds of python-build-standalone, which a Go module carries file by file. They are fetched through
 * the Go module proxy and packed again into archives of their usual layout, below `build/test`.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import { findProgram, run } from "../../lib/base/mod.ts";
import { arrangeTree, compressStream, tarStream, type TreeEntry } from "../../lib/codec/mod.ts";

const MODULE = "github.com/kluctl/go-embed-python";
const BUILDS = { "3.11.11": "20241219", "3.14.6": "20260610" };
const PLACE = join(import.meta.dir, "..", "..", "build", "test", "standalone");
const DIRECTORY = 2 ** 31;

export type StandaloneVersion = keyof typeof BUILDS;

/** Platforms that the module has. */
export const STANDALONE = [
  "linux_amd64",
  "linux_arm64",
  "darwin_amd64",
  "darwin_arm64",
  "windows_amd64",
] as const;
export type StandalonePlatform = (typeof STANDALONE)[number];

/** Path of an archive `python/…`, or why there is none. */
export async function standaloneArchive(
  platform: StandalonePlatform,
  version: StandaloneVersion = "3.11.11",
): Promise<string> {
  const path = join(PLACE, `cpython-${version}-${platform}.tar.gz`);
  if (existsSync(path)) return path;
  const entries = arrangeTree(
    (await standaloneFiles(platform, version)).map((entry) => ({
      ...entry,
      path: `python/${entry.path}`,
    })),
  );
  const packed = compressStream("gzip", 1)(tarStream(entries, { mtime: 0 }));
  mkdirSync(PLACE, { recursive: true });
  await Bun.write(`${path}.${process.pid}`, Buffer.concat(await Array.fromAsync(packed)));
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

/** `true` when the archives can be made here, else why not. */
export async function needStandalone(
  version: StandaloneVersion = "3.11.11",
): Promise<true | string> {
  if (STANDALONE.every((p) => existsSync(join(PLACE, `cpython-${version}-${p}.tar.gz`))))
    return true;
  if (findProgram("go") === undefined) return "Go is not installed";
  return (await moduleFolder(version)) === undefined
    ? "the Go module proxy has no interpreters"
    : true;
}

interface Listed {
  name: string;
  size: number;
  perm: number;
  compressed?: boolean;
  symlink?: string;
}

/** The files of an interpreter, relative to its prefix. */
async function standaloneFiles(
  platform: StandalonePlatform,
  version: StandaloneVersion,
): Promise<TreeEntry[]> {
  const root = await moduleFolder(version);
  if (root === undefined) throw new Error("the Go module proxy has no interpreters");
  const data = join(root, "python", "internal", "data", platform.replace("_", "-"));
  const { files } = JSON.parse(readFileSync(join(data, "files.json"), "utf8")) as {
    files: Listed[];
  };
  return files
    .filter((file) => file.perm < DIRECTORY)
    .map(({ name, perm, compressed, symlink }): TreeEntry => {
      if (symlink !== undefined)
        return { path: name, type: "symlink", mode: 0o777, size: 0, link: symlink };
      const stored = readFileSync(join(data, compressed ? `${name}.gz` : name));
      const bytes = compressed ? gunzipSync(stored) : stored;
      return {
        path: name,
        type: "file",
        mode: perm & 0o100 ? 0o755 : 0o644,
        size: bytes.length,
        source: { bytes },
      };
    });
}

const folders = new Map<StandaloneVersion, Promise<string | undefined>>();

function moduleFolder(version: StandaloneVersion): Promise<string | undefined> {
  const known = folders.get(version) ?? download(version);
  folders.set(version, known);
  return known;
}

async function download(version: StandaloneVersion): Promise<string | undefined> {
  const wanted = `${MODULE}@v0.0.0-${version}-${BUILDS[version]}-1`;
  const { code, stdout } = await run(["go", "mod", "download", "-json", wanted], {
    env: process.env,
    timeoutMs: 300_000,
  });
  if (code !== 0) return undefined;
  return (JSON.parse(new TextDecoder().decode(stdout)) as { Dir?: string }).Dir;
}
