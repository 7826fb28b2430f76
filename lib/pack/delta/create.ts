/**
 * Two packages → the delta between them. What is equal is named, what changed inside a slot is described file by file, and a chunk is
 * compressed again on the other side when that was tried here and gave its very bytes; otherwise its stored bytes are carried. Before the
 * delta appears it is applied once, without writing.
 */
import { join } from "node:path";

import {
  AtomicFile,
  type Context,
  EnvironmentError,
  InternalError,
  scratchFolder,
  version,
} from "../../base/mod.ts";
import {
  type DeltaSource,
  describe,
  engines,
  Garbage,
  type Op,
  PlanWriter,
  sha256File,
  type Span,
} from "../../codec/mod.ts";
import { openPackage, type Package, type PackageSlot, type Range } from "../../pspf/mod.ts";
import { checkWhole, replay } from "./apply.ts";
import { ChangedSlot, digest, framesOf } from "./changed.ts";
import { type DeltaHeader, openDelta, writeDelta } from "./file.ts";
import { Counterparts, membersOf } from "./members.ts";
import { isReadable, PackageSources } from "./sources.ts";
import { Spool } from "./spool.ts";

export interface CreateOptions {
  out: string;
  /** Carry the stored bytes of every chunk that changed: larger, and independent of compression libraries. */
  portable?: boolean;
  force?: boolean;
  /** Do everything but write the delta. */
  dryRun?: boolean;
}

/** How many of a slot's chunks (a slot without chunks counts as one) travel in which way. */
export interface SlotDelta {
  id: string;
  copied: number;
  rebuilt: number;
  carried: number;
}

export interface CreatedDelta {
  path: string;
  /** Bytes of the delta, and of the new package. */
  size: number;
  full: number;
  header: DeltaHeader;
  slots: SlotDelta[];
}

/**
 * Writes the delta from the package at `from` to the one at `to`.
 * @throws CheckError when one of them does not verify; FormatError, EnvironmentError
 */
export async function createDelta(
  ctx: Context,
  from: string,
  to: string,
  options: CreateOptions,
): Promise<CreatedDelta> {
  await using out = await AtomicFile.create(options.out, { force: options.force === true });
  await checkWhole(ctx, from);
  await checkWhole(ctx, to);
  await using folder = await scratchFolder(join(ctx.cacheDir, "tmp"), "sealift-delta-");
  await using old = await openSources(from, folder.path, "old");
  await using fresh = await openSources(to, folder.path, "new");
  const builder = await Builder.create(ctx, old, fresh, folder.path, options.portable === true);
  try {
    await builder.build();
    const target = { ...nameOf(fresh.pkg), size: fresh.pkg.size, sha256: await sha256File(to) };
    const header = {
      from: nameOf(old.pkg),
      to: target,
      made_by: { sealift: version, ...engines() },
      portable: options.portable === true,
    };
    await using packed = await Spool.create(join(folder.path, "packed"));
    await writeDelta(out, packed, builder.content(header));
    const delta = await prove(ctx, out, old);
    const created = { path: options.out, size: out.position, full: fresh.pkg.size };
    if (!options.dryRun) await out.commit();
    return { ...created, header: delta, slots: builder.slots };
  } finally {
    await builder.close();
  }
}

async function openSources(path: string, folder: string, prefix: string): Promise<PackageSources> {
  return new PackageSources(await openPackage(path), folder, prefix);
}

function nameOf({ metadata, identity }: Package) {
  return { name: metadata.package.name, version: metadata.package.version, identity };
}

/** Applies the delta as it will be applied, and compares the digest of the whole. */
async function prove(ctx: Context, out: AtomicFile, old: PackageSources): Promise<DeltaHeader> {
  const delta = await openDelta(out.temporary);
  try {
    await replay(ctx, delta, old, async () => {});
    return delta.header;
  } catch (error) {
    if (error instanceof EnvironmentError && error.code !== "DELTA_ENGINE") throw error;
    throw new InternalError("DELTA_PROOF", `The delta does not give the new package: ${error}`, {
      hint: "This is a bug in sealift; `--portable` may avoid it.",
      cause: error,
    });
  } finally {
    await delta.close();
  }
}

class Builder {
  readonly slots: SlotDelta[] = [];
  readonly #plan = new PlanWriter();
  readonly #counterparts = new Counterparts();
  readonly #garbage = new Garbage();
  /** Stored chunks and slots of the old package by their SHA-256. */
  readonly #known = new Map<string, Range>();

  private constructor(
    private readonly ctx: Context,
    private readonly old: PackageSources,
    private readonly fresh: PackageSources,
    private readonly portable: boolean,
    private readonly spools: { literals: Spool; diffs: Spool; stored: Spool },
  ) {}

  static async create(
    ctx: Context,
    old: PackageSources,
    fresh: PackageSources,
    folder: string,
    portable: boolean,
  ): Promise<Builder> {
    const spool = (name: string) => Spool.create(join(folder, name));
    const [literals, diffs] = [await spool("literals"), await spool("diffs")];
    const spools = { literals, diffs, stored: await spool("stored") };
    return new Builder(ctx, old, fresh, portable, spools);
  }

