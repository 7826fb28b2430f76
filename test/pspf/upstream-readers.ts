/**
 * The rules of the three earlier readers, as far as they decide whether a package runs: what each checks in the bytes and which keys it
 * must find. Written from the description of those readers; shares no code with `lib/pspf`.
 */
import { createHash, createPublicKey, verify } from "node:crypto";
import { gunzipSync } from "node:zlib";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

interface Parsed {
  json: Buffer;
  document: Record<string, any>;
  slots: Array<{ stored: Uint8Array; operations: bigint; permissions: number }>;
  problems: string[];
}

/** Everything that one of the readers would stumble over; empty when all three are content. */
export function upstreamProblems(file: Uint8Array): string[] {
  const parsed = parse(file);
  return [
    ...parsed.problems,
    ...goProblems(parsed),
    ...rustProblems(parsed),
    ...pythonProblems(parsed),
  ];
}

function parse(file: Uint8Array): Parsed {
  const problems: string[] = [];
  const need = (ok: boolean, what: string) => void (ok || problems.push(what));
  const trailer = Buffer.from(file.subarray(file.length - 8200));
  need(trailer.subarray(0, 4).toString("hex") === "f09f93a6", "all: first magic");
  need(trailer.subarray(8196).toString("hex") === "f09faa84", "all: last magic");
  const index = trailer.subarray(4, 8196);
  const u64 = (at: number) => Number(index.readBigUInt64LE(at));
  need(index.readUInt32LE(0) === 0x20250001, "go: format_version");
  need(adler(index) === index.readUInt32LE(4), "rust, python: index checksum");
  need(u64(8) === file.length, "rust: package_size");
  need(u64(24) === u64(16), "python: metadata directly after the launcher");
  const metadata = Buffer.from(file.subarray(u64(24), u64(24) + u64(32)));
  need(sha256(metadata).equals(index.subarray(96, 128)), "rust, python: metadata SHA-256");
  need(metadata.readUInt16BE(0) === 0x1f8b, "go, rust: gzip");
  const json = gunzipSync(metadata);
  need(json.length < 1 << 20, "rust: metadata of at most 1 MiB");
  const der = Buffer.concat([
    Buffer.from("302a300506032b6570032100", "hex"),
    index.subarray(64, 96),
  ]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  need(verify(null, json, key, index.subarray(128, 192)), "all: signature");
  need(
    index.subarray(192, 640).every((byte) => byte === 0),
    "all: rest of the signature area",
  );
  const count = index.readUInt32LE(56);
  need(u64(40) % 8 === 0 && u64(48) === count * 64, "all: slot table");
  const slots = Array.from({ length: count }, (_, i) => {
    const entry = Buffer.from(file.subarray(u64(40) + 64 * i, u64(40) + 64 * i + 64));
    const at = Number(entry.readBigUInt64LE(16));
    const stored = file.subarray(at, at + Number(entry.readBigUInt64LE(24)));
    need(at % 8 === 0, `python: slot ${i} aligned`);
    need(entry.readBigUInt64LE(0) === BigInt(i), `all: slot ${i} id`);
    need(sha256(stored).subarray(0, 8).equals(entry.subarray(48, 56)), `go: slot ${i} checksum`);
    need(stored.length >= 16, `go: slot ${i} has fewer than 16 bytes`);
    return { stored, operations: entry.readBigUInt64LE(40), permissions: entry.readUInt16LE(62) };
  });
  return { json, document: JSON.parse(json.toString()), slots, problems };
}

/** Go: everything optional but execution; tar is sniffed; hard links are dropped; folder links break the merge. */
function goProblems({ document, slots }: Parsed): string[] {
  const problems: string[] = [];
  if (document.execution === undefined) problems.push("go: execution");
  if (document.execution?.environment === undefined) problems.push("go: execution.environment");
  slots.forEach(({ stored, operations }, i) => {
    if (![0n, 1n, 0x10n, 0x1001n].includes(operations)) problems.push(`go: slot ${i} operations`);
    else {
      const data = operations >> 4n === 1n || operations === 0x1001n ? gunzipSync(stored) : stored;
      const isTar = Buffer.from(data.subarray(257, 262)).toString() === "ustar";
      if (isTar !== ((operations & 0xffn) === 1n)) problems.push(`go: slot ${i} tar by content`);
      if (isTar) problems.push(...tarProblems(data, i));
    }
  });
  return problems;
}

function tarProblems(tar: Uint8Array, slot: number): string[] {
  const problems: string[] = [];
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const header = Buffer.from(tar.subarray(at, at + 512));
    const type = String.fromCharCode(header[156] as number);
    if (!["0", "2", "5", "x"].includes(type)) problems.push(`go: slot ${slot} member type ${type}`);
    const size = Number.parseInt(header.subarray(124, 135).toString(), 8);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return problems;
}

/** Rust: serde structs; a required key that is missing means the package cannot be parsed. */
function rustProblems({ document, slots }: Parsed): string[] {
  const problems: string[] = [];
  const need = (object: any, where: string, keys: Record<string, string>) => {
    for (const [key, type] of Object.entries(keys)) {
      if (typeof object?.[key] !== type) problems.push(`rust: ${where}.${key}`);
    }
  };
  need(document, "", { format: "string", package: "object", slots: "object", execution: "object" });
  need(document.package, "package", { name: "string", version: "string" });
  need(document.execution, "execution", {
    primary_slot: "number",
    command: "string",
    env: "object",
  });
  for (const [i, slot] of document.slots.entries()) {
    need(slot, `slots.${i}`, {
      slot: "number",
      id: "string",
      source: "string",
      target: "string",
      size: "number",
      checksum: "string",
      operations: "string",
      purpose: "string",
      lifecycle: "string",
    });
    if (slot.operations === "tgz" && slot.target !== "{workenv}")
      problems.push(`rust: slot ${i} target is ignored`);
    if (slots[i]?.operations === 0n && slot.target === "")
      problems.push(`rust: slot ${i} has no target`);
  }
  if (document.cache_validation !== undefined) problems.push("rust: cache_validation");
  for (const word of document.execution.command.split(/\s+/)) {
    if (/["'\\]/.test(word)) problems.push(`rust: quotes in ${word}`);
  }
  for (const [i, step] of (document.setup_commands ?? []).entries()) {
    if (typeof step !== "object") problems.push(`rust: setup command ${i}`);
  }
  return problems;
}

function pythonProblems({ document, slots }: Parsed): string[] {
  const problems: string[] = [];
  if (document.slots.length !== slots.length) problems.push("python: slot count");
  for (const [i, { operations }] of slots.entries()) {
    if (![0n, 1n, 0x10n, 0x1001n].includes(operations)) problems.push(`python: slot ${i} chain`);
  }
  return problems;
}

function adler(index: Uint8Array): number {
  let a = 1;
  let b = 0;
  index.forEach((byte, i) => {
    a = (a + (i >= 4 && i < 8 ? 0 : byte)) % 65521;
    b = (b + a) % 65521;
  });
  return b * 65536 + a;
}
