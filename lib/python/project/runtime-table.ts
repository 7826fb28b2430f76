/** `[tool.sealift.runtime]`: how the packed interpreter runs the application. */
import * as v from "valibot";

export const RuntimeTable = v.strictObject({
  optimization_level: v.optional(v.picklist([0, 1, 2], "must be 0, 1 or 2")),
});

export interface RuntimeSettings {
  /** `-O` count of the bytecode and of every start. */
  optimisation: 0 | 1 | 2;
}

export function runtimeSettings(
  table: v.InferOutput<typeof RuntimeTable> | undefined,
): RuntimeSettings {
  return { optimisation: table?.optimization_level ?? 0 };
}
