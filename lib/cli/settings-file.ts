/** What a settings file may hold. Loaded only when there is one: the checker is larger than all of what else starts. */
import * as v from "valibot";

import { FormatError } from "../base/mod.ts";

export interface Settings {
  /** As `--offline`. */
  offline?: boolean;
  /** As `--cache-dir`; absolute. */
  cacheDir?: string;
}

const Shape = v.strictObject({
  offline: v.exactOptional(v.boolean()),
  cache_dir: v.exactOptional(v.pipe(v.string(), v.regex(/^(?:\/|[A-Za-z]:[\\/])/))),
});

/** `FormatError("SETTINGS")` for anything unknown or of the wrong type. */
export function parseSettings(bytes: Uint8Array, path: string): Settings {
  let document: unknown;
  try {
    document = Bun.TOML.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refusal(path, `is not TOML: ${cause instanceof Error ? cause.message : cause}`, cause);
  }
  const result = v.safeParse(Shape, document);
  if (!result.success) {
    const [issue] = result.issues;
    throw refusal(path, `${v.getDotPath(issue) ?? "the document"} is not valid`);
  }
  const { offline, cache_dir } = result.output;
  return {
    ...(offline === undefined ? {} : { offline }),
    ...(cache_dir === undefined ? {} : { cacheDir: cache_dir }),
  };
}

function refusal(path: string, what: string, cause?: unknown): FormatError {
  return new FormatError("SETTINGS", `${path}: ${what}`, {
    hint: 'It may hold `offline = true` and `cache_dir = "/absolute/path"`.',
    details: { path },
    cause,
  });
}
