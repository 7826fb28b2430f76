/**
 * Packages as the three earlier writers make them (Go builder, Rust builder, Python writer), built from the description of their
 * bytes and sharing no code with `lib/pspf`. What they disagree about is what a reader must accept.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

import { signerFromSeed } from "../../lib/trust/mod.ts";

export type Dialect = "go" | "rust" | "python";

export interface UpstreamSlot {
  id: string;
  target: string;
  stored: Uint8Array;
  /** Packed chain. */
  operations: bigint;
  /** Spelling in the JSON. */
  text: string;
  originalSize?: number;
  purpose?: string;
  lifecycle?: string;
  permissions?: string | null;
  selfRef?: boolean;
  /** Keys merged over the JSON entry; undefined removes one. */
  json?: Record<string, unknown>;
}

export interface UpstreamOptions {
  launcher?: Uint8Array;
  /** Keys merged over the document; undefined removes one. */
  json?: Record<string, unknown>;
  /** Changes to the finished index block before its checksum is made. */
  index?: (view: DataView, bytes: Uint8Array) => void;
  /** Leaves the signature zero. */
  unsigned?: boolean;
}

const SIGNER = signerFromSeed("test123");
const LAUNCHER = new TextEncoder().encode("\x7fELF launcher of another project");
const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest();

