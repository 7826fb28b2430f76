/** What a writer is given, and the rules that do not depend on a profile (format.md sections 3, 4 and 6). */
import { checkArchivePath, FormatError, quoted } from "../base/mod.ts";
import type { TreeEntry } from "../codec/mod.ts";
import { PLATFORM_PATTERN } from "./metadata.ts";
import { relativeTarget } from "./normalize.ts";
import { isEncrypted, type Operation, packChain } from "./operations.ts";
import type { SlotEncryption } from "./secret/key.ts";
import type { Service } from "./service.ts";

/** Where a slot's content comes from. */
export type SlotContent =
  | { kind: "file"; path: string }
  | { kind: "bytes"; bytes: Uint8Array }
  /** A folder's entries; needs a chain that begins with `tar`. */
  | { kind: "tree"; entries: TreeEntry[] }
  /** A file that already went through the operations; it is decoded once to prove it. */
  | { kind: "stored"; path: string; originalSize?: number };

export interface SlotInput {
  id: string;
  /** Text for the JSON: where it came from, relative. */
  source: string;
  /** Relative to `{workenv}`; `""` = its root, for tar slots only. */
  target: string;
  operations: Operation[];
  /** Of the last compression. */
  level?: number;
  /** Default `payload`. */
  purpose?: string;
  /** Default `runtime`. */
  lifecycle?: string;
  /** Octal text or number; default 0644. */
  permissions?: string | number;
  /** `os` or `os_arch`. */
  platform?: string;
  share?: boolean;
  /** Goes with operations that end in `aes256gcm`. */
  encryption?: SlotEncryption;
  content: SlotContent;
}

export interface Manifest {
  package: { name: string; version: string; description?: string };
  execution: {
    primary_slot?: number;
    /** POSIX-quoted text. */
    command?: string;
    argv?: string[];
    entries?: Record<string, string[]>;
    env?: Record<string, string>;
  };
  runtime?: {
    env?: {
      pass?: string[];
      unset?: string[];
      map?: Record<string, string>;
      set?: Record<string, string>;
    };
    service?: Service;
  };
  workenv?: {
    directories?: Array<{ path: string; mode?: string }>;
    env?: Record<string, string>;
  };
  setup_commands?: unknown[];
  /** What the index block shall say; `build_timestamp` is the writer's epoch unless given. */
  sealIndex?: {
    build_timestamp?: number;
    /** 64 hex digits. */
    source_hash?: string;
    dependency_hash?: string;
    /** At most 16 bytes. */
    license_id?: string;
  };
}

/** A slot whose optional parts are filled in and whose names are checked. */
export interface CheckedSlot extends SlotInput {
  purpose: string;
  lifecycle: string;
  /** Four octal digits. */
  mode: string;
}

const ABSOLUTE = /^(?:[/\\]|[A-Za-z]:|~)/;

/** Fills in defaults and refuses what no reader may accept. Throws `FormatError("SLOT_…")` or `PATH_…`. */
export function checkSlots(slots: readonly SlotInput[], os: string): CheckedSlot[] {
  const checked = slots.map((slot) => checkSlot(slot, os));
  refuseCollisions(checked);
  return checked;
}

function checkSlot(slot: SlotInput, os: string): CheckedSlot {
  const raw = relativeTarget(slot.target);
  const target =
    raw === "" || raw === "." ? "" : checkArchivePath(raw, { windows: os === "windows" });
  const isTar = slot.operations[0] === "tar";
  checkChainOf(slot);
  if (slot.content.kind === "tree" && !isTar) {
    throw wrong("SLOT_OPERATIONS", slot, "a folder needs operations that begin with tar");
  }
  if (target === "" && !isTar) throw wrong("SLOT_TARGET", slot, "target names no file");
  if (ABSOLUTE.test(slot.source)) {
    throw wrong("SLOT_SOURCE", slot, `source ${quoted(slot.source)} is not relative`);
  }
  if (slot.platform !== undefined && !PLATFORM_PATTERN.test(slot.platform)) {
    throw wrong("SLOT_PLATFORM", slot, `platform ${quoted(slot.platform)} is unknown`);
  }
  checkEncryption(slot);
  return {
    ...slot,
    target,
    purpose: slot.purpose ?? "payload",
    lifecycle: slot.lifecycle ?? "runtime",
    mode: modeText(slot),
  };
}

function checkChainOf(slot: SlotInput): void {
  try {
    packChain(slot.operations);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw wrong(error.code, slot, error.message);
  }
}

function checkEncryption(slot: SlotInput): void {
  const encrypted = isEncrypted(slot.operations);
  if (encrypted !== (slot.encryption !== undefined)) {
    throw wrong("SLOT_ENCRYPTION", slot, "the operation aes256gcm and a key go together");
  }
  if (encrypted && slot.share) throw wrong("SLOT_ENCRYPTION", slot, "is encrypted and shared");
}

function modeText(slot: SlotInput): string {
  const given = slot.permissions ?? 0o644;
  const text = typeof given === "number" ? given.toString(8) : given.replace(/^0o/, "");
  const digits = /^0*([0-7]{1,3})$/.exec(text)?.[1];
  if (digits !== undefined) return digits.padStart(4, "0");
  throw wrong("SLOT_PERMISSIONS", slot, `permissions ${text} are not an octal mode like 0755`);
}

/** Two slots must not write one file where they can meet; folded, so a package means the same on every system. */
function refuseCollisions(slots: readonly CheckedSlot[]): void {
  const files = new Map<string, CheckedSlot[]>();
  const folders = new Map<string, CheckedSlot[]>();
  for (const slot of slots) {
    if (slot.operations[0] === "tar" || slot.share === true) continue;
    const target = slot.target.toLowerCase();
    const above = parentsOf(target);
    const others = [target, ...above].flatMap((path) => files.get(path) ?? []);
    const other = [...others, ...(folders.get(target) ?? [])].find((found) => canMeet(slot, found));
    if (other !== undefined) {
      throw wrong("SLOT_COLLISION", slot, `target ${slot.target} collides with slot ${other.id}`);
    }
    files.set(target, [...(files.get(target) ?? []), slot]);
    // One slot per platform and place is enough: whatever meets another of them has met it too.
    for (const path of above) noteFolder(folders, path, slot);
  }
}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
    parents.push(path.slice(0, at));
  }
  return parents;
}

function noteFolder(folders: Map<string, CheckedSlot[]>, path: string, slot: CheckedSlot): void {
  const known = folders.get(path) ?? [];
  const isKnown = known.some(
    (other) =>
      other.platform === slot.platform && folderOf(other.lifecycle) === folderOf(slot.lifecycle),
  );
  if (!isKnown) folders.set(path, [...known, slot]);
}

/** Whether two slots can be extracted on one system into one folder. */
function canMeet(a: CheckedSlot, b: CheckedSlot): boolean {
  if (folderOf(a.lifecycle) !== folderOf(b.lifecycle)) return false;
  const [osA, archA] = a.platform?.split("_") ?? [];
  const [osB, archB] = b.platform?.split("_") ?? [];
  if (osA !== undefined && osB !== undefined && osA !== osB) return false;
  return archA === undefined || archB === undefined || archA === archB;
}

function folderOf(lifecycle: string): string {
  if (lifecycle === "config" || lifecycle === "persistent") return "data";
  return lifecycle === "temp" || lifecycle === "temporary" ? "run" : "workenv";
}

export function wrong(code: string, slot: { id: string }, detail: string): FormatError {
  return new FormatError(code, `Slot ${slot.id}: ${detail}`, {
    hint: "Correct the slot in the manifest.",
    details: { slot: slot.id },
  });
}
