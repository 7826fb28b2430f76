/** The Python distributions in the slots of a package, found by their `.dist-info` folders, with the files that are theirs. */
import { posix } from "node:path";

import { FormatError } from "../../base/mod.ts";
import type { Package } from "../../pspf/mod.ts";
import { type Distribution, parseRecord, readDistribution } from "../../python/mod.ts";
import type { ContentFile, SlotContents } from "./contents.ts";

export interface PackedDistribution {
  distribution: Distribution;
  slot: SlotContents["slot"];
  /** Folder that holds the `.dist-info` folder, relative to the slot; `""` is its root. */
  root: string;
  /** `3.12` and such, from the folder's name or the bytecode in it. */
  python?: string;
  /** A copy inside this distribution, which is neither installed nor required. */
  vendoredBy?: string;
  files: ContentFile[];
}

const INFO = /^(?:(.*)\/)?([^/]+\.dist-info)\/(METADATA|RECORD|entry_points\.txt)$/s;

/** Whether `path` is one of the texts that `findDistributions` needs. */
export function isDistributionText(path: string): boolean {
  return INFO.test(path);
}

/** Every distribution of `contents`, read with the texts of `isDistributionText`, sorted by name. */
export function findDistributions(pkg: Package, contents: SlotContents[]): PackedDistribution[] {
  const found = contents.flatMap((slot) => inSlot(pkg, slot));
  return found.sort(
    (a, b) =>
      compare(a.distribution.key, b.distribution.key) ||
      compare(a.distribution.version, b.distribution.version),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function inSlot(pkg: Package, contents: SlotContents): PackedDistribution[] {
  const owners = new Map<string, PackedDistribution>();
  const found: PackedDistribution[] = [];
  const pythons = pythonsByRoot(contents);
  for (const { path, root, folder } of metadataFiles(contents)) {
    const where = `${pkg.path}: slot ${contents.slot.id}: ${folder}`;
    const { texts, slot } = contents;
    const entryPoints = texts.get(`${folder}/entry_points.txt`);
    const python = pythons.get(root);
    const holder = owners.get(path);
    const one: PackedDistribution = {
      distribution: readDistribution(texts.get(path) ?? "", where, entryPoints),
      slot,
      root,
      ...(python !== undefined && { python }),
      ...(holder !== undefined && { vendoredBy: holder.distribution.name }),
      files: [],
    };
    found.push(one);
    if (holder !== undefined) continue;
    for (const owned of ownedPaths(contents, root, folder, where)) owners.set(owned, one);
  }
  for (const file of contents.files) ownerOf(file.path, owners)?.files.push(file);
  return found;
}

/** The outer folders first, so that what lists a copy in its RECORD is known before the copy. */
function metadataFiles({ texts }: SlotContents): { path: string; root: string; folder: string }[] {
  const files = [...texts.keys()].flatMap((path) => {
    const [, root = "", info = "", file] = INFO.exec(path) ?? [];
    return file === "METADATA" ? [{ path, root, folder: posix.join(root, info) }] : [];
  });
  return files.sort((a, b) => a.root.length - b.root.length || compare(a.path, b.path));
}

/** What RECORD lists (PEP 376), relative to the slot. Other tools may have left one that is not sound, which hides sizes only. */
function ownedPaths(contents: SlotContents, root: string, folder: string, where: string): string[] {
  const record = contents.texts.get(`${folder}/RECORD`);
  if (record === undefined) return [`${folder}/`];
  try {
    const paths = [...parseRecord(record, where).keys()].map((path) => posix.join(root, path));
    return [`${folder}/`, ...paths];
  } catch (error) {
    if (error instanceof FormatError) return [`${folder}/`];
    throw error;
  }
}

/** By its own name, as bytecode of a source, or as part of the `.dist-info` folder. */
function ownerOf(
  path: string,
  owners: Map<string, PackedDistribution>,
): PackedDistribution | undefined {
  const known = owners.get(path) ?? owners.get(sourceOf(path));
  if (known !== undefined) return known;
  const info = /^(.*?\.dist-info\/)/s.exec(path)?.[1];
  return info === undefined ? undefined : owners.get(info);
}

/** `a/__pycache__/b.cpython-312.opt-1.pyc` comes from `a/b.py` (PEP 3147). */
function sourceOf(path: string): string {
  return path.replace(/(^|\/)__pycache__\/([^/]+?)\.[^./]+(?:\.opt-[12])?\.pyc$/, "$1$2.py");
}

/** Site folder → version of its Python. */
function pythonsByRoot({ files, texts }: SlotContents): Map<string, string> {
  const roots = [...new Set([...texts.keys()].map((path) => INFO.exec(path)?.[1] ?? ""))];
  roots.sort((a, b) => b.length - a.length);
  const pythons = new Map<string, string>();
  for (const root of roots) {
    const named = /(?:^|\/)python(\d+\.\d+)[a-z]?\/(?:site|dist)-packages$/.exec(root)?.[1];
    if (named !== undefined) pythons.set(root, named);
  }
  for (const { path } of files) {
    const [, major, minor] =
      /\/__pycache__\/[^/]+\.cpython-(\d)(\d+)[^/]*\.pyc$/.exec(`/${path}`) ?? [];
    if (major === undefined) continue;
    const root = roots.find((one) => one === "" || path.startsWith(`${one}/`));
    if (root !== undefined && !pythons.has(root)) pythons.set(root, `${major}.${minor}`);
    if (pythons.size === roots.length) break;
  }
  return pythons;
}
