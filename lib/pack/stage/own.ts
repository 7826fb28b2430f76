/**
 * Files that must not go into a package though they lie in a folder that does: the key that signs it and those of its slots,
 * which would give them away, and the package of an earlier run, which would grow with every run and never be the same twice.
 */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";

import { FormatError } from "../../base/mod.ts";
import type { StagedSlot } from "./stage.ts";

/** @throws FormatError `KEY_PACKED`, `OUTPUT_PACKED` */
export function refuseOwnFiles(
  slots: StagedSlot[],
  files: { key: string | undefined; slotKeys: string[]; outputs: string[] },
): void {
  const key = files.key === undefined ? undefined : realPath(files.key);
  const slotKeys = new Set(files.slotKeys.map(realPath));
  const outputs = new Set(files.outputs.map(realPath));
  for (const { input } of slots) {
    for (const path of sourcesOf(input.content)) {
      if (path === key || slotKeys.has(path)) {
        const what =
          path === key ? "the private key that signs the package" : "the key of an encrypted slot";
        throw new FormatError("KEY_PACKED", `Slot ${input.id}: ${path} is ${what}`, {
          hint: "Move the key out of the folder, or leave it out with `exclude`.",
        });
      }
      if (outputs.has(path)) {
        throw new FormatError(
          "OUTPUT_PACKED",
          `Slot ${input.id}: ${path} is the package of an earlier run`,
          {
            hint: 'Leave it out, for example with exclude = ["dist"], or write the package elsewhere with `-o`.',
          },
        );
      }
    }
  }
}

function* sourcesOf(content: StagedSlot["input"]["content"]): Generator<string> {
  if (content.kind === "file" || content.kind === "stored") yield realPath(content.path);
  if (content.kind !== "tree") return;
  for (const { source } of content.entries) if (typeof source === "string") yield resolve(source);
}

/** Entries of a tree are found below a folder as it was named; that folder may be reached through a link. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
