/** The envelope of `--json`. Loaded only then. */
import * as v from "valibot";

import { InternalError } from "../base/mod.ts";
import { type Command, schemaName } from "./command.ts";

/** The JSON document of a finished command. Data that breaks the published schema is a bug, and is not printed. */
export function envelope(command: Command, data: unknown, exit: number): unknown {
  const result = v.safeParse(command.data, data);
  if (!result.success) {
    const detail = v.summarize(result.issues);
    throw new InternalError(
      "OUTPUT_SCHEMA",
      `The answer of ${command.name} breaks its own schema: ${detail}`,
    );
  }
  return { schema: schemaName(command.name), ok: exit === 0, ...(data as object) };
}