  content(header: Omit<DeltaHeader, "sections">) {
    return { header, plan: this.#plan.finish(), ...this.spools };
  }

  async close(): Promise<void> {
    for (const spool of Object.values(this.spools)) await spool.close();
  }

  /** The new file from its first byte to its last. */
  async build(): Promise<void> {
    await this.#learn();
    const { layout, slots } = this.fresh.pkg;
    const was = this.old.pkg.layout;
    let end = 0;
    const upTo = async (start: number) => {
      if (start > end) await this.#region({ start: end, end: start });
      end = start;
    };
    for (const region of ["launcher", "metadata", "table"] as const) {
      await upTo(layout[region].start);
      await this.#region(layout[region], was[region]);
      end = layout[region].end;
    }
    for (const slot of slots) {
      if (slot.size === 0) continue;
      await upTo(slot.region.start);
      await this.#slot(slot);
      end = slot.region.end;
    }
    await upTo(layout.trailer.start);
    await this.#region(layout.trailer, was.trailer);
  }

  /** Digests of the old stored bytes, and the files of those old slots that are not in the new package as they are. */
  async #learn(): Promise<void> {
    const { pkg } = this.old;
    const kept = new Set(this.fresh.pkg.slots.map((slot) => slot.checksum));
    for (const slot of pkg.slots) {
      if (slot.checksum !== undefined) this.#known.set(slot.checksum, slot.region);
      if (slot.size === 0 || (slot.checksum !== undefined && kept.has(slot.checksum))) continue;
      this.ctx.progress.step(`Reading slot ${slot.id} of the old package`);
      for (const { start, stored } of framesOf(slot)) {
        const range = { start, end: start + stored };
        this.#known.set(await digest(pkg, range), range);
      }
      if (!isReadable(slot)) continue;
      const source = await this.old.slot(slot);
      this.#counterparts.add(await membersOf(source, slot.index + 1, slot));
    }
  }

  /** Bytes outside of slots; `was` is what they are like. */
  async #region({ start, end }: Range, was?: Range): Promise<void> {
    if (end === start) return;
    const base = was && was.end > was.start ? { source: 0, ...was, equal: false } : undefined;
    const equal =
      base !== undefined &&
      was !== undefined &&
      was.end - was.start === end - start &&
      (await digest(this.old.pkg, was)) === (await digest(this.fresh.pkg, { start, end }));
    const span: Span = { start, end, ...(base && { base: { ...base, equal } }) };
    this.#plan.plain(await this.#describe(start, end, [span], this.fresh.file));
  }

  async #slot(slot: PackageSlot): Promise<void> {
    const report: SlotDelta = { id: slot.id, copied: 0, rebuilt: 0, carried: 0 };
    this.slots.push(report);
    const known = this.#known.get(slot.checksum ?? "");
    if (known !== undefined) {
      report.copied = slot.chunks?.length ?? 1;
      return this.#copy(known);
    }
    this.ctx.progress.step(`Comparing slot ${slot.id}`);
    const changed = new ChangedSlot(slot, this.fresh, this.old, this.#counterparts, this.portable);
    for (const frame of framesOf(slot)) {
      const range = { start: frame.start, end: frame.start + frame.stored };
      const same = this.#known.get(await digest(this.fresh.pkg, range));
      if (same !== undefined) {
        report.copied++;
        this.#copy(same);
        continue;
      }
      const recipe = await changed.recipe(frame);
      if (recipe === undefined) {
        report.carried++;
        await this.#carry(range);
        continue;
      }
      report.rebuilt++;
      const end = frame.offset + recipe.plain;
      const ops = await this.#describe(frame.offset, end, recipe.spans, recipe.content);
      if (recipe.encoder === "none") this.#plan.plain(ops);
      else this.#plan.encoded({ ...recipe, stored: frame.stored }, ops);
      this.#garbage.add(recipe.plain);
    }
  }

  #copy({ start, end }: Range): void {
    this.#plan.plain([{ kind: "copy", source: 0, offset: start, length: end - start }]);
  }

  async #carry(range: Range): Promise<void> {
    for await (const piece of this.fresh.pkg.file.stream(range)) {
      await this.spools.stored.append(piece);
      this.#plan.plain([{ kind: "stored", length: piece.length }]);
    }
  }

  /** Ops for new bytes; what they carry goes into the spools. */
  async #describe(
    start: number,
    end: number,
    spans: readonly Span[],
    fresh: DeltaSource,
  ): Promise<Op[]> {
    return await describe(start, end, spans, {
      fresh,
      source: async (number) => (await this.old.get(number)) as DeltaSource,
      literal: (bytes) => this.spools.literals.append(bytes),
      diff: (frame) => this.spools.diffs.append(frame),
    });
  }
}
