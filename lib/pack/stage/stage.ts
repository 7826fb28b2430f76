/**
 * Specifications → slots with content: what is read from disk, how it is encoded and where it goes.
 * Nothing is compressed here: the writer does that as a stream.
 */
import { basename } from "node:path";

import { FormatError } from "../../base/mod.ts";
import type { TreeEntry } from "../../codec/mod.ts";
import type { Platform } from "../../launcher/mod.ts";
import type { Operation, SlotEncryption, SlotInput } from "../../pspf/mod.ts";
import { archiveTarget } from "../manifest/legacy.ts";
import type { SlotSpec } from "../manifest/project.ts";
import type { CompressionChoice } from "./compression.ts";
import { beginsLike, checkEncoded } from "./encoded.ts";
import { findSource, recordedSource, type Source } from "./source.ts";

/** A path that a slot brings, relative to the slot's own place; a file slot has the one path "". */
export interface Member {
  path: string;
  type: TreeEntry["type"];
  mode: number;
  link?: string;
}

export interface StagedSlot {
  input: SlotInput;
  members: Member[];
  /** Bytes before compression. */
  bytes: number;
}

export interface StageOptions {
  /** Folder of the project: recorded sources are relative to it. */
  root: string;
  /** For slots that choose nothing themselves. */
  compression: CompressionChoice;
  /** Overrides what the slots choose. */
  override?: CompressionChoice;
  encryption?: SlotEncryption | undefined;
}

/** Whether a slot belongs into a package for `platform`. */
export function isFor(slot: { platform?: string | undefined }, platform: Platform): boolean {
  return (
    slot.platform === undefined ||
    slot.platform === platform ||
    platform.startsWith(`${slot.platform}_`)
  );
}

export async function stageSlot(spec: SlotSpec, options: StageOptions): Promise<StagedSlot> {
  const source = await findSource(spec);
  const staged =
    spec.operations === undefined
      ? plainSlot(spec, source, options)
      : await legacySlot(spec, spec.operations, source, options);
  refuseRestricted(spec, staged);
  return encrypted(staged, options.encryption);
}

/** Encryption comes last, on top of what was chosen. */
function encrypted(staged: StagedSlot, encryption: SlotEncryption | undefined): StagedSlot {
  if (encryption === undefined) return staged;
  const operations: Operation[] = [...staged.input.operations, "aes256gcm"];
  return { ...staged, input: { ...staged.input, operations, encryption } };
}

/** The usual case: a folder becomes a tree, a file stays a file, and the chosen compression is put on top. */
function plainSlot(spec: SlotSpec, source: Source, options: StageOptions): StagedSlot {
  const choice = options.override ?? spec.compression ?? options.compression;
  const packing: Operation[] = choice.algorithm === "none" ? [] : [choice.algorithm];
  const level = choice.level === undefined ? {} : { level: choice.level };
  if (source.kind === "file") {
    const input = {
      ...common(spec, options, fileTarget(spec, source.name)),
      operations: packing,
      ...level,
    };
    return fileSlot(input, source, spec.permissions);
  }
  const input = {
    ...common(spec, options, spec.target ?? ""),
    operations: ["tar", ...packing] as Operation[],
    ...level,
  };
  return treeSlot(input, withMode(source.entries, spec.permissions));
}

/** Data of the earlier manifests: encoded already, which is checked, or plain, which is packed as they say. */
async function legacySlot(
  spec: SlotSpec,
  chain: Operation[],
  source: Source,
  options: StageOptions,
): Promise<StagedSlot> {
  if (source.kind === "tree") {
    if (chain[0] !== "tar") throw needsTar(spec);
    return treeSlot(
      { ...common(spec, options, spec.target ?? ""), operations: chain },
      source.entries,
    );
  }
  const last = chain.at(-1);
  if (last !== undefined && (await beginsLike(source.path, last)))
    return await storedSlot(spec, chain, source.path, options);
  if (chain[0] !== "tar") {
    const input = { ...common(spec, options, fileTarget(spec, source.name)), operations: chain };
    return fileSlot(input, source, spec.permissions);
  }
  if (chain.length > 1 && (await beginsLike(source.path, "tar"))) {
    // A plain archive: the writer proves that it is one and compresses it.
    const { originalSize, members = [] } = await checkEncoded(spec, source.path, ["tar"]);
    const described = {
      ...common(spec, options, archiveTarget(spec.target ?? "")),
      operations: chain,
    };
    const content = { kind: "file", path: source.path } as const;
    return { input: { ...described, permissions: 0o755, content }, members, bytes: originalSize };
  }
  const mode = spec.permissions ?? 0o600;
  const entry: TreeEntry = {
    path: source.name,
    type: "file",
    mode,
    size: source.size,
    source: source.path,
  };
  return treeSlot({ ...common(spec, options, spec.target ?? ""), operations: chain }, [entry]);
}

