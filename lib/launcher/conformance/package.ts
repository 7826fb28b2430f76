/** Turns a case into a package file, with one of the writers. */

import { readFile } from "node:fs/promises";

import { FormatError } from "../../base/mod.ts";
import { type Compression, compressStream, tarStream, type TreeEntry } from "../../codec/mod.ts";
import { keyMaterial, parseOperations, type SlotInput, writePackage } from "../../pspf/mod.ts";
import { signerFromSeed } from "../../trust/mod.ts";
import type { Launcher } from "../embedded.ts";
import { assemble, honestJson, type RawSlot } from "./assemble.ts";
import type { Case, CaseEncryption, CaseSlot } from "./case.ts";
import { encryptRaw } from "./encrypt.ts";
import { writeMembers } from "./members.ts";

const EPOCH = 315532800;
const encoder = new TextEncoder();

export type Writer = "sealed" | "flavorpack" | "raw";

/** Writes the case's package with this stub in front to `path` and returns its bytes. */
export async function writeCase(
  test: Case,
  writer: Writer,
  launcher: Launcher,
  path: string,
): Promise<Uint8Array> {
  if (writer === "raw") return assembleCase(test, launcher.bytes);
  const [os, arch] = launcher.platform.split("_") as [string, string];
  await writePackage(path, {
    launcher: { bytes: launcher.bytes, tool: launcher.tool, toolVersion: launcher.toolVersion },
    manifest: { package: { name: test.package, version: test.version }, ...sections(test) },
    slots: test.slots.map(slotInput),
    signer: signerFromSeed("conformance"),
    profile: writer,
    epoch: EPOCH,
    platform: { os, arch },
    force: true,
  } as Parameters<typeof writePackage>[1]);
  return readFile(path);
}

function sections(test: Case): { execution: Record<string, unknown> } & Record<string, unknown> {
  return {
    execution: test.execution,
    ...(test.runtime ? { runtime: test.runtime } : {}),
    ...(test.workenv ? { workenv: test.workenv } : {}),
    ...(test.setup ? { setup_commands: test.setup } : {}),
  };
}

function slotInput(slot: CaseSlot): SlotInput {
  return {
    id: slot.id,
    source: slot.id,
    target: slot.target,
    operations: parseOperations(slot.operations),
    ...(slot.permissions === undefined ? {} : { permissions: slot.permissions }),
    ...(slot.lifecycle === undefined ? {} : { lifecycle: slot.lifecycle }),
    ...(slot.platform === undefined ? {} : { platform: slot.platform }),
    ...(slot.share === undefined ? {} : { share: slot.share }),
    ...(slot.encryption === undefined ? {} : { encryption: slotEncryption(slot.encryption) }),
    content: slot.files
      ? { kind: "tree", entries: treeEntries(slot.files) }
      : { kind: "bytes", bytes: plain(slot) },
  } as SlotInput;
}

function slotEncryption({ key, source }: CaseEncryption): SlotInput["encryption"] {
  return { keySource: source, key: async () => keyMaterial(encoder.encode(key), source) };
}

function plain(slot: CaseSlot): Uint8Array {
  return slot.zeros === undefined ? encoder.encode(slot.text ?? "") : new Uint8Array(slot.zeros);
}

/** The files of a tree slot with every parent directory, sorted by the bytes of their names. */
function treeEntries(files: NonNullable<CaseSlot["files"]>): TreeEntry[] {
  const entries = new Map<string, TreeEntry>();
  for (const [path, file] of Object.entries(files)) {
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join("/");
      entries.set(parent, { path: parent, type: "directory", mode: 0o755, size: 0 });
    }
    entries.set(path, treeEntry(path, file));
  }
  return [...entries.values()].sort((a, b) =>
    Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)),
  );
}

function treeEntry(path: string, file: NonNullable<CaseSlot["files"]>[string]): TreeEntry {
  if (typeof file === "object" && "symlink" in file) {
    return { path, type: "symlink", mode: 0o777, size: 0, link: file.symlink };
  }
  if (typeof file === "object" && "hardlink" in file) {
    return { path, type: "hardlink", mode: 0o644, size: 0, link: file.hardlink };
  }
  const bytes = encoder.encode(typeof file === "string" ? file : file.text);
  const mode = Number.parseInt((typeof file === "object" && file.mode) || "0644", 8);
  return { path, type: "file", mode, size: bytes.length, source: { bytes } };
}

async function assembleCase(test: Case, launcher: Uint8Array): Promise<Uint8Array> {
  const slots = await Promise.all(test.slots.map(rawSlot));
  const honest = honestJson(test.package, test.version, launcher, slots, sections(test));
  const merged = merge(honest, test.json ?? {});
  const json = encoder.encode(test.jsonText ?? JSON.stringify(merged, null, 2));
  return assemble({
    launcher,
    json,
    slots,
    signer: signerFromSeed("conformance"),
    sealed: merged.seal !== undefined,
  });
}

async function rawSlot(slot: CaseSlot): Promise<RawSlot & { target: string; share?: boolean }> {
  const operations = parseOperations(slot.operations).map((operation) => String(operation));
  let bytes = await content(slot);
  const originalSize = bytes.length;
  for (const name of operations) {
    if (name !== "tar" && name !== "aes256gcm")
      bytes = await collect(compressStream(name as Compression)(once(bytes)));
  }
  const sealed = slot.encryption && (await encryptRaw(bytes, slot.id, slot.encryption));
  return {
    id: slot.id,
    target: slot.target,
    stored: sealed?.stored ?? bytes,
    originalSize,
    operations,
    purpose: "payload",
    lifecycle: slot.lifecycle ?? "runtime",
    permissions: slot.permissions ?? "0644",
    ...(slot.platform === undefined ? {} : { platform: slot.platform }),
    ...(slot.share ? { share: true } : {}),
    ...(sealed ? { encryption: sealed.encryption } : {}),
  };
}

async function content(slot: CaseSlot): Promise<Uint8Array> {
  if (slot.members) return writeMembers(slot.members);
  return slot.files ? collect(tarStream(treeEntries(slot.files), { mtime: EPOCH })) : plain(slot);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(stream));
}

/** Deep merge; null removes a key; arrays are replaced, except that an object patches an array by index. */
function merge(base: unknown, patch: unknown): Record<string, unknown> {
  if (typeof base !== "object" || base === null || typeof patch !== "object" || patch === null) {
    throw new FormatError("CASE_JSON", "A case can only merge objects into objects");
  }
  const out = (Array.isArray(base) ? [...base] : { ...base }) as Record<string, unknown>;
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else if (isPlainObject(value) && typeof out[key] === "object" && out[key] !== null)
      out[key] = merge(out[key], value);
    else out[key] = value;
  }
  return out;
}

function isPlainObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
