/**
 * What changed between two packages, in the words of the people who made them. Slots with the same SHA-256 are not read; of the others
 * every file is compared by content.
 */
import type { Context } from "../../base/mod.ts";
import { openPackage, type Package, type PackageSlot } from "../../pspf/mod.ts";
import { type Change, changesOf } from "./changes.ts";
import { factsOf, type SlotFacts, slotFacts } from "./facts.ts";
import { distributionsOf, type FileFacts, filesOf } from "./files.ts";

export const GROUPS = [
  "package",
  "commands",
  "environment",
  "runtime",
  "dependencies",
  "slots",
  "files",
  "launcher",
  "signers",
] as const;
export type Group = (typeof GROUPS)[number];

export interface Side {
  file: string;
  name: string;
  version: string;
  identity: string;
  size: number;
}

export interface Comparison {
  /** The same signed content, signed by the same keys. */
  equal: boolean;
  from: Side;
  to: Side;
  /** Of the groups that were asked for. */
  groups: {
    [G in Exclude<Group, "slots" | "files">]?: Change[];
  } & { slots?: Change<SlotFacts>[]; files?: Change<number>[] };
}

/**
 * Compares `groups` of two packages, each opened with its signature and seal checked; stored bytes are checked as they are read.
 * @throws FormatError, CheckError, EnvironmentError
 */
export async function comparePackages(
  ctx: Pick<Context, "progress">,
  from: string,
  to: string,
  groups: readonly Group[] = GROUPS,
): Promise<Comparison> {
  const old = await openPackage(from);
  try {
    const fresh = await openPackage(to);
    try {
      return await compare(ctx, old, fresh, new Set(groups));
    } finally {
      await fresh.close();
    }
  } finally {
    await old.close();
  }
}

async function compare(
  ctx: Pick<Context, "progress">,
  old: Package,
  fresh: Package,
  wanted: ReadonlySet<Group>,
): Promise<Comparison> {
  const [a, b] = [factsOf(old), factsOf(fresh)];
  const signers = changesOf(a.signers, b.signers);
  const groups: Comparison["groups"] = {};
  for (const group of ["package", "commands", "environment", "runtime", "launcher"] as const) {
    if (wanted.has(group)) groups[group] = changesOf(a[group], b[group]);
  }
  const slots = [changedSlots(old, fresh), changedSlots(fresh, old)] as const;
  if (wanted.has("slots")) groups.slots = compareSlots(old, fresh);
  if (wanted.has("dependencies")) {
    ctx.progress.step("Comparing dependencies");
    const distributions = [
      await distributionsOf(old, slots[0]),
      await distributionsOf(fresh, slots[1]),
    ] as const;
    groups.dependencies = changesOf(...distributions);
  }
  if (wanted.has("files")) {
    ctx.progress.step("Comparing files");
    const files = [await filesOf(old, slots[0]), await filesOf(fresh, slots[1])] as const;
    groups.files = changesOf(...files, (x, y) => x.state === y.state).map(sizesOnly);
  }
  if (wanted.has("signers")) groups.signers = signers;
  return {
    equal: old.identity === fresh.identity && signers.length === 0,
    from: sideOf(old),
    to: sideOf(fresh),
    groups,
  };
}

function sideOf({ path: file, metadata, identity, size }: Package): Side {
  const { name, version } = metadata.package;
  return { file, name, version, identity, size };
}

/** Slots of `pkg` that `other` does not have with the same name and bytes. */
function changedSlots(pkg: Package, other: Package): PackageSlot[] {
  return pkg.slots.filter((slot) => {
    const twin = other.slots.find(({ id }) => id === slot.id);
    return slot.checksum === undefined || twin?.checksum !== slot.checksum;
  });
}

function compareSlots(old: Package, fresh: Package): Change<SlotFacts>[] {
  const of = ({ slots }: Package) => new Map(slots.map((slot) => [slot.id, slotFacts(slot)]));
  return changesOf(of(old), of(fresh), (x, y) => JSON.stringify(x) === JSON.stringify(y));
}

function sizesOnly({ name, from, to }: Change<FileFacts>): Change<number> {
  return { name, ...(from && { from: from.size }), ...(to && { to: to.size }) };
}
