/**
 * Where a file's index and table say that things are, checked before anything is read there (format.md 8.1):
 * every region inside the file, in order, none on top of another, sizes within the bounds of section 10.
 */
import type { IndexBlock } from "./block.ts";
import type { Layout } from "./derive.ts";
import { type Descriptor, parseDescriptor } from "./descriptor.ts";
import {
  DESCRIPTOR_SIZE,
  MAX_METADATA_STORED,
  MAX_SLOTS,
  type Range,
  toLength,
  TRAILER_SIZE,
} from "./layout.ts";

/** A field whose region cannot be; the reader adds the file's name. */
export class RegionFault extends Error {
  constructor(readonly field: string) {
    super(field);
  }
}

/** Launcher, metadata and slot table of an index, in a file of `size` bytes. Throws `RegionFault`. */
export function headRegions(index: IndexBlock, size: number): Omit<Layout, "slots" | "padding"> {
  const limit = size - TRAILER_SIZE;
  const trailer = { start: limit, end: size };
  const launcher = { start: 0, end: toLength(index.launcherSize) };
  if (launcher.end > limit) throw new RegionFault("launcher_size");

  if (toLength(index.metadataSize) > MAX_METADATA_STORED) throw new RegionFault("metadata_size");
  const metadata = rangeOf(index.metadataOffset, index.metadataSize);
  if (metadata.start < launcher.end || metadata.start > limit) {
    throw new RegionFault("metadata_offset");
  }
  if (metadata.end > limit) throw new RegionFault("metadata_size");

  if (index.slotCount > MAX_SLOTS) throw new RegionFault("slot_count");
  if (index.tableSize !== BigInt(index.slotCount * DESCRIPTOR_SIZE)) {
    throw new RegionFault("slot_table_size");
  }
  return { launcher, metadata, table: tableRegion(index, metadata.end, limit), trailer };
}

function tableRegion(index: IndexBlock, after: number, limit: number): Range {
  // The Python writer leaves the offset 0 when there is no slot.
  if (index.slotCount === 0 && index.tableOffset === 0n) return { start: after, end: after };
  const table = rangeOf(index.tableOffset, index.tableSize);
  if (table.start < after || table.start > limit) throw new RegionFault("slot_table_offset");
  if (table.end > limit) throw new RegionFault("slot_table_size");
  return table;
}

/** The descriptors and regions of all slots. A slot without bytes lies nowhere and may say any offset. Throws `RegionFault`. */
export function slotRegions(
  table: Uint8Array,
  count: number,
  after: number,
  limit: number,
): { descriptors: Descriptor[]; slots: Range[] } {
  const descriptors: Descriptor[] = [];
  const slots: Range[] = [];
  let end = after;
  for (let i = 0; i < count; i++) {
    const descriptor = parseDescriptor(table, i * DESCRIPTOR_SIZE);
    descriptors.push(descriptor);
    if (descriptor.size === 0n) {
      slots.push({ start: end, end });
      continue;
    }
    const slot = rangeOf(descriptor.offset, descriptor.size);
    if (slot.start < end || slot.start > limit) throw new RegionFault(`offset of slot ${i}`);
    if (slot.end > limit) throw new RegionFault(`size of slot ${i}`);
    slots.push(slot);
    end = slot.end;
  }
  return { descriptors, slots };
}

/** The parts of a file that belong to no region. */
export function gapsOf(layout: Omit<Layout, "padding">): Range[] {
  const regions = [layout.launcher, layout.metadata, layout.table, ...layout.slots, layout.trailer];
  const gaps: Range[] = [];
  let end = 0;
  for (const region of regions) {
    if (region.start > end) gaps.push({ start: end, end: region.start });
    end = Math.max(end, region.end);
  }
  return gaps;
}

function rangeOf(offset: bigint, size: bigint): Range {
  const start = toLength(offset);
  return { start, end: start + toLength(size) };
}
