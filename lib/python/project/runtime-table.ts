/** `[tool.sealift.runtime]`: how the packed interpreter runs the application. */
import * as v from "valibot";

import { Flag } from "./fields.ts";
import {
  NEEDS_PERSISTENT,
  persistentKeys,
  type ServiceWishes,
  serviceWishes,
} from "./service-keys.ts";

export const RuntimeTable = v.pipe(
  v.strictObject({
    optimization_level: v.optional(v.picklist([0, 1, 2], "must be 0, 1 or 2")),
    compile_bytecode: v.optional(Flag),
    strip_docstrings: v.optional(Flag),
    ...persistentKeys,
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
  v.forward(
    v.check((table) => table.persistent === true || table.port === undefined, NEEDS_PERSISTENT),
    ["port"],
  ),
  v.forward(
    v.check((table) => table.persistent === true || table.restart === undefined, NEEDS_PERSISTENT),
    ["restart"],
  ),
  v.forward(
    v.check(
      (table) => table.persistent === true || table.stop_timeout === undefined,
      NEEDS_PERSISTENT,
    ),
    ["stop_timeout"],
  ),
);

export interface RuntimeSettings {
  /** `-O` count of the bytecode and of every start. */
  optimisation: 0 | 1 | 2;
  /** What is compiled at pack time; `undefined` = nothing. */
  bytecode: { level: 0 | 1 | 2; docstrings: boolean } | undefined;
  /** The default command is a service. */
  service?: ServiceWishes;
}

export function runtimeSettings(
  table: v.InferOutput<typeof RuntimeTable> | undefined,
): RuntimeSettings {
  const optimisation = table?.optimization_level ?? 0;
  const docstrings = optimisation < 2 && table?.strip_docstrings !== true;
  const service = serviceWishes(table);
  return {
    ...(service && { service }),
    optimisation,
    bytecode: table?.compile_bytecode === false ? undefined : { level: optimisation, docstrings },
  };
}
