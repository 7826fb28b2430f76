/**
 * What a sealed package must look like, derived from its signed JSON (format.md sections 1, 4, 7).
 *
 * The writer lays files out with these functions, and a reader compares a file with what they say: every offset, the
 * whole slot table, the whole index block but for key and signatures.
 */
import { sha256 } from "../codec/mod.ts";
import { encodeIndex } from "./block.ts";
import {
  type Descriptor,
  digest64,
  encodeDescriptor,
  lifecycleCode,
  platformCode,
  purposeCode,
} from "./descriptor.ts";
import { align8, DESCRIPTOR_SIZE, type Range, TRAILER_SIZE } from "./layout.ts";
import { canonicalChain, type SealedMetadata, type SealedSlot } from "./metadata.ts";
import { packChain } from "./operations.ts";

/** Where the regions of a package lie. Offsets and sizes in bytes. */
export interface Layout {
  launcher: Range;
  metadata: Range;
  table: Range;
  slots: Range[];
  trailer: Range;
  /** Zero bytes between regions; only those that are not empty. */
  padding: Range[];
}

const DESCRIPTOR_PRIORITY = 128;

/** The only layout of a sealed package with these sizes. */
export function deriveLayout(
  launcherSize: number,
  metadataSize: number,
  slotSizes: readonly number[],
): Layout {
  const padding: Range[] = [];
  const place = (after: number, size: number): Range => {
    const start = align8(after);
    if (start > after) padding.push({ start: after, end: start });
    return { start, end: start + size };
  };
  const launcher = { start: 0, end: launcherSize };
  const metadata = { start: launcherSize, end: launcherSize + metadataSize };
  const table = place(metadata.end, slotSizes.length * DESCRIPTOR_SIZE);
  const slots: Range[] = [];
  let end = table.end;
  for (const size of slotSizes) {
    const slot = place(end, size);
    slots.push(slot);
    end = slot.end;
  }
  return {
    launcher,
    metadata,
    table,
    slots,
    trailer: { start: end, end: end + TRAILER_SIZE },
    padding,
  };
}

/** The descriptor of a slot that begins at `offset`. */
export function deriveDescriptor(slot: SealedSlot, offset: number): Descriptor {
  return {
    id: BigInt(slot.slot),
    nameHash: digest64(sha256(new TextEncoder().encode(slot.id))),
    offset: BigInt(offset),
    size: BigInt(slot.size),
    originalSize: BigInt(slot.original_size),
    operations: packChain(canonicalChain(slot.operations)),
    checksum: digest64(Uint8Array.fromHex(slot.checksum.slice("sha256:".length))),
    purpose: purposeCode(slot.purpose),
    lifecycle: lifecycleCode(slot.lifecycle),
    priority: DESCRIPTOR_PRIORITY,
    platform: platformCode(slot.platform),
    reserved: 0,
    permissions: Number.parseInt(slot.permissions, 8),
  };
}

/** The whole slot table. */
export function deriveTable(slots: readonly SealedSlot[], layout: Layout): Uint8Array {
  const table = new Uint8Array(slots.length * DESCRIPTOR_SIZE);
  slots.forEach((slot, i) => {
    const descriptor = deriveDescriptor(slot, layout.slots[i]?.start as number);
    table.set(encodeDescriptor(descriptor), i * DESCRIPTOR_SIZE);
  });
  return table;
}

/** What the JSON does not say about an index block. */
export interface Signing {
  publicKey: Uint8Array;
  /** The 512 bytes of the signature area. */
  signatures: Uint8Array;
  /** SHA-256 of the stored metadata. */
  metadataChecksum: Uint8Array;
}

/** The index block of a package with this layout, 8,192 bytes. */
export function deriveIndex(
  metadata: Pick<SealedMetadata, "seal" | "slots">,
  layout: Layout,
  signing: Signing,
): Uint8Array {
  const index = metadata.seal?.index ?? {};
  return encodeIndex({
    packageSize: layout.trailer.end,
    launcherSize: layout.launcher.end,
    metadataOffset: layout.metadata.start,
    metadataSize: layout.metadata.end - layout.metadata.start,
    tableOffset: layout.table.start,
    slotCount: layout.slots.length,
    ...signing,
    buildTimestamp: index.build_timestamp ?? 0,
    sourceHash: index.source_hash,
    dependencyHash: index.dependency_hash,
    licenseId: index.license_id,
    encrypted: metadata.slots.some((slot) => slot.encryption !== undefined),
  });
}
