/** `[tool.sealift.python]`: which interpreter goes into the package. */
import * as v from "valibot";

export const PythonTable = v.strictObject({
  version: v.optional(v.pipe(v.string(), v.regex(/^3(\.\d+){0,2}$/, 'must be like "3.12"'))),
});

/** The wishes of the manifest, not yet joined with `requires-python` and `--python`. */
export interface PythonWishes {
  version?: string;
}

export function pythonWishes(table: v.InferOutput<typeof PythonTable> | undefined): PythonWishes {
  return { ...(table?.version !== undefined && { version: table.version }) };
}
