/**
 * The index block (format.md section 7): 8,192 bytes between the two magics at the end of the file.
 *
 * Every byte is kept: a foreign index can be signed again without losing what its writer put into the reserved
 * parts, and a sealed one is compared byte for byte with what its signed metadata derives.
 */
import { adler32 } from "../codec/mod.ts";
import { FORMAT_VERSION, INDEX_SIZE, viewOf } from "./layout.ts";

/** Where a field stands in the block. */
export const INDEX_OFFSET = {
  formatVersion: 0,
  checksum: 4,
  packageSize: 8,
  launcherSize: 16,
  metadataOffset: 24,
  metadataSize: 32,
  tableOffset: 40,
  tableSize: 48,
  slotCount: 56,
  flags: 60,
  publicKey: 64,
  metadataChecksum: 96,
  signatures: 128,
  accessMode: 640,
  pageSize: 644,
  buildTimestamp: 704,
  buildMachine: 712,
  sourceHash: 744,
  dependencyHash: 776,
  licenseId: 808,
  capabilities: 832,
  requirements: 840,
  compatibility: 856,
  protocolVersion: 860,
} as const;

/** The signature area: one signature, up to four co-signatures of key and signature, zeros. */
export const SIGNATURE_AREA = 512;
export const SIGNATURE_SIZE = 64;
export const KEY_SIZE = 32;
export const MAX_COSIGNATURES = 4;
const COSIGNATURE_SIZE = KEY_SIZE + SIGNATURE_SIZE;
const CAPABILITY_ENCRYPTED = 64n;
const CAPABILITY_SIGNED = 128n;
const PAGE_SIZE = 4096;

export interface IndexBlock {
  formatVersion: number;
  /** Adler-32 as stored. */
  checksum: number;
  packageSize: bigint;
  launcherSize: bigint;
  metadataOffset: bigint;
  metadataSize: bigint;
  tableOffset: bigint;
  tableSize: bigint;
  slotCount: number;
  flags: number;
  /** Raw Ed25519 key, 32 bytes. */
  publicKey: Uint8Array;
  /** SHA-256 of the stored metadata. */
  metadataChecksum: Uint8Array;
  /** The 512 bytes of the signature area. */
  signatures: Uint8Array;
  buildTimestamp: bigint;
  capabilities: bigint;
  /** The whole block as it stands in the file. */
  bytes: Uint8Array;
}

/** One signature over the JSON bytes. */
export interface Signature {
  /** Raw Ed25519 key, 32 bytes. */
  publicKey: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
}

/** @param bytes the 8,192 bytes of the block; nothing is judged here */
export function parseIndex(bytes: Uint8Array): IndexBlock {
  const view = viewOf(bytes);
  const u32 = (at: number) => view.getUint32(at, true);
  const u64 = (at: number) => view.getBigUint64(at, true);
  const part = (at: number, size: number) => bytes.subarray(at, at + size);
  return {
    formatVersion: u32(INDEX_OFFSET.formatVersion),
    checksum: u32(INDEX_OFFSET.checksum),
    packageSize: u64(INDEX_OFFSET.packageSize),
    launcherSize: u64(INDEX_OFFSET.launcherSize),
    metadataOffset: u64(INDEX_OFFSET.metadataOffset),
    metadataSize: u64(INDEX_OFFSET.metadataSize),
    tableOffset: u64(INDEX_OFFSET.tableOffset),
    tableSize: u64(INDEX_OFFSET.tableSize),
    slotCount: u32(INDEX_OFFSET.slotCount),
    flags: u32(INDEX_OFFSET.flags),
    publicKey: part(INDEX_OFFSET.publicKey, KEY_SIZE),
    metadataChecksum: part(INDEX_OFFSET.metadataChecksum, 32),
    signatures: part(INDEX_OFFSET.signatures, SIGNATURE_AREA),
    buildTimestamp: u64(INDEX_OFFSET.buildTimestamp),
    capabilities: u64(INDEX_OFFSET.capabilities),
    bytes,
  };
}

/** Adler-32 of the block with its own field taken as zero. */
export function indexChecksum(bytes: Uint8Array): number {
  const seed = adler32(bytes.subarray(0, INDEX_OFFSET.checksum));
  const zeroed = adler32(new Uint8Array(4), seed);
  return adler32(bytes.subarray(INDEX_OFFSET.checksum + 4), zeroed);
}