export function upstreamPackage(
  dialect: Dialect,
  slots: UpstreamSlot[],
  options: UpstreamOptions = {},
): Uint8Array {
  const launcher = options.launcher ?? LAUNCHER;
  const json = new TextEncoder().encode(
    JSON.stringify(document(dialect, slots, launcher, options), null, 2),
  );
  const metadata = gzip(json, dialect === "python" ? 9 : 6);
  const metadataOffset = launcher.length + (dialect === "rust" ? 8192 : 0);
  const tableOffset = align(metadataOffset + metadata.length, 8);
  const boundary = dialect === "python" ? 4096 : 8;
  let end = tableOffset + slots.length * 64;
  const offsets = slots.map((slot) => {
    if (slot.selfRef) return 0;
    const start = align(end, boundary);
    end = start + slot.stored.length;
    return start;
  });
  const file = new Uint8Array(end + 8200);
  file.set(launcher, 0);
  file.set(metadata, metadataOffset);
  slots.forEach((slot, i) => {
    file.set(descriptor(dialect, slot, i, offsets[i] as number), tableOffset + 64 * i);
    if (!slot.selfRef) file.set(slot.stored, offsets[i] as number);
  });
  const index = new Uint8Array(8192);
  const view = new DataView(index.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  view.setUint32(0, 0x20250001, true);
  u64(8, file.length);
  u64(16, launcher.length);
  u64(24, metadataOffset);
  u64(32, metadata.length);
  u64(40, dialect === "python" && slots.length === 0 ? 0 : tableOffset);
  u64(48, slots.length * 64);
  view.setUint32(56, slots.length, true);
  index.set(SIGNER.publicKey, 64);
  index.set(sha256(metadata), 96);
  if (!options.unsigned) index.set(SIGNER.sign(json), 128);
  if (dialect === "rust") {
    view.setUint32(644, 4096, true);
    u64(832, 129);
  }
  if (dialect === "python") {
    index.set([2, 1], 640);
    view.setUint32(644, 4096, true);
    u64(648, 134217728);
    u64(656, 8388608);
    view.setUint32(688, 65536, true);
    u64(832, 131);
  }
  if (dialect !== "go") {
    view.setUint32(856, 0x20250001, true);
    view.setUint32(860, 1, true);
  }
  options.index?.(view, index);
  view.setUint32(4, adler32(index), true);
  file.set([0xf0, 0x9f, 0x93, 0xa6], end);
  file.set(index, end + 4);
  file.set([0xf0, 0x9f, 0xaa, 0x84], end + 8196);
  return file;
}

/** Adler-32 by its definition, byte by byte. */
export function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

function align(n: number, boundary: number): number {
  return Math.ceil(n / boundary) * boundary;
}

function gzip(json: Uint8Array, level: number): Uint8Array {
  const bytes = new Uint8Array(gzipSync(json, { level }));
  bytes[9] = 0xff;
  return bytes;
}

function descriptor(dialect: Dialect, slot: UpstreamSlot, i: number, offset: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  const permissions = Number.parseInt(slot.permissions ?? "0600", 8);
  view.setBigUint64(0, BigInt(i), true);
  if (!slot.selfRef) {
    bytes.set(sha256(dialect === "go" ? slot.target : slot.id).subarray(0, 8), 8);
    view.setBigUint64(16, BigInt(offset), true);
    view.setBigUint64(24, BigInt(slot.stored.length), true);
    const original = dialect === "python" ? slot.originalSize : undefined;
    view.setBigUint64(32, BigInt(original ?? slot.stored.length), true);
    view.setBigUint64(40, slot.operations, true);
    bytes.set(sha256(slot.stored).subarray(0, 8), 48);
  }
  bytes[57] = 2;
  bytes[58] = dialect === "go" ? 128 : 1;
  bytes[62] = permissions & 0xff;
  bytes[63] = permissions >> 8;
  return bytes;
}

function document(
  dialect: Dialect,
  slots: UpstreamSlot[],
  launcher: Uint8Array,
  options: UpstreamOptions,
): Record<string, unknown> {
  const entries = slots.map((slot, i) => ({
    slot: i,
    id: slot.id,
    source: dialect === "python" ? `/tmp/build-x/${slot.id}` : slot.id,
    target: dialect === "python" ? `{workenv}/${slot.target}` : slot.target,
    size: slot.selfRef
      ? 0
      : dialect === "python"
        ? (slot.originalSize ?? 4096)
        : slot.stored.length,
    checksum: slot.selfRef ? "" : `sha256:${sha256(slot.stored).toString("hex")}`,
    operations: slot.text,
    purpose: slot.purpose ?? "",
    lifecycle: slot.lifecycle ?? "",
    resolution: "build",
    permissions: slot.permissions ?? (dialect === "python" ? null : "0600"),
    ...(slot.selfRef ? { self_ref: true } : {}),
    ...slot.json,
  }));
  const command = { primary_slot: 0, command: "{workenv}/bin/app" };
  const common = {
    format: "PSPF/2025",
    package: { name: "other", version: "0.9" },
    slots: entries,
  };
  const digest = sha256(launcher).toString("hex");
  const seal = (algorithm: string, signed: boolean) => ({
    integrity_seal: { required: true, algorithm },
    signed,
    require_verification: signed,
  });
  const own = {
    go: {
      format_version: "",
      execution: { ...command, environment: null },
      verification: seal("ecdsa-p256", false),
      build: {
        tool: "flavor-go",
        tool_version: "1.0.0",
        timestamp: "2025-01-01T00:00:00Z",
        deterministic: false,
      },
    },
    rust: {
      format_version: "1.0.0",
      execution: { ...command, env: { MODE: "rust" } },
      verification: seal("ed25519", true),
      launcher: {
        tool: "flavor-rs-launcher",
        tool_version: "0.3.0",
        size: launcher.length,
        checksum: `sha256:${digest}`,
        capabilities: ["mmap", "signed"],
      },
    },
    python: {
      format_version: "1.0.0",
      execution: { ...command, env: {} },
      verification: seal("ed25519", true),
      launcher: {
        tool: "launcher",
        tool_version: "unknown",
        size: launcher.length,
        checksum: `sha256:sha256:${digest}`,
        capabilities: ["mmap", "async", "sandbox"],
      },
      runtime: { env: { pass: ["PATH"], unset: ["*"] } },
    },
  }[dialect];
  return { ...common, ...own, ...options.json };
}
