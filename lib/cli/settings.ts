/**
 * The user's settings: `--config FILE`, else `SEALIFT_CONFIG`, else `config.toml` in the user's configuration folder when it exists.
 * Never a file from the current folder: a project must not change what sealift does to the person who runs it.
 */
import { join } from "node:path";

import { configFolder, FormatError, readFileBounded } from "../base/mod.ts";

export interface Settings {
  /** As `--offline`. */
  offline?: boolean;
  /** As `--cache-dir`; absolute. */
  cacheDir?: string;
}

const MAX_BYTES = 1 << 20;

type Env = Record<string, string | undefined>;

/** Throws `FormatError("SETTINGS")` for anything unknown or of the wrong type, and the errors of reading when a file was named. */
export async function loadSettings(named: string | undefined, env: Env): Promise<Settings> {
  const path = named ?? (env.SEALIFT_CONFIG || undefined);
  if (path !== undefined) return parse(await readFileBounded(path, MAX_BYTES), path);
  const usual = usualPath(env);
  if (usual === undefined || !(await Bun.file(usual).exists())) return {};
  return parse(await readFileBounded(usual, MAX_BYTES), usual);
}

function usualPath(env: Env): string | undefined {
  try {
    return join(configFolder(env), "config.toml");
  } catch {
    // No home, no settings: commands that need a folder will say so themselves.
    return undefined;
  }
}

async function parse(bytes: Uint8Array, path: string): Promise<Settings> {
  const v = await import("valibot");
  const Shape = v.strictObject({
    offline: v.exactOptional(v.boolean()),
    cache_dir: v.exactOptional(v.pipe(v.string(), v.regex(/^(?:\/|[A-Za-z]:[\\/])/))),
  });
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
