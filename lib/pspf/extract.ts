/**
 * Slots as files. The stored bytes are compared with their digest before the first file is written, and every name passes the
 * confinement of `base` and of the tar reader, so a hostile package leaves nothing behind and writes nowhere else.
 */
import type { Stats } from "node:fs";
import { lstat, mkdir } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";

import {
  AtomicFile,
  checkArchivePath,
  confine,
  EnvironmentError,
  FormatError,
  ioError,
  quoted,
} from "../base/mod.ts";
import { extractTar, sha256File } from "../codec/mod.ts";
import { decodedSlot, inSlot, isTar, tarRules } from "./decode.ts";
import type { Package, PackageSlot } from "./package.ts";
import { openSlot } from "./secret/open.ts";
import { digestHolds, slotAt, slotChanged } from "./stored.ts";

export interface ExtractOptions {
  /** Replace files that exist. */
  force?: boolean;
}

export interface Extracted {
  id: string;
  /** The file, or the folder that a tar slot went into. */
  path: string;
  files: number;
  /** Bytes of content. */
  bytes: number;
}

/**
 * One slot: the files of a tar slot into the folder `destination`, any other slot as the file `destination`; an existing folder
 * receives it as `<destination>/<id>`. Throws `CheckError("SEAL_SLOT")`, `FormatError`, `EnvironmentError("FILE_EXISTS" | "KEY_MISSING")`.
 */
export async function extractSlot(
  pkg: Package,
  i: number,
  destination: string,
  options: ExtractOptions = {},
): Promise<Extracted> {
  const slot = slotAt(pkg, i);
  await openSlot(pkg, slot);
  await checkStored(pkg, slot);
  if (isTar(slot)) return await extractTree(pkg, slot, destination, options);
  const path = (await isFolder(destination)) ? join(destination, fileName(slot)) : destination;
  return await extractFile(pkg, slot, path, options);
}

/** Every slot under `dir`, each where it belongs in a work environment, or as `<dir>/<id>` with `by: "id"`. */
export async function extractAll(
  pkg: Package,
  dir: string,
  options: ExtractOptions & { by?: "target" | "id" } = {},
): Promise<Extracted[]> {
  const done: Extracted[] = [];
  // A key that is missing or wrong is said before anything is written.
  for (const slot of pkg.slots) await openSlot(pkg, slot);
  for (const slot of pkg.slots) {
    const place = options.by === "id" ? placeById(slot, dir) : placeOf(pkg, slot, dir);
    await checkStored(pkg, slot);
    await refuseLinks(dir, isTar(slot) ? place : dirname(place));
    done.push(
      isTar(slot)
        ? await extractTree(pkg, slot, place, options)
        : await extractFile(pkg, slot, place, options),
    );
  }
  return done;
}

/** From `dir` down to `place` no symbolic link of an earlier slot, or of whoever was there before, is followed. */
async function refuseLinks(dir: string, place: string): Promise<void> {
  const parts = relative(dir, place)
    .split(sep)
    .filter((part) => part !== "");
  for (let i = 1; i <= parts.length; i++) {
    const path = join(dir, ...parts.slice(0, i));
    if (!(await isLink(path))) continue;
    throw new EnvironmentError("PATH_LINK", `${path}: is a symbolic link where a folder must be`, {
      hint: "Extract into an empty folder.",
      details: { path },
    });
  }
}

/**
 * Where a slot belongs under `dir`. Other writers mean the parent of a tar slot's target, because their archives
 * hold the last part of it (format.md section 9).
 */
export function placeOf(pkg: Package, slot: PackageSlot, dir: string): string {
  const target = slot.target === "" ? "" : checkArchivePath(slot.target);
  if (isTar(slot) && !pkg.sealed) return join(dir, dirname(target === "" ? "." : target));
  if (isTar(slot)) return join(dir, target);
  return join(dir, target === "" ? fileName(slot) : target);
}

/** `<dir>/<id>` */
export function placeById(slot: PackageSlot, dir: string): string {
  return confine(dir, fileName(slot));
}

/** The slot's id as the name of one file. Other writers put anything there. */
function fileName(slot: PackageSlot): string {
  const name = checkArchivePath(slot.id);
  if (name === slot.id && name !== "" && !name.includes("/")) return name;
  throw new FormatError("PATH_ESCAPE", `The slot id ${quoted(slot.id)} is no file name`, {
    hint: "Extract this slot alone and name the file.",
  });
}

async function checkStored(pkg: Package, slot: PackageSlot): Promise<void> {
  const { start, end } = slot.region;
  const hex = await sha256File(pkg.path, { offset: start, length: end - start });
  if (!digestHolds(slot, hex)) throw slotChanged(pkg, slot);
}

async function extractTree(
  pkg: Package,
  slot: PackageSlot,
  dir: string,
  options: ExtractOptions,
): Promise<Extracted> {
  try {
    const how = { ...tarRules(slot), force: options.force === true };
    const counts = await extractTar(decodedSlot(pkg, slot.index), dir, how);
    return { id: slot.id, path: dir, ...counts };
  } catch (error) {
    throw inSlot(pkg, slot, error);
  }
}

async function extractFile(
  pkg: Package,
  slot: PackageSlot,
  path: string,
  options: ExtractOptions,
): Promise<Extracted> {
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw ioError(error, dirname(path));
  }
  const force = options.force === true;
  await using file = await AtomicFile.create(path, { mode: slot.permissions, force });
  for await (const piece of decodedSlot(pkg, slot.index)) await file.write(piece);
  const bytes = file.position;
  await file.commit();
  return { id: slot.id, path, files: 1, bytes };
}

async function isFolder(path: string): Promise<boolean> {
  return (await infoOf(path))?.isDirectory() === true;
}

async function isLink(path: string): Promise<boolean> {
  return (await infoOf(path))?.isSymbolicLink() === true;
}

async function infoOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw ioError(error, path);
  }
}
