/**
 * Which bytes of a package its signature pins (format.md sections 8 and 9). Ours: all of them. Packages of other writers:
 * what their signed JSON happens to say, so the rest is listed.
 */
import type { Range } from "./layout.ts";
import type { Package } from "./package.ts";

export interface CoverageRange extends Range {
  /** `launcher`, `metadata`, `slot table`, `slot <id>`, `padding`, `trailer`. */
  what: string;
  covered: boolean;
}

export interface Coverage {
  /** Bytes of the file. */
  total: number;
  covered: number;
  /** In file order, without gaps. */
  ranges: CoverageRange[];
}

/** What verification found out about the contents. */
export interface Confirmed {
  signature: boolean;
  launcher: boolean;
  /** Only of sealed packages: index block and slot table are what the JSON derives. */
  seal: boolean;
  padding: boolean;
  /** Per slot: the full SHA-256 of the signed JSON was compared and holds. */
  slots: boolean[];
}

export function coverageOf(pkg: Package, confirmed: Confirmed): Coverage {
  const { layout } = pkg;
  const of = (region: Range, what: string, pinned: boolean): CoverageRange => ({
    start: region.start,
    end: region.end,
    what,
    covered: pinned && confirmed.signature,
  });
  const ranges = [
    of(layout.launcher, "launcher", confirmed.launcher),
    of(layout.metadata, "metadata", true),
    of(layout.table, "slot table", confirmed.seal),
    ...pkg.slots.map((slot) =>
      of(slot.region, `slot ${slot.id}`, confirmed.slots[slot.index] === true),
    ),
    ...layout.padding.map((gap) => of(gap, "padding", confirmed.padding)),
    of(layout.trailer, "trailer", confirmed.seal),
  ]
    .filter((range) => range.end > range.start)
    .sort((a, b) => a.start - b.start);
  const covered = ranges.reduce((sum, r) => sum + (r.covered ? r.end - r.start : 0), 0);
  return { total: pkg.size, covered, ranges };
}
