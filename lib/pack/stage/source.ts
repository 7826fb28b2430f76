/**
 * What a slot's `source` names on disk: one file, a folder, or what a glob matches.
 * A glob with one match is that file; several matches are a tree with paths below the part of the glob before its first wildcard.
 */
import { realpathSync, statSync } from "node:fs";
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path";

import { EnvironmentError, FormatError, ioError } from "../../base/mod.ts";
import { scanTree, type TreeEntry } from "../../codec/mod.ts";
import type { SlotSpec } from "../manifest/project.ts";

export type Source =
  | { kind: "file"; path: string; name: string; size: number; executable: boolean }
  | { kind: "tree"; entries: TreeEntry[] };

/** @throws EnvironmentError `SOURCE_MISSING`; FormatError `SOURCE_TYPE`, `SOURCE_FILTER` */
export async function findSource(spec: SlotSpec): Promise<Source> {
  try {
    return await find(spec);
  } catch (error) {
    throw ioError(error);
  }
}

async function find(spec: SlotSpec): Promise<Source> {
  const path = resolve(spec.base, spec.source);
  const info = statSync(path, { throwIfNoEntry: false });
  const found =
    info === undefined && isGlob(spec.source) ? await fromGlob(spec) : fromPath(spec, path);
  const source = await found;
  if (source.kind === "file" && (spec.include || spec.exclude)) {
    throw new FormatError(
      "SOURCE_FILTER",
      `Slot ${spec.id}: include and exclude need a folder, and ${spec.source} is a file`,
      {
        hint: "Remove them, or name the folder.",
      },
    );
  }
  return source;
}

/** The source as the package may say it: below the project's folder, or its last part; no path of this machine. */
export function recordedSource(spec: SlotSpec, root: string): string {
  const path = relative(root, resolve(spec.base, spec.source)).replaceAll(sep, "/");
  const outside = path.startsWith("../") || path === ".." || isAbsolute(path);
  const name = outside || path === "" ? basename(spec.source) || "." : path;
  return spec.source.endsWith("/") && !name.endsWith("/") ? `${name}/` : name;
}

function isGlob(text: string): boolean {
  return /[*?[\]{}]/.test(text);
}

async function fromPath(spec: SlotSpec, path: string): Promise<Source> {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined) throw missing(spec, "does not exist");
  if (info.isDirectory()) return { kind: "tree", entries: await scan(spec, path) };
  if (spec.source.endsWith("/"))
    throw missing(spec, "is a file, and the `/` at its end says folder");
  return fileSource(spec, path);
}

async function scan(spec: SlotSpec, folder: string): Promise<TreeEntry[]> {
  try {
    // Through its real path, so that a source of an entry names the file itself.
    return await scanTree(realpathSync(folder), {
      ...(spec.include && { include: spec.include }),
      ...(spec.exclude && { exclude: spec.exclude }),
    });
  } catch (error) {
    throw ioError(error, folder);
  }
}

function fileSource(spec: SlotSpec, path: string): Source {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined) throw missing(spec, "is a symbolic link to nothing");
  if (!info.isFile()) {
    throw new FormatError(
      "SOURCE_TYPE",
      `Slot ${spec.id}: ${path} is neither a file nor a folder`,
      {
        hint: "Devices, sockets and pipes cannot be packed.",
      },
    );
  }
  return {
    kind: "file",
    path: realpathSync(path),
    name: basename(path),
    size: info.size,
    executable: (info.mode & 0o111) !== 0,
  };
}

async function fromGlob(spec: SlotSpec): Promise<Source> {
  const { folder, pattern } = splitGlob(spec.base, spec.source);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw missing(spec, "matches nothing");
  }
  const entries = await scan({ ...spec, include: [pattern] }, folder);
  if (entries.length === 0) throw missing(spec, "matches nothing");
  const files = entries.filter((entry) => entry.type !== "directory");
  const [only] = files;
  const isNamed = only !== undefined && new Bun.Glob(pattern).match(only.path);
  return files.length === 1 && isNamed
    ? fileSource(spec, join(folder, only.path))
    : { kind: "tree", entries };
}

/** `assets/**` → the folder `assets` and the pattern `**`. */
function splitGlob(base: string, source: string): { folder: string; pattern: string } {
  const parts = source.replaceAll("\\", "/").split("/");
  const first = parts.findIndex(isGlob);
  const fixed = parts.slice(0, first).join("/");
  const folder = source.startsWith("/") ? resolve("/", fixed) : resolve(base, fixed);
  return {
    folder,
    pattern: parts
      .slice(first)
      .filter((part) => part !== "")
      .join("/"),
  };
}

function missing(spec: SlotSpec, problem: string): EnvironmentError {
  return new EnvironmentError(
    "SOURCE_MISSING",
    `Slot ${spec.id}: the source ${spec.source} ${problem}`,
    {
      hint: "Sources are relative to the manifest; build what is to be packed first.",
      details: { slot: spec.id, source: spec.source },
    },
  );
}
