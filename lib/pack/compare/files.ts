/** The files of slots that changed, by digest, and the Python distributions among them. */
import { readTar, Sha256 } from "../../codec/mod.ts";
import { decodedSlot, type Package, type PackageSlot } from "../../pspf/mod.ts";
import { isReadable } from "../delta/sources.ts";
import { readContents } from "../report/contents.ts";
import { findDistributions, isDistributionText } from "../report/distributions.ts";

export interface FileFacts {
  /** Bytes; 0 for what is no file. */
  size: number;
  /** What is compared: kind, mode, and SHA-256 of the content or the target of a link. */
  state: string;
}

/** `slot/path` → what is there. Folders are left out; a slot that is encrypted has no files. */
export async function filesOf(
  pkg: Package,
  slots: readonly PackageSlot[],
): Promise<Map<string, FileFacts>> {
  const files = new Map<string, FileFacts>();
  for (const slot of slots) {
    if (!isReadable(slot)) continue;
    const decoded = decodedSlot(pkg, slot.index);
    if (slot.operations[0] !== "tar") {
      const { digest, size } = await digestOf(decoded);
      files.set(slot.id, { size, state: `file ${slot.permissions.toString(8)} ${digest}` });
      continue;
    }
    for await (const { entry, body } of readTar(decoded)) {
      const { path, type, mode, size, link } = entry;
      if (type === "directory") continue;
      const what = type === "file" ? (await digestOf(body)).digest : link;
      const state = `${type} ${type === "symlink" ? "" : mode.toString(8)} ${what}`;
      files.set(`${slot.id}/${path}`, { size, state });
    }
  }
  return files;
}

async function digestOf(content: AsyncIterable<Uint8Array>) {
  const hash = new Sha256();
  let size = 0;
  for await (const piece of content) {
    hash.update(piece);
    size += piece.length;
  }
  return { digest: hash.hex(), size };
}

/** Distribution → its versions, without copies inside of others. */
export async function distributionsOf(
  pkg: Package,
  slots: readonly PackageSlot[],
): Promise<Map<string, string>> {
  const readable = slots.filter((slot) => isReadable(slot) && slot.operations[0] === "tar");
  const contents = await readContents(pkg, isDistributionText, readable);
  const found = findDistributions(pkg, contents).filter((one) => one.vendoredBy === undefined);
  const versions = Map.groupBy(found, ({ distribution }) => distribution.key);
  return new Map(
    [...versions].map(([key, all]) => [
      key,
      [...new Set(all.map(({ distribution }) => distribution.version))].join(", "),
    ]),
  );
}
