/** A written package is what was to be packed: it verifies, and every slot decodes to what it was made from. */
import { CheckError, type Context } from "../../base/mod.ts";
import { readTar, Sha256, sha256File, type TreeEntry } from "../../codec/mod.ts";
import {
  decodedSlot,
  type FindKey,
  openPackage,
  type Package,
  type SlotEncryption,
  type SlotInput,
  verifyPackage,
} from "../../pspf/mod.ts";
import type { StagedSlot } from "../stage/stage.ts";

/** @throws CheckError `PACK_VERIFY`, `PACK_CONTENT` when the written package is not what was to be packed */
export async function checkStructure(
  ctx: Context,
  path: string,
  slots: StagedSlot[],
): Promise<void> {
  const verdict = await verifyPackage(path, { progress: ctx.progress });
  const failed = verdict.checks.find((check) => !check.ok);
  if (failed)
    throw new CheckError("PACK_VERIFY", `The written package does not verify: ${failed.detail}`, {
      hint: "Pack again when nothing else writes to the sources; if it stays, report it.",
    });
  const pkg = await openPackage(path, { findKey: keysOf(slots) });
  try {
    for (const [i, slot] of slots.entries()) await compareSlot(pkg, i, slot.input);
  } finally {
    await pkg.close();
  }
}

/** The keys that the slots were just encrypted with. */
function keysOf(slots: StagedSlot[]): FindKey {
  return async ({ id }) => {
    const slot = slots.find(({ input }) => input.id === id) as StagedSlot;
    return (await (slot.input.encryption as SlotEncryption).key()).bytes;
  };
}

async function compareSlot(
  pkg: Package,
  index: number,
  { id, content, target }: SlotInput,
): Promise<void> {
  if (content.kind === "tree") {
    // The compatible profile moves a tree to the root and its target into the names.
    const prefix = pkg.sealed || target === "" ? "" : `${target}/`;
    return await compareTree(pkg, index, { id, entries: content.entries, prefix });
  }
  // Stored bytes were decoded when they were taken in; `verifyPackage` compared them with their digest.
  if (content.kind === "stored") return;
  const expected =
    content.kind === "file" ? await sha256File(content.path) : await digest([content.bytes]);
  if ((await digest(decodedSlot(pkg, index))) !== expected) throw changed(id, "its source");
}

interface ExpectedTree {
  id: string;
  entries: TreeEntry[];
  prefix: string;
}

async function compareTree(
  pkg: Package,
  index: number,
  { id, entries, prefix }: ExpectedTree,
): Promise<void> {
  const expected = new Map(entries.map((entry) => [prefix + entry.path, entry]));
  for await (const { entry, body } of readTar(decodedSlot(pkg, index))) {
    const source = expected.get(entry.path);
    // Folders that were only implied are made by the writer.
    if (source === undefined && entry.type === "directory") continue;
    if (source === undefined) throw changed(id, entry.path);
    expected.delete(entry.path);
    if (entry.type !== "file" || source.type !== "file") continue;
    const from = source.source;
    const wanted =
      typeof from === "string"
        ? await sha256File(from)
        : await digest([from?.bytes ?? new Uint8Array()]);
    if ((await digest(body)) !== wanted) throw changed(id, entry.path);
  }
  const [lost] = expected.keys();
  if (lost !== undefined) throw changed(id, lost);
}

async function digest(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = new Sha256();
  for await (const piece of pieces) hash.update(piece);
  return hash.hex();
}

function changed(id: string, path: string): CheckError {
  return new CheckError("PACK_CONTENT", `Slot ${id}: ${path} changed while it was packed`, {
    hint: "Pack again when nothing else writes there.",
    details: { slot: id, path },
  });
}
