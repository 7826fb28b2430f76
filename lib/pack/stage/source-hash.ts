/**
 * `source_hash` of the index block: one digest over what the author wrote and the package was made of. Equal sources give equal hashes on
 * every machine; times, owners and folders do not count.
 */
import { compareNames, sha256File, sha256Hex, type TreeEntry } from "../../codec/mod.ts";
import type { SlotInput } from "../../pspf/mod.ts";
import type { StagedSlot } from "./stage.ts";

export interface Sources {
  /** Path of the manifest. */
  manifest: string;
  /** Slots of the manifest, with content. */
  slots: StagedSlot[];
  /** Digest over the sources of a Python project that was built. */
  project?: string | undefined;
}

/**
 * SHA-256 over lines: `manifest <sha256>`, `project <sha256>`, and for each slot in order of its id `slot <id>`, then for each of its
 * paths, sorted, `<type> <octal mode> <sha256, target of a link, or -> <path>`.
 */
export async function sourceHash({ manifest, slots, project }: Sources): Promise<string> {
  const lines = [`manifest ${await sha256File(manifest)}\n`];
  if (project !== undefined) lines.push(`project ${project}\n`);
  const sorted = [...slots].sort((a, b) => compareNames(a.input.id, b.input.id));
  for (const { input } of sorted) {
    lines.push(`slot ${input.id}\n`, ...(await contentLines(input)));
  }
  return sha256Hex(new TextEncoder().encode(lines.join("")));
}

async function contentLines({ content, permissions: given }: SlotInput): Promise<string[]> {
  const permissions = typeof given === "number" ? given.toString(8) : given;
  if (content.kind === "bytes") return [`file ${permissions} ${sha256Hex(content.bytes)} .\n`];
  if (content.kind !== "tree") return [`file ${permissions} ${await sha256File(content.path)} .\n`];
  const entries = [...content.entries].sort((a, b) => compareNames(a.path, b.path));
  const lines: string[] = [];
  for (const entry of entries) {
    const { type, mode, path } = entry;
    lines.push(`${type} ${mode.toString(8)} ${await entryDigest(entry)} ${path}\n`);
  }
  return lines;
}

async function entryDigest({ link, source }: TreeEntry): Promise<string> {
  if (link !== undefined) return link;
  if (source === undefined) return "-";
  return typeof source === "string" ? await sha256File(source) : sha256Hex(source.bytes);
}
