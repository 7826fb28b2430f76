/** `[tool.sealift.entries.NAME]`: a command of the package beside those of `[project.scripts]`, which may have a Python of its own. */
import * as v from "valibot";

import { checkCommandName, parseObjectReference } from "../pep/names.ts";
import { FullText } from "./fields.ts";

export const EntryTable = v.record(
  v.string(),
  v.strictObject({
    entry_point: FullText,
    python: v.optional(v.pipe(v.string(), v.regex(/^3\.\d+(\.\d+)?$/, 'must be like "3.9"'))),
  }),
);

/** Name → object reference, and the version of the Python that runs it; without one it is the package's first. */
export type Entries = Record<string, { reference: string; python?: string }>;

/** @param where the table, for messages */
export function readEntries(
  table: v.InferOutput<typeof EntryTable> | undefined,
  where: string,
): Entries {
  const entries: Entries = {};
  for (const [name, { entry_point: reference, python }] of Object.entries(table ?? {})) {
    checkCommandName(name, where);
    parseObjectReference(reference, `${where}.${name}`);
    entries[name] = { reference, ...(python !== undefined && { python }) };
  }
  return entries;
}
