/**
 * Slot descriptors (format.md section 4): 64 bytes per slot between metadata and slot data.
 *
 * In the sealed profile every field follows from the signed JSON. Purpose and lifecycle bytes are labels: what
 * a launcher does is decided by the JSON text.
 */
import { DESCRIPTOR_SIZE, viewOf } from "./layout.ts";

export interface Descriptor {
  id: bigint;
  nameHash: bigint;
  /** From the start of the file. */
  offset: bigint;
  /** Stored bytes. */
  size: bigint;
  originalSize: bigint;
  /** Packed chain. */
  operations: bigint;
  /** First 8 bytes of the SHA-256 of the stored bytes. */
  checksum: bigint;
  purpose: number;
  lifecycle: number;
  priority: number;
  platform: number;
  reserved: number;
  permissions: number;
}

/** Names as the format's page and the error messages use them. */
export const DESCRIPTOR_FIELDS: ReadonlyArray<readonly [keyof Descriptor, string]> = [
  ["id", "id"],
  ["nameHash", "name_hash"],
  ["offset", "offset"],
  ["size", "size"],
  ["originalSize", "original_size"],
  ["operations", "operations"],
  ["checksum", "checksum"],
  ["purpose", "purpose"],
  ["lifecycle", "lifecycle"],
  ["priority", "priority"],
  ["platform", "platform"],
  ["reserved", "reserved"],
  ["permissions", "permissions"],
];

/** @param at where the descriptor begins in `table` */
export function parseDescriptor(table: Uint8Array, at = 0): Descriptor {
  const view = viewOf(table.subarray(at, at + DESCRIPTOR_SIZE));
  const u64 = (offset: number) => view.getBigUint64(offset, true);
  return {
    id: u64(0),
    nameHash: u64(8),
    offset: u64(16),
    size: u64(24),
    originalSize: u64(32),
    operations: u64(40),
    checksum: u64(48),
    purpose: view.getUint8(56),
    lifecycle: view.getUint8(57),
    priority: view.getUint8(58),
    platform: view.getUint8(59),
    reserved: view.getUint16(60, true),
    permissions: view.getUint16(62, true),
  };
}

/** @returns 64 bytes */
export function encodeDescriptor(slot: Descriptor): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_SIZE);
  const view = viewOf(bytes);
  [
    slot.id,
    slot.nameHash,
    slot.offset,
    slot.size,
    slot.originalSize,
    slot.operations,
    slot.checksum,
  ].forEach((value, i) => view.setBigUint64(i * 8, value, true));
  bytes.set([slot.purpose, slot.lifecycle, slot.priority, slot.platform], 56);
  view.setUint16(60, slot.reserved, true);
  view.setUint16(62, slot.permissions, true);
  return bytes;
}

/** The first 8 bytes of a SHA-256 as a u64. */
export function digest64(sha256: Uint8Array): bigint {
  return viewOf(sha256).getBigUint64(0, true);
}

const PURPOSES: Record<string, number> = {
  payload: 0,
  data: 0,
  runtime: 1,
  code: 1,
  tool: 2,
  config: 2,
  media: 3,
};

const LIFECYCLES = {
  init: 0,
  startup: 1,
  volatile: 1,
  runtime: 2,
  shutdown: 3,
  cache: 4,
  temp: 5,
  temporary: 5,
  lazy: 6,
  eager: 7,
  dev: 8,
  config: 9,
  persistent: 9,
  platform: 10,
} as const;

export type Lifecycle = keyof typeof LIFECYCLES;

/** Every lifecycle that a package of ours may name. */
export const LIFECYCLE_NAMES = Object.keys(LIFECYCLES) as Lifecycle[];

const PLATFORMS: Record<string, number> = { linux: 1, darwin: 2, windows: 3 };

export function purposeCode(purpose: string): number {
  return Object.hasOwn(PURPOSES, purpose) ? (PURPOSES[purpose] as number) : 0;
}

export function lifecycleCode(lifecycle: Lifecycle): number {
  return LIFECYCLES[lifecycle];
}

/** @param platform `os` or `os_arch`, or absent for any */
export function platformCode(platform: string | undefined): number {
  return PLATFORMS[platform?.split("_")[0] ?? ""] ?? 0;
}
