/** Where the bytes of a package are: part → Python distribution or folder → file, stored and unpacked. */
import { openPackage, type Package } from "../../pspf/mod.ts";
import { type ContentFile, readContents, type SlotContents } from "./contents.ts";
import { findDistributions, isDistributionText, type PackedDistribution } from "./distributions.ts";

export interface SizeGroup {
  /** Distribution or folder. */
  name: string;
  kind: "distribution" | "folder";
  version?: string;
  license?: string;
  stored: number;
  unpacked: number;
  files: ContentFile[];
}

export interface SizePart {
  /** Slot id, `launcher` or `metadata`. */
  name: string;
  kind: "slot" | "head";
  /** Bytes of the file that it takes. */
  stored: number;
  unpacked: number;
  /** The largest first. */
  groups: SizeGroup[];
}

export interface SizeReport {
  name: string;
  version: string;
  /** Length of the package file; what the parts have together. */
  size: number;
  parts: SizePart[];
}

/** Reads every slot once. Throws what opening and decoding a package throws. */
export async function sizeReport(path: string): Promise<SizeReport> {
  const pkg = await openPackage(path);
  try {
    const contents = await readContents(pkg, isDistributionText);
    const distributions = findDistributions(pkg, contents);
    const slots = contents.map((slot) => slotPart(slot, distributions));
    const { name, version } = pkg.metadata.package;
    return { name, version, size: pkg.size, parts: [...headParts(pkg, slots), ...slots] };
  } finally {
    await pkg.close();
  }
}

/** The launcher, and everything else that is no slot: index, metadata, slot table, padding. */
function headParts(pkg: Package, slots: SizePart[]): SizePart[] {
  const launcher = pkg.layout.launcher.end - pkg.layout.launcher.start;
  const rest = pkg.size - launcher - slots.reduce((sum, { stored }) => sum + stored, 0);
  const head = (name: string, stored: number): SizePart => ({
    name,
    kind: "head",
    stored,
    unpacked: stored,
    groups: [],
  });
  return [head("launcher", launcher), head("metadata", rest)].filter(({ stored }) => stored > 0);
}

function slotPart(contents: SlotContents, all: PackedDistribution[]): SizePart {
  const { slot, files } = contents;
  const own = all.filter((one) => one.slot === slot && one.files.length > 0);
  const owned = new Set(own.flatMap((one) => one.files));
  const groups = [
    ...own.map(({ distribution: { name, version, license }, files: list }) =>
      group(name, "distribution", list, { version, ...(license !== undefined && { license }) }),
    ),
    ...folderGroups(
      files.filter((file) => !owned.has(file)),
      own,
    ),
  ];
  groups.sort((a, b) => b.stored - a.stored || (a.name < b.name ? -1 : 1));
  const unpacked = files.reduce((sum, file) => sum + file.unpacked, 0);
  return { name: slot.id, kind: "slot", stored: slot.size, unpacked, groups };
}

function folderGroups(files: ContentFile[], own: PackedDistribution[]): SizeGroup[] {
  const roots = [...new Set(own.map(({ root }) => root))];
  const byFolder = Map.groupBy(files, ({ path }) => folderOf(path, roots));
  return [...byFolder].map(([name, list]) => group(name, "folder", list));
}

/** The folder that a file without an owner is counted in: that of a Python, a part of a site folder, else the first one. */
function folderOf(path: string, roots: string[]): string {
  const root = roots.find((one) => one !== "" && path.startsWith(`${one}/`));
  const library = /^(?:.*\/)?lib\/python\d+\.\d+[a-z]?(?=\/)/.exec(path)?.[0];
  const base = root ?? "";
  const [first = "", second] = path.slice(base === "" ? 0 : base.length + 1).split("/");
  if (root === undefined && library !== undefined) return library;
  if (second === undefined) return base === "" ? "." : base;
  return base === "" ? first : `${base}/${first}`;
}

function group(
  name: string,
  kind: SizeGroup["kind"],
  files: ContentFile[],
  more: Partial<SizeGroup> = {},
): SizeGroup {
  const sum = (key: "stored" | "unpacked") => files.reduce((all, file) => all + file[key], 0);
  return { name, kind, ...more, stored: sum("stored"), unpacked: sum("unpacked"), files };
}
