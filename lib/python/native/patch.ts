/** Changing what the loader reads from a file: the one thing that patchelf is used for. */
import { readFileSync, writeFileSync } from "node:fs";

import { type Context, EnvironmentError, run } from "../../base/mod.ts";
import { findTool, type Tool } from "../resolve/tools.ts";
import { stripElf } from "./strip.ts";

/** Sets the search path of `file`: DT_RUNPATH, or DT_RPATH with `old`, which libraries loaded by it inherit. */
export async function setSearchPath(
  ctx: Context,
  file: string,
  path: string,
  options: { old?: boolean; tool?: Tool } = {},
): Promise<void> {
  const patchelf = options.tool ?? (await findTool(ctx, "patchelf"));
  const flags = options.old === true ? ["--force-rpath"] : [];
  const argv = [patchelf.path, ...flags, "--set-rpath", path, file];
  const { code, stderr } = await run(argv, { env: ctx.env, timeoutMs: 120_000 });
  if (code === 0) return;
  throw new EnvironmentError("ELF_PATCH", `The search path of ${file} could not be changed`, {
    hint: "Name another interpreter with `--python`, or leave the package out that holds this file.",
    details: { file, stderr: new TextDecoder().decode(stderr).slice(-500) },
  });
}

/** Takes debug information out of `file`, where that is safe. */
export function stripFile(file: string): void {
  const smaller = stripElf(readFileSync(file));
  if (smaller !== undefined) writeFileSync(file, smaller);
}
