/** `[tool.sealift.runtime]`: how the packed interpreter runs the application. */
import * as v from "valibot";

import { Flag } from "./fields.ts";

export const RuntimeTable = v.pipe(
  v.strictObject({
    optimization_level: v.optional(v.picklist([0, 1, 2], "must be 0, 1 or 2")),
    compile_bytecode: v.optional(Flag),
    strip_docstrings: v.optional(Flag),
  }),
  v.forward(
    v.check(
      (table) => table.compile_bytecode !== false || table.strip_docstrings !== true,
      "contradicts compile_bytecode = false: docstrings are left out of bytecode, never of sources",
    ),
    ["strip_docstrings"],
  ),
  v.forward(
    v.check(
      (table) => table.optimization_level !== 2 || table.strip_docstrings !== false,
      "contradicts optimization_level = 2, which leaves the docstrings out",
    ),
    ["strip_docstrings"],
  ),
);

export interface RuntimeSettings {
  /** `-O` count of the bytecode and of every start. */
  optimisation: 0 | 1 | 2;
  /** What is compiled at pack time; `undefined` = nothing. */
  bytecode: { level: 0 | 1 | 2; docstrings: boolean } | undefined;
}

export function runtimeSettings(
  table: v.InferOutput<typeof RuntimeTable> | undefined,
): RuntimeSettings {
  const optimisation = table?.optimization_level ?? 0;
  const docstrings = optimisation < 2 && table?.strip_docstrings !== true;
  return {
    optimisation,
    bytecode: table?.compile_bytecode === false ? undefined : { level: optimisation, docstrings },
  };
}
