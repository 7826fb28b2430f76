/**
 * Whether the files of a work environment hold what the package holds: the slots are decoded again and compared byte for
 * byte. Sizes and times can be forged by whoever can write to the environment; this cannot.
 */
import { constants, type FileHandle, open } from "node:fs/promises";
import { basename, join, relative } from "node:path";

import { FormatError } from "../base/mod.ts";
import { readTar } from "../codec/mod.ts";
import { decodedSlot, type Package, type PackageSlot, placeOf } from "../pspf/mod.ts";
import type { Cache, WorkEnvironment } from "./cache.ts";
import type { Difference } from "./verify.ts";

export interface Comparison {
  /** Files whose content was compared. */
  compared: number;
  differences: Difference[];
}

/** Lifecycles whose files stay as they were extracted. */
const STABLE = new Set(["runtime", "eager", "cache", "platform"]);

/**
 * Compares the stable slots of an environment with its package.
 * @throws FormatError `WORKENV_PACKAGE` when the package is another one, and what decoding throws
 */
export async function compareContents(
  cache: Cache,
  one: WorkEnvironment,
  pkg: Package,
): Promise<Comparison> {
  if (pkg.identity !== one.identity) {
    throw new FormatError("WORKENV_PACKAGE", `${pkg.path} is not the package of ${one.id}`, {
      hint: "Name the very file, or remove the environment and start the application again.",
      details: { expected: one.identity ?? one.id.slice(-16), actual: pkg.identity },
    });
  }
  const result: Comparison = { compared: 0, differences: [] };
  for (const slot of pkg.slots) {
    if (!STABLE.has(slot.lifecycle) || !isForThisSystem(slot)) continue;
    await compareSlot(pkg, slot, placeOnDisk(cache, one, pkg, slot), one, result);
  }
  return result;
}

function isForThisSystem(slot: PackageSlot): boolean {
  if (slot.platform === undefined || slot.platform === "any") return true;
  const os = process.platform === "win32" ? "windows" : process.platform;
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  return slot.platform === os || slot.platform === `${os}_${arch}`;
}

/** The folder of a tar slot, the path of any other. */
function placeOnDisk(cache: Cache, one: WorkEnvironment, pkg: Package, slot: PackageSlot): string {
  if (!slot.share || slot.checksum === undefined) return placeOf(pkg, slot, one.path);
  const folder = join(cache.base, "store", slot.checksum);
  if (slot.operations[0] === "tar") return folder;
  return join(folder, slot.target === "" ? slot.id : basename(slot.target));
}

async function compareSlot(
  pkg: Package,
  slot: PackageSlot,
  place: string,
  one: WorkEnvironment,
  result: Comparison,
): Promise<void> {
  const check = async (path: string, content: AsyncIterable<Uint8Array>) => {
    result.compared += 1;
    const problem = await differs(path, content);
    if (problem === undefined) return;
    const inside = relative(one.path, path);
    result.differences.push({ path: inside.startsWith("..") ? path : inside, problem });
  };
  const content = decodedSlot(pkg, slot.index);
  if (slot.operations[0] !== "tar") return check(place, content);
  for await (const { entry, body } of readTar(content)) {
    if (entry.type === "file") await check(join(place, entry.path), body);
  }
}

/** Reads the content to its end in any case: the end is what proves it. */
async function differs(
  path: string,
  content: AsyncIterable<Uint8Array>,
): Promise<string | undefined> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const file = await open(path, flags).catch(() => undefined);
  let problem = file === undefined ? "cannot be read" : undefined;
  try {
    for await (const piece of content) {
      if (file === undefined || problem !== undefined) continue;
      if (Buffer.compare(await readUpTo(file, piece.length), piece) !== 0) problem = CHANGED;
    }
    if (file !== undefined && (await readUpTo(file, 1)).length > 0) problem = CHANGED;
    return problem;
  } finally {
    await file?.close();
  }
}

/** The next bytes of a file, fewer only at its end. */
async function readUpTo(file: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, null);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

const CHANGED = "does not hold what the package holds";
