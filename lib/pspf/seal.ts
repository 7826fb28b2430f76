/**
 * The comparison of a sealed package with what its signed JSON derives (format.md 8.3): index block and slot table, byte
 * for byte. Only key, signatures and the metadata's digest are taken from the file, and those were checked before.
 */
import {
  encodeSignatures,
  INDEX_OFFSET,
  type IndexBlock,
  signaturesOf,
  withChecksum,
} from "./block.ts";
import { deriveIndex, deriveLayout, deriveTable, type Layout } from "./derive.ts";
import { DESCRIPTOR_FIELDS, parseDescriptor } from "./descriptor.ts";
import { DESCRIPTOR_SIZE, firstDifference, sameBytes } from "./layout.ts";
import type { SealedMetadata } from "./metadata.ts";
import type { Problems } from "./problem.ts";

/** What of the file the comparison needs. */
export interface SealedParts {
  index: IndexBlock;
  table: Uint8Array;
  /** Bytes of the stored metadata. */
  metadataSize: number;
}

/** The layout that the signed JSON demands. */
export function sealedLayout(metadata: SealedMetadata, metadataSize: number): Layout {
  return deriveLayout(
    metadata.launcher.size,
    metadataSize,
    metadata.slots.map((slot) => slot.size),
  );
}

/** Reports `SEAL_TABLE` and `SEAL_INDEX`, at most once each. The table has as many descriptors as the metadata has slots. */
export function compareWithSeal(
  metadata: SealedMetadata,
  parts: SealedParts,
  problems: Problems,
): void {
  const layout = sealedLayout(metadata, parts.metadataSize);
  compareTable(metadata, layout, parts.table, problems);
  compareIndex(metadata, layout, parts.index, problems);
}

function compareIndex(
  metadata: SealedMetadata,
  layout: Layout,
  index: IndexBlock,
  problems: Problems,
): void {
  const [first, ...others] = signaturesOf(index);
  const derived = deriveIndex(metadata, layout, {
    publicKey: index.publicKey,
    metadataChecksum: index.metadataChecksum,
    // Rebuilt from the signatures that were found, so that gaps and leftovers in the area differ.
    signatures: encodeSignatures(first?.signature as Uint8Array, others),
  });
  // A wrong Adler-32 has its own name and was reported before.
  const actual = withChecksum(index.bytes.slice());
  if (sameBytes(derived, actual)) return;
  const offset = firstDifference(
    derived.subarray(INDEX_OFFSET.packageSize),
    actual.subarray(INDEX_OFFSET.packageSize),
  );
  problems.report("SEAL_INDEX", { offset: offset + INDEX_OFFSET.packageSize });
}

function compareTable(
  metadata: SealedMetadata,
  layout: Layout,
  table: Uint8Array,
  problems: Problems,
): void {
  const slots = metadata.slots;
  const derived = deriveTable(slots, layout);
  const at = firstDifference(derived, table);
  if (at === -1) return;
  const slot = Math.floor(at / DESCRIPTOR_SIZE);
  const expected = parseDescriptor(derived, slot * DESCRIPTOR_SIZE);
  const actual = parseDescriptor(table, slot * DESCRIPTOR_SIZE);
  const field = DESCRIPTOR_FIELDS.find(([key]) => expected[key] !== actual[key])?.[1];
  problems.report("SEAL_TABLE", { slot: slots[slot]?.id as string, field: field as string });
}