/** Bytes that are stored as they are. An archive goes into the parent of its target, as its makers meant it. */
async function storedSlot(
  spec: SlotSpec,
  chain: Operation[],
  path: string,
  options: StageOptions,
): Promise<StagedSlot> {
  const { originalSize, members } = await checkEncoded(spec, path, chain);
  const target = members ? archiveTarget(spec.target ?? "") : fileTarget(spec, basename(path));
  const content = { kind: "stored", path, originalSize } as const;
  const permissions = members ? 0o755 : (spec.permissions ?? 0o600);
  return {
    input: { ...common(spec, options, target), operations: chain, permissions, content },
    members: members ?? [{ path: "", type: "file", mode: permissions }],
    bytes: originalSize,
  };
}

type Described = Omit<SlotInput, "content">;

function common(
  spec: SlotSpec,
  options: StageOptions,
  target: string,
): Omit<Described, "operations"> {
  return {
    id: spec.id,
    source: recordedSource(spec, options.root),
    target,
    purpose: spec.purpose,
    lifecycle: spec.lifecycle,
    ...(spec.platform && { platform: spec.platform }),
    ...(spec.share && { share: true }),
  };
}

/** `target = "bin/"` means into that folder; no target means beside the others, under its own name. */
function fileTarget(spec: SlotSpec, name: string): string {
  if (spec.target === undefined || spec.target === "") return name;
  return spec.into ? `${spec.target}/${name}` : spec.target;
}

function fileSlot(
  described: Described,
  source: Extract<Source, { kind: "file" }>,
  permissions: number | undefined,
): StagedSlot {
  const mode = permissions ?? (source.executable ? 0o755 : 0o644);
  return {
    input: { ...described, permissions: mode, content: { kind: "file", path: source.path } },
    members: [{ path: "", type: "file", mode }],
    bytes: source.size,
  };
}

function treeSlot(described: Described, entries: TreeEntry[]): StagedSlot {
  return {
    input: { ...described, permissions: 0o755, content: { kind: "tree", entries } },
    members: entries,
    bytes: totalSize(entries),
  };
}

/** `permissions` of a folder's slot is the mode of its files; folders and links keep theirs. */
function withMode(entries: TreeEntry[], mode: number | undefined): TreeEntry[] {
  if (mode === undefined) return entries;
  return entries.map((entry) =>
    entry.type === "file" || entry.type === "hardlink" ? { ...entry, mode } : entry,
  );
}

/** What the launcher could not do with such a slot. */
function refuseRestricted(spec: SlotSpec, staged: StagedSlot): void {
  const isTree = staged.input.operations[0] === "tar";
  if (spec.lifecycle === "shutdown" && isTree) {
    throw unfit(spec, "the lifecycle shutdown is for one program, and the source is a folder");
  }
  if (spec.share && !["runtime", "eager", "cache", "platform", "lazy"].includes(spec.lifecycle)) {
    throw unfit(spec, `a slot of lifecycle ${spec.lifecycle} cannot be shared`);
  }
}

function unfit(spec: SlotSpec, problem: string): FormatError {
  return new FormatError("SLOT_LIFECYCLE", `Slot ${spec.id}: ${problem}`, {
    hint: "Lifecycles are explained in the reference of the launcher.",
  });
}

function needsTar(spec: SlotSpec): FormatError {
  return new FormatError(
    "SLOT_OPERATIONS",
    `Slot ${spec.id}: the source ${spec.source} is a folder, and its operations do not begin with tar`,
    {
      hint: 'Write "operations": "tgz".',
    },
  );
}

/** A slot that somebody else prepared, with the members that the checks need. */
export function stagedInput(input: SlotInput): StagedSlot {
  const { content } = input;
  if (content.kind === "tree") {
    return { input, members: content.entries, bytes: totalSize(content.entries) };
  }
  const bytes =
    content.kind === "bytes"
      ? content.bytes.length
      : content.kind === "stored"
        ? (content.originalSize ?? 0)
        : Bun.file(content.path).size;
  const mode =
    typeof input.permissions === "string"
      ? Number.parseInt(input.permissions, 8)
      : (input.permissions ?? 0o644);
  return { input, members: [{ path: "", type: "file", mode }], bytes };
}

function totalSize(entries: TreeEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.size, 0);
}
