/** What commands that empty the cache answer. */
import * as v from "valibot";

import { printable, type View } from "./view.ts";

const Path = {
  path: v.string(),
  /** `asked`, `old`, `unready`, `corrupt`, `unreferenced`, `leftover`, `copies`, `scratch` */
  reason: v.string(),
  size: v.number(),
};

export const Removal = v.strictObject({
  base: v.string(),
  removed: v.array(v.strictObject(Path)),
  kept: v.array(v.strictObject({ ...Path, because: v.string() })),
  dry_run: v.boolean(),
});
export type Removal = v.InferOutput<typeof Removal>;

export function removalText(data: Removal, view: View): string {
  const word = data.dry_run ? "would remove" : "removed";
  const total = data.removed.reduce((sum, { size }) => sum + size, 0);
  const lines = [
    ...data.removed.map(({ path, reason }) => `${word}  ${printable(path)} (${reason})`),
    ...data.kept.map(({ path, because }) => `kept  ${printable(path)} (${because})`),
  ];
  if (lines.length === 0) return `Nothing to remove in ${printable(data.base)}`;
  return [...lines, `${word} ${data.removed.length}, ${view.size(total)}`].join("\n");
}
