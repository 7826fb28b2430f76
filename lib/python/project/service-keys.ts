/** `persistent = true` and what goes with it, in `[tool.sealift.runtime]`: the short form of the table `[tool.sealift.service]`. */
import * as v from "valibot";

import { Flag } from "./fields.ts";

function whole(most: number) {
  const text = `must be a whole number from 1 to ${most}`;
  return v.pipe(v.number(), v.integer(text), v.minValue(1, text), v.maxValue(most, text));
}

export const persistentKeys = {
  persistent: v.optional(Flag),
  port: v.optional(whole(65_535)),
  restart: v.optional(v.picklist(["on-failure", "always", "no"])),
  stop_timeout: v.optional(whole(86_400)),
};

/** Keys with the names that the format gives them. */
export interface ServiceWishes {
  port?: number;
  restart?: "on-failure" | "always" | "no";
  stop_timeout?: number;
}

export const NEEDS_PERSISTENT = "has a meaning only with persistent = true";

/** `undefined`: the application is no service by these keys. */
export function serviceWishes(
  table:
    { [K in keyof typeof persistentKeys]?: v.InferOutput<(typeof persistentKeys)[K]> } | undefined,
): ServiceWishes | undefined {
  if (table?.persistent !== true) return undefined;
  const { port, restart, stop_timeout } = table;
  return {
    ...(port !== undefined && { port }),
    ...(restart !== undefined && { restart }),
    ...(stop_timeout !== undefined && { stop_timeout }),
  };
}