/** What of an index block is not the same in every package. */
export interface IndexValues {
  packageSize: number;
  launcherSize: number;
  metadataOffset: number;
  metadataSize: number;
  tableOffset: number;
  slotCount: number;
  publicKey: Uint8Array;
  metadataChecksum: Uint8Array;
  /** The 512 bytes of the signature area. */
  signatures: Uint8Array;
  buildTimestamp: number;
  /** 64 hex digits, or absent for zeros. */
  sourceHash?: string | undefined;
  dependencyHash?: string | undefined;
  /** At most 16 bytes of UTF-8. */
  licenseId?: string | undefined;
  /** A slot is encrypted. */
  encrypted: boolean;
}

/** The block of the sealed profile, checksum included: 8,192 bytes. */
export function encodeIndex(values: IndexValues): Uint8Array {
  const bytes = new Uint8Array(INDEX_SIZE);
  const view = viewOf(bytes);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  u32(INDEX_OFFSET.formatVersion, FORMAT_VERSION);
  u64(INDEX_OFFSET.packageSize, values.packageSize);
  u64(INDEX_OFFSET.launcherSize, values.launcherSize);
  u64(INDEX_OFFSET.metadataOffset, values.metadataOffset);
  u64(INDEX_OFFSET.metadataSize, values.metadataSize);
  u64(INDEX_OFFSET.tableOffset, values.tableOffset);
  u64(INDEX_OFFSET.tableSize, values.slotCount * 64);
  u32(INDEX_OFFSET.slotCount, values.slotCount);
  bytes.set(values.publicKey, INDEX_OFFSET.publicKey);
  bytes.set(values.metadataChecksum, INDEX_OFFSET.metadataChecksum);
  bytes.set(values.signatures, INDEX_OFFSET.signatures);
  u32(INDEX_OFFSET.pageSize, PAGE_SIZE);
  u64(INDEX_OFFSET.buildTimestamp, values.buildTimestamp);
  bytes.set(Uint8Array.fromHex(values.sourceHash ?? ""), INDEX_OFFSET.sourceHash);
  bytes.set(Uint8Array.fromHex(values.dependencyHash ?? ""), INDEX_OFFSET.dependencyHash);
  bytes.set(new TextEncoder().encode(values.licenseId ?? ""), INDEX_OFFSET.licenseId);
  const capabilities = CAPABILITY_SIGNED | (values.encrypted ? CAPABILITY_ENCRYPTED : 0n);
  view.setBigUint64(INDEX_OFFSET.capabilities, capabilities, true);
  u32(INDEX_OFFSET.compatibility, FORMAT_VERSION);
  u32(INDEX_OFFSET.protocolVersion, 1);
  return withChecksum(bytes);
}

/** Sets the checksum of a block whose other bytes are final. @returns the same array */
export function withChecksum(bytes: Uint8Array): Uint8Array {
  viewOf(bytes).setUint32(INDEX_OFFSET.checksum, indexChecksum(bytes), true);
  return bytes;
}

/** The 512 bytes for a first signature and its co-signatures. */
export function encodeSignatures(first: Uint8Array, others: readonly Signature[] = []): Uint8Array {
  const area = new Uint8Array(SIGNATURE_AREA);
  area.set(first);
  others.forEach((other, i) => {
    const at = SIGNATURE_SIZE + i * COSIGNATURE_SIZE;
    area.set(other.publicKey, at);
    area.set(other.signature, at + KEY_SIZE);
  });
  return area;
}

/**
 * The signatures of a block, the first one at the front. A co-signature place is taken when any byte of it is set; gaps
 * and what stands behind the last place are judged by the comparison with the derived block.
 */
export function signaturesOf(index: IndexBlock): Signature[] {
  const area = index.signatures;
  const found = [{ publicKey: index.publicKey, signature: area.subarray(0, SIGNATURE_SIZE) }];
  for (let i = 0; i < MAX_COSIGNATURES; i++) {
    const at = SIGNATURE_SIZE + i * COSIGNATURE_SIZE;
    const place = area.subarray(at, at + COSIGNATURE_SIZE);
    if (place.every((byte) => byte === 0)) break;
    found.push({ publicKey: place.subarray(0, KEY_SIZE), signature: place.subarray(KEY_SIZE) });
  }
  return found;
}
