/**
 * Slot metadata and descriptors put together: one `PackageSlot` per slot, whatever the dialect. The descriptor's chain and
 * stored size are what counts; in a sealed package the JSON says the same.
 */
import { FormatError } from "../base/mod.ts";
import type { Layout } from "./derive.ts";
import type { Descriptor } from "./descriptor.ts";
import type { Range } from "./layout.ts";
import type { Metadata, SlotMetadata } from "./metadata.ts";
import { isEncrypted, type Operation, unpackChain } from "./operations.ts";
import type { PackageSlot } from "./package.ts";
import type { Problems } from "./problem.ts";

const DEFAULT_PERMISSIONS = 0o600;

/** Throws `FormatError("PSPF_OPERATION")` for a chain that no reader may guess. */
export function describeSlots(
  metadata: Metadata,
  descriptors: readonly Descriptor[],
  layout: Layout,
  sealed: boolean,
  problems: Problems,
): PackageSlot[] {
  return metadata.slots.map((slot, i) => {
    const descriptor = descriptors[i] as Descriptor;
    const region = layout.slots[i] as Range;
    return {
      index: i,
      id: slot.id,
      target: slot.target,
      operations: chainOf(descriptor, slot.id, sealed, problems),
      size: region.end - region.start,
      // Never the descriptor's: other writers put the stored size there, or the size of a folder's inode.
      ...(slot.original_size === undefined ? {} : { originalSize: slot.original_size }),
      lifecycle: slot.lifecycle,
      purpose: slot.purpose,
      ...(slot.platform === undefined ? {} : { platform: slot.platform }),
      share: sealed && slot.share,
      permissions: permissionsOf(slot, descriptor),
      ...(slot.checksum === undefined ? {} : { checksum: slot.checksum }),
      ...(sealed && slot.chunks !== undefined ? { chunks: slot.chunks } : {}),
      region,
      metadata: slot,
      descriptor,
    };
  });
}

function chainOf(
  descriptor: Descriptor,
  slot: string,
  sealed: boolean,
  problems: Problems,
): Operation[] {
  try {
    const chain = unpackChain(descriptor.operations);
    // Only the sealed profile says how a slot is encrypted.
    if (!sealed && isEncrypted(chain))
      problems.fatal("PSPF_OPERATION", { slot, detail: "aes256gcm" });
    return chain;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    problems.fatal("PSPF_OPERATION", { slot, detail: String(error.details?.operation) });
  }
}

function permissionsOf(slot: SlotMetadata, descriptor: Descriptor): number {
  const bits = descriptor.permissions & 0o777;
  if (bits !== 0) return bits;
  const text = /^(?:0o)?([0-7]{1,5})$/.exec(slot.permissions ?? "")?.[1];
  const said = text === undefined ? 0 : Number.parseInt(text, 8) & 0o777;
  return said === 0 ? DEFAULT_PERMISSIONS : said;
}
