/** A project folder and a context for the tests of this room; everything is below one temporary folder. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { type Context, SealiftError, silentProgress } from "../../lib/base/mod.ts";
import { loadProject, type PackOptions, packProject } from "../../lib/pack/mod.ts";
import { openPackage } from "../../lib/pspf/mod.ts";

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

export const HEAD =
  '[package]\nname = "demo"\nversion = "1.0"\n[execution]\nargv = ["/bin/sh", "{workenv}/bin/run.sh"]\n';
export const SCRIPT = '[[slots]]\nid = "script"\nsource = "run.sh"\ntarget = "bin/"\n';
export const FILES = { "run.sh": "#!/bin/sh\necho ran\n" };

export async function pack(
  project: Folder,
  manifest: string,
  options: PackOptions = {},
  files: Record<string, string> = FILES,
) {
  const root = project.put({ ...files, "sealift.toml": manifest });
  const loaded = await loadProject(root);
  return await packProject(project.ctx, loaded, { keySeed: "test123", ...options });
}

export async function slotsOf(path: string) {
  const pkg = await openPackage(path);
  await pkg.close();
  return pkg.slots;
}

export const only = (report: Awaited<ReturnType<typeof pack>>) => report.outputs[0]?.path as string;
