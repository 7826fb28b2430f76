/** How commands that empty the cache go about it, and what they answer. */
import * as v from "valibot";

import type { CommandContext } from "./command.ts";
import { counted, printable, type View } from "./view.ts";

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

interface Sweep {
  removed: Removal["removed"];
  kept: Removal["kept"];
  warnings: string[];
}

/** Plans, asks, and only then removes. `sweep(true)` is a dry run of `sweep(false)`. */
export async function removeAfterAsking(
  context: CommandContext,
  base: string,
  sweep: (dryRun: boolean) => Promise<Sweep>,
): Promise<Removal> {
  const plan = await sweep(true);
  const answer = { base, removed: plan.removed, kept: plan.kept, dry_run: context.dryRun };
  if (context.dryRun || plan.removed.length === 0) return answer;
  const question = `Remove ${counted(plan.removed.length, "folder")} from ${base}?`;
  if (!(await context.confirm(question))) return { ...answer, removed: [] };
  const { removed, kept, warnings } = await sweep(false);
  for (const warning of warnings) context.warn(warning);
  return { ...answer, removed, kept };
}

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
