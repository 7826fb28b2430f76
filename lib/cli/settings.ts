/**
 * The user's settings: `--config FILE`, else `SEALIFT_CONFIG`, else `config.toml` in the user's configuration folder when it exists.
 * Never a file from the current folder: a project must not change what sealift does to the person who runs it.
 */
import { join } from "node:path";

import { configFolder, readFileBounded } from "../base/mod.ts";
import type { Settings } from "./settings-file.ts";

const MAX_BYTES = 1 << 20;

type Env = Record<string, string | undefined>;

/** Throws `FormatError("SETTINGS")` for anything unknown or of the wrong type, and the errors of reading when a file was named. */
export async function loadSettings(named: string | undefined, env: Env): Promise<Settings> {
  const path = named ?? (env.SEALIFT_CONFIG || undefined);
  if (path !== undefined) return await read(path);
  const usual = usualPath(env);
  if (usual === undefined || !(await Bun.file(usual).exists())) return {};
  return await read(usual);
}

async function read(path: string): Promise<Settings> {
  const [bytes, { parseSettings }] = await Promise.all([
    readFileBounded(path, MAX_BYTES),
    import("./settings-file.ts"),
  ]);
  return parseSettings(bytes, path);
}

function usualPath(env: Env): string | undefined {
  try {
    return join(configFolder(env), "config.toml");
  } catch {
    // No home, no settings: commands that need a folder will say so themselves.
    return undefined;
  }
}
