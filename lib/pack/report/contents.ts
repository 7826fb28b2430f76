/**
 * What lies in the slots of a finished package, read from the sealed bytes and not from the disk: every file with its size, and the
 * text of those that a report asks for. One pass over each slot with the memory of its names; texts are bounded.
 */
import { posix } from "node:path";

import { FormatError } from "../../base/mod.ts";
import { readTar, type TarMember } from "../../codec/mod.ts";
import { decodedSlot, isEncrypted, type Package, type PackageSlot } from "../../pspf/mod.ts";

export interface ContentFile {
  /** Relative to the slot. */
  path: string;
  /** Bytes when unpacked; links have none. */
  unpacked: number;
  /** Its share of the stored bytes of the slot, by the chunk that it lies in: an estimate, because chunks are compressed as a whole. */
  stored: number;
}

export interface SlotContents {
  slot: PackageSlot;
  files: ContentFile[];
  /** Path → text, of those that were asked for. */
  texts: Map<string, string>;
}

const MAX_TEXT = 16 << 20;
const MAX_TEXTS = 256 << 20;

/**
 * @param wanted which files' texts are kept
 * @param slots which slots are read; default: all
 * @throws FormatError `REPORT_SIZE` for texts beyond 16 MiB, or 256 MiB together; what reading a slot throws
 */
export async function readContents(
  pkg: Package,
  wanted: (path: string) => boolean = () => false,
  slots: readonly PackageSlot[] = pkg.slots,
): Promise<SlotContents[]> {
  const budget = { left: MAX_TEXTS };
  const contents: SlotContents[] = [];
  for (const slot of slots) contents.push(await readSlot(pkg, slot, wanted, budget));
  return contents;
}

async function readSlot(
  pkg: Package,
  slot: PackageSlot,
  wanted: (path: string) => boolean,
  budget: { left: number },
): Promise<SlotContents> {
  const texts = new Map<string, string>();
  if (isEncrypted(slot.operations)) return { slot, files: [closedSlot(slot)], texts };
  if (slot.operations[0] !== "tar") return { slot, files: [await wholeSlot(pkg, slot)], texts };
  const members: Span[] = [];
  let end = 0;
  for await (const member of readTar(counted(decodedSlot(pkg, slot.index), (n) => (end += n)))) {
    const { path, type, size } = member.entry;
    members.push({ path, size, start: member.offset, isFile: type !== "directory" });
    if (type === "file" && wanted(path)) {
      budget.left -= size;
      if (size > MAX_TEXT || budget.left < 0) throw tooLarge(pkg, slot, path);
      texts.set(path, await readText(member));
    }
  }
  return { slot, files: withShares(slot, members, end), texts };
}

/** An encrypted slot: a report asks for no key, and shows it as one file of its signed size. */
function closedSlot(slot: PackageSlot): ContentFile {
  const path = posix.basename(slot.target) || slot.id;
  return { path, unpacked: slot.originalSize ?? 0, stored: slot.size };
}

/** A slot that is one file, under the name that it gets on the target. */
async function wholeSlot(pkg: Package, slot: PackageSlot): Promise<ContentFile> {
  let unpacked = 0;
  for await (const piece of decodedSlot(pkg, slot.index)) unpacked += piece.length;
  return { path: posix.basename(slot.target) || slot.id, unpacked, stored: slot.size };
}

async function* counted(
  stream: AsyncIterable<Uint8Array>,
  add: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of stream) {
    add(piece.length);
    yield piece;
  }
}

async function readText({ body }: TarMember): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part.slice());
  // Text for people: what is not UTF-8 is shown as such and is no reason to show nothing.
  return new TextDecoder().decode(Buffer.concat(parts));
}

interface Span {
  path: string;
  size: number;
  /** Offset of its header in the tar stream. */
  start: number;
  isFile: boolean;
}

/**
 * Splits the stored bytes of each chunk among its files by what they take in the tar stream. Rounded so that the files together
 * have exactly what is stored.
 */
function withShares(slot: PackageSlot, members: Span[], end: number): ContentFile[] {
  const files: ContentFile[] = [];
  let [at, next, exact, rounded] = [0, 0, 0, 0];
  for (const [stored, original] of slot.chunks ?? [[slot.size, end] as const]) {
    at += original;
    const inside: { span: Span; weight: number }[] = [];
    for (let span = members[next]; span !== undefined && span.start < at; span = members[next]) {
      const weight = (members[++next]?.start ?? end) - span.start;
      if (span.isFile) inside.push({ span, weight });
    }
    const total = inside.reduce((sum, { weight }) => sum + weight, 0);
    for (const { span, weight } of inside) {
      exact += (stored * weight) / total;
      const share = Math.round(exact) - rounded;
      rounded += share;
      files.push({ path: span.path, unpacked: span.size, stored: share });
    }
  }
  return files;
}

function tooLarge(pkg: Package, slot: PackageSlot, path: string): FormatError {
  return new FormatError(
    "REPORT_SIZE",
    `${pkg.path}: slot ${slot.id}: ${path}: is too large to be read for a report`,
    {
      hint: "Descriptions of distributions are small; this file is none.",
      details: { file: pkg.path, slot: slot.id, path },
    },
  );
}
