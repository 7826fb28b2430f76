/** `inspect --sizes`: where the bytes are, as tables. The page of `--html` shows the same values. */
import * as v from "valibot";

import type { SizeReport } from "../../pack/mod.ts";
import { counted, printable, type View } from "../view.ts";

const Bytes = { stored: v.number(), unpacked: v.number() };

/** Stored bytes of groups and files are estimated shares of the compressed slot. */
export const Sizes = v.strictObject({
  size: v.number(),
  parts: v.array(
    v.strictObject({
      name: v.string(),
      kind: v.picklist(["slot", "head"]),
      ...Bytes,
      groups: v.array(
        v.strictObject({
          name: v.string(),
          kind: v.picklist(["distribution", "folder"]),
          version: v.optional(v.string()),
          license: v.optional(v.string()),
          ...Bytes,
          files: v.array(v.strictObject({ path: v.string(), ...Bytes })),
        }),
      ),
    }),
  ),
});
export type Sizes = v.InferOutput<typeof Sizes>;

export function describeSizes({ size, parts }: SizeReport): Sizes {
  return { size, parts };
}

/** Groups below this share of the package stand together in one row, unless everything is wanted. */
const SMALL = 0.002;

export function renderSizes({ size, parts }: Sizes, view: View): string {
  const { style } = view;
  const share = (bytes: number) => `${((bytes / size) * 100).toFixed(1)} %`;
  const rows = [["", "files", "unpacked", "stored", "of package"].map(style.dim)];
  for (const part of parts) {
    const files = part.groups.reduce((sum, group) => sum + group.files.length, 0);
    rows.push([
      style.bold(printable(part.name)),
      files === 0 ? "" : files.toLocaleString("en-US"),
      view.size(part.unpacked),
      view.size(part.stored),
      share(part.stored),
    ]);
    const shown = part.groups.filter((group) => view.verbose || group.stored >= size * SMALL);
    for (const group of shown) {
      rows.push([
        `  ${printable(`${group.name} ${group.version ?? ""}`.trim())}`,
        group.files.length.toLocaleString("en-US"),
        view.size(group.unpacked),
        `~${view.size(group.stored)}`,
        share(group.stored),
      ]);
    }
    const rest = part.groups.length - shown.length;
    if (rest > 0) rows.push([style.dim(`  ${counted(rest, "smaller group")}`), "", "", "", ""]);
  }
  return view.table(rows);
}
