/**
 * A second, independent writer of the sealed profile, for conformance cases only: it signs whatever JSON it is given, so
 * that cases can say what an honest writer never would. It follows docs/reference/format.md and shares no code with `pspf/`.
 */

import { gzipSync } from "node:zlib";

import { adler32, gzipStored, sha256, sha256Hex } from "../../codec/mod.ts";
import type { Signer } from "../../trust/mod.ts";

const TRAILER = 8200;
const DESCRIPTOR = 64;
const PURPOSES: Record<string, number> = { runtime: 1, code: 1, tool: 2, config: 2, media: 3 };
const LIFECYCLES: Record<string, number> = {
  init: 0,
  startup: 1,
  volatile: 1,
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
};
const SYSTEMS: Record<string, number> = { linux: 1, darwin: 2, windows: 3 };
const OPERATIONS: Record<string, number> = {
  tar: 0x01,
  gzip: 0x10,
  bzip2: 0x13,
  xz: 0x16,
  zstd: 0x1b,
  aes256gcm: 0x31,
};

export interface RawSlot {
  id: string;
  stored: Uint8Array;
  originalSize: number;
  operations: string[];
  purpose: string;
  lifecycle: string;
  permissions: string;
  platform?: string;
  /** Stands in the JSON as it is. */
  encryption?: Record<string, unknown>;
}

export interface RawPackage {
  launcher: Uint8Array;
  /** Signed as it is. */
  json: Uint8Array;
  slots: RawSlot[];
  signer: Signer;
  /** Without a seal: ordinary gzip and an 8,192-byte hole after the launcher, as an earlier writer left it. */
  sealed: boolean;
}

const align8 = (n: number) => Math.ceil(n / 8) * 8;

export function assemble(raw: RawPackage): Uint8Array {
  const metadata = raw.sealed ? gzipStored(raw.json) : gzipSync(raw.json);
  const metadataOffset = raw.launcher.length + (raw.sealed ? 0 : 8192);
  const tableOffset = align8(metadataOffset + metadata.length);
  let end = tableOffset + DESCRIPTOR * raw.slots.length;
  const offsets = raw.slots.map((slot, i) => {
    const start = align8(end);
    end = start + slot.stored.length;
    return start;
  });
  const bytes = new Uint8Array(end + TRAILER);
  bytes.set(raw.launcher, 0);
  bytes.set(metadata, metadataOffset);
  raw.slots.forEach((slot, i) => {
    bytes.set(descriptor(slot, i, offsets[i] as number), tableOffset + i * DESCRIPTOR);
    bytes.set(slot.stored, offsets[i] as number);
  });
  const index = indexBlock(raw, metadata, { metadataOffset, tableOffset, size: bytes.length });
  bytes.set([0xf0, 0x9f, 0x93, 0xa6], end);
  bytes.set(index, end + 4);
  bytes.set([0xf0, 0x9f, 0xaa, 0x84], end + 4 + 8192);
  return bytes;
}

function descriptor(slot: RawSlot, i: number, offset: number): Uint8Array {
  const out = new Uint8Array(DESCRIPTOR);
  const view = new DataView(out.buffer);
  const u64 = (at: number, value: number | bigint) => view.setBigUint64(at, BigInt(value), true);
  u64(0, i);
  out.set(sha256(new TextEncoder().encode(slot.id)).subarray(0, 8), 8);
  u64(16, offset);
  u64(24, slot.stored.length);
  u64(32, slot.originalSize);
  slot.operations.forEach((name, at) => (out[40 + at] = OPERATIONS[name] ?? 0));
  out.set(sha256(slot.stored).subarray(0, 8), 48);
  out[56] = PURPOSES[slot.purpose] ?? 0;
  out[57] = LIFECYCLES[slot.lifecycle] ?? 2;
  out[58] = 128;
  out[59] = SYSTEMS[slot.platform?.split("_")[0] ?? ""] ?? 0;
  view.setUint16(62, Number.parseInt(slot.permissions, 8), true);
  return out;
}

function indexBlock(
  raw: RawPackage,
  metadata: Uint8Array,
  at: { metadataOffset: number; tableOffset: number; size: number },
): Uint8Array {
  const out = new Uint8Array(8192);
  const view = new DataView(out.buffer);
  const u64 = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value), true);
  view.setUint32(0, 0x20250001, true);
  u64(8, at.size);
  u64(16, raw.launcher.length);
  u64(24, at.metadataOffset);
  u64(32, metadata.length);
  u64(40, at.tableOffset);
  u64(48, raw.slots.length * DESCRIPTOR);
  view.setUint32(56, raw.slots.length, true);
  out.set(raw.signer.publicKey, 64);
  out.set(sha256(metadata), 96);
  out.set(raw.signer.sign(raw.json), 128);
  view.setUint32(644, 4096, true);
  u64(704, buildTimestamp(raw.json));
  const encrypted = raw.slots.some((slot) => slot.encryption !== undefined);
  u64(832, raw.sealed && encrypted ? 192 : 128);
  view.setUint32(856, 0x20250001, true);
  view.setUint32(860, 1, true);
  view.setUint32(4, adler32(out), true);
  return out;
}

function buildTimestamp(json: Uint8Array): number {
  try {
    const document = JSON.parse(new TextDecoder().decode(json)) as {
      seal?: { index?: { build_timestamp?: number } };
    };
    return document.seal?.index?.build_timestamp ?? 0;
  } catch {
    return 0; // a case about broken JSON: the index holds no time then
  }
}

/** The JSON an honest writer would sign for these slots, for cases to change. */
export function honestJson(
  name: string,
  version: string,
  launcher: Uint8Array,
  slots: (RawSlot & { target: string; share?: boolean })[],
  sections: Record<string, unknown>,
): Record<string, unknown> {
  return {
    format: "PSPF/2025",
    format_version: "1.0.0",
    package: { name, version },
    slots: slots.map((slot, i) => ({
      slot: i,
      id: slot.id,
      source: slot.id,
      target: slot.target,
      size: slot.stored.length,
      original_size: slot.originalSize,
      checksum: `sha256:${sha256Hex(slot.stored)}`,
      operations: operationText(slot.operations),
      purpose: slot.purpose,
      lifecycle: slot.lifecycle,
      permissions: slot.permissions,
      ...(slot.platform === undefined ? {} : { platform: slot.platform }),
      ...(slot.share ? { share: true } : {}),
      ...(slot.encryption === undefined ? {} : { encryption: slot.encryption }),
    })),
    ...sections,
    launcher: {
      tool: "raw",
      tool_version: "1",
      size: launcher.length,
      checksum: `sha256:${sha256Hex(launcher)}`,
    },
    seal: { version: 1, index: { build_timestamp: 315532800 } },
  };
}

function operationText(operations: string[]): string {
  if (operations.length === 0) return "none";
  return operations.join("|") === "tar|gzip" ? "tgz" : operations.join("|");
}
