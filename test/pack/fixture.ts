/** A project folder and a context for the tests of this room; everything is below one temporary folder. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { type Context, SealiftError, silentProgress } from "../../lib/base/mod.ts";

export interface Folder extends Disposable {
  path: string;
  /** Writes files; a text that begins with `#!` is executable. Returns the folder's path. */
  put(files: Record<string, string | Uint8Array>): string;
  ctx: Context;
}

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "pack-"));
  const put = (files: Record<string, string | Uint8Array>): string => {
    for (const [name, content] of Object.entries(files)) {
      const file = join(path, "project", name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      if (typeof content === "string" && content.startsWith("#!")) chmodSync(file, 0o755);
    }
    return join(path, "project");
  };
  const env = {
    PATH: process.env.PATH,
    HOME: path,
    SEALIFT_CACHE: join(path, "cache"),
    XDG_CONFIG_HOME: join(path, "config"),
  };
  const ctx: Context = {
    offline: true,
    cacheDir: join(path, "cache"),
    progress: silentProgress,
    env,
  };
  return {
    path,
    put,
    ctx,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** What a call throws, as `CODE: message | hint`; fails when it throws nothing, or no error of ours. */
export async function problem(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof SealiftError)) throw error;
    return `${error.code}: ${error.message} | ${error.hint ?? ""}`;
  }
  throw new Error("it threw nothing");
}
