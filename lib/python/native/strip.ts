/**
 * Takes debug information and static symbol tables out of a program or library: what `strip --strip-unneeded` does, for the one layout that
 * linkers produce (allocated sections first, the rest behind them). The loader never looks at what goes away. Anything that looks
 * different is left as it is, so this can make a package smaller and never wrong. 64-bit little-endian files.
 */

const HEADER = 64;
const SECTION = 64;
const SEGMENT = 56;
const ALLOCATED = 2n;
const INFO_LINK = 0x40n;
const NOBITS = 8;

interface Section {
  type: number;
  flags: bigint;
  offset: number;
  size: number;
  link: number;
  info: number;
}

/** The smaller file, or `undefined` when there is nothing to take or the layout is another one. */
export function stripElf(bytes: Uint8Array): Uint8Array | undefined {
  const head = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isElf64 =
    bytes.length > HEADER && head.getUint32(0) === 0x7f454c46 && bytes[4] === 2 && bytes[5] === 1;
  if (!isElf64 || head.getUint16(58, true) !== SECTION || head.getUint16(54, true) !== SEGMENT)
    return undefined;
  const sections = readSections(head);
  const names = sections?.[head.getUint16(62, true)];
  if (sections === undefined || names === undefined || names.offset + names.size > bytes.length)
    return undefined;
  const kept = sections.findLastIndex((s) => (s.flags & ALLOCATED) !== 0n) + 1;
  if (!isPrefix(sections, kept)) return undefined;
  const end = contentEnd(head, sections.slice(0, kept));
  // One section more than is kept: the table of their names.
  if (end === undefined || end > bytes.length || kept + 1 >= sections.length) return undefined;
  return assemble(bytes, head, { kept, end, names });
}

function readSections(head: DataView): Section[] | undefined {
  const at = Number(head.getBigUint64(40, true));
  const count = head.getUint16(60, true);
  if (at === 0 || at + count * SECTION > head.byteLength) return undefined;
  return Array.from({ length: count }, (_, i) => {
    const base = at + i * SECTION;
    return {
      type: head.getUint32(base + 4, true),
      flags: head.getBigUint64(base + 8, true),
      offset: Number(head.getBigUint64(base + 24, true)),
      size: Number(head.getBigUint64(base + 32, true)),
      link: head.getUint32(base + 40, true),
      info: head.getUint32(base + 44, true),
    };
  });
}

/** The first `kept` sections are the allocated ones, and point at each other only. */
function isPrefix(sections: Section[], kept: number): boolean {
  return sections.slice(0, kept).every((section, i) => {
    if (i === 0) return section.type === 0;
    const info = (section.flags & INFO_LINK) !== 0n ? section.info : 0;
    return (section.flags & ALLOCATED) !== 0n && section.link < kept && info < kept;
  });
}

/** Behind everything that a segment or a kept section covers. */
function contentEnd(head: DataView, sections: Section[]): number | undefined {
  const at = Number(head.getBigUint64(32, true));
  const count = head.getUint16(56, true);
  if (at + count * SEGMENT > head.byteLength) return undefined;
  let end = Math.max(HEADER, at + count * SEGMENT);
  for (let i = 0; i < count; i++) {
    const base = at + i * SEGMENT;
    end = Math.max(
      end,
      Number(head.getBigUint64(base + 8, true)) + Number(head.getBigUint64(base + 32, true)),
    );
  }
  for (const section of sections)
    if (section.type !== NOBITS) end = Math.max(end, section.offset + section.size);
  return end;
}

function assemble(
  bytes: Uint8Array,
  head: DataView,
  { kept, end, names }: { kept: number; end: number; names: Section },
): Uint8Array | undefined {
  const namesAt = align8(end);
  const tableAt = align8(namesAt + names.size);
  const out = new Uint8Array(tableAt + (kept + 1) * SECTION);
  if (out.length >= bytes.length) return undefined;
  out.set(bytes.subarray(0, end));
  out.set(bytes.subarray(names.offset, names.offset + names.size), namesAt);
  const oldTable = Number(head.getBigUint64(40, true));
  out.set(bytes.subarray(oldTable, oldTable + kept * SECTION), tableAt);
  const oldNames = oldTable + head.getUint16(62, true) * SECTION;
  out.set(bytes.subarray(oldNames, oldNames + SECTION), tableAt + kept * SECTION);
  const view = new DataView(out.buffer);
  view.setBigUint64(tableAt + kept * SECTION + 24, BigInt(namesAt), true);
  view.setBigUint64(40, BigInt(tableAt), true);
  view.setUint16(60, kept + 1, true);
  view.setUint16(62, kept, true);
  return out;
}

function align8(n: number): number {
  return (n + 7) & ~7;
}
