/**
 * Interpreters that uv fetches: builds of python-build-standalone, which run from any folder, for every platform. uv knows their addresses
 * and digests; a mirror (`UV_PYTHON_INSTALL_MIRROR`, `python.mirror`) or an own list (`UV_PYTHON_DOWNLOADS_JSON_URL`) is its setting too.
 * They lie in the cache under uv's names for them, so what is there is never asked for again.
 */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

import * as v from "valibot";

import { CheckError, type Context, EnvironmentError, NetworkError, run } from "../../base/mod.ts";
import { type PythonContext, settingsOf } from "../index/index-settings.ts";
import { findTool } from "../resolve/tools.ts";
import { scrubbed, uvEnvironment } from "../resolve/uv-run.ts";
import { newestFirst } from "./need.ts";

export interface ManagedPython {
  /** uv's name: `cpython-3.12.4-linux-aarch64-gnu`. */
  key: string;
  version: string;
}

const Listed = v.array(
  v.looseObject({
    key: v.string(),
    version: v.string(),
    implementation: v.string(),
    variant: v.optional(v.nullable(v.string())),
  }),
);

const SYSTEMS: Record<string, string> = {
  linux_amd64: "linux-x86_64-gnu",
  linux_arm64: "linux-aarch64-gnu",
  darwin_amd64: "macos-x86_64-none",
  darwin_arm64: "macos-aarch64-none",
  windows_amd64: "windows-x86_64-none",
  windows_arm64: "windows-aarch64-none",
};

/** What uv could fetch for `platform`, newest first; offline what the cache holds. */
export async function managedPythons(
  ctx: PythonContext,
  platform: string,
): Promise<ManagedPython[]> {
  const system = SYSTEMS[platform] ?? platform;
  const found = ctx.offline ? inCache(ctx) : await listed(ctx);
  return found
    .filter(({ key, version }) => key === `cpython-${version}-${system}`)
    .sort((a, b) => newestFirst(a.version, b.version));
}

async function listed(ctx: PythonContext): Promise<ManagedPython[]> {
  const flags = ["--all-versions", "--all-platforms", "--all-arches", "--only-downloads"];
  const argv = ["python", "list", ...flags, "--output-format", "json"];
  const text = await uv(ctx, argv, "Listing the interpreters that uv can fetch", {});
  const result = v.safeParse(Listed, parsed(text));
  if (result.success) return result.output;
  throw new EnvironmentError("TOOL_ANSWER", "`uv python list` gives no list that can be read", {
    hint: "Use another version of uv.",
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function inCache(ctx: Context): ManagedPython[] {
  const folder = managedFolder(ctx);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((key) => {
    const version = /^cpython-(3\.\d+\.\d+(?:(?:a|b|rc)\d+)?)-/.exec(key)?.[1];
    return version === undefined ? [] : [{ key, version }];
  });
}

function managedFolder(ctx: Context): string {
  return join(ctx.cacheDir, "python", "managed");
}

/** The prefix of a managed interpreter, fetched when it is not there. `CheckError` `PYTHON_DIGEST`, `NetworkError` `PYTHON_FETCH`. */
export async function installManaged(
  ctx: PythonContext,
  { key }: ManagedPython,
  mirror: string | undefined,
): Promise<string> {
  const folder = managedFolder(ctx);
  const prefix = join(folder, key);
  if (existsSync(prefix)) return prefix;
  ctx.progress.step(`Fetching ${key}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const argv = ["python", "install", key, "--install-dir", folder];
  const own = ctx.env.UV_PYTHON_INSTALL_MIRROR;
  await uv(ctx, argv, `Fetching ${key}`, {
    UV_PYTHON_INSTALL_BIN: "0",
    UV_PYTHON_INSTALL_REGISTRY: "0",
    ...(own === undefined && mirror !== undefined && { UV_PYTHON_INSTALL_MIRROR: mirror }),
  });
  if (existsSync(prefix)) return prefix;
  throw new EnvironmentError("PYTHON_FETCH", `uv fetched ${key} to no place that is known`, {
    hint: "Use another version of uv.",
    details: { expected: prefix },
  });
}

async function uv(
  ctx: PythonContext,
  argv: string[],
  what: string,
  more: Record<string, string>,
): Promise<string> {
  const tool = await findTool(ctx, "uv");
  const settings = settingsOf(ctx);
  const { code, stdout, stderr } = await run(
    [tool.path, ...argv, "--no-progress", "--color", "never"],
    { env: { ...uvEnvironment(ctx.env, settings), ...more }, timeoutMs: 1_800_000 },
  );
  if (code === 0) return new TextDecoder().decode(stdout);
  const words = scrubbed(new TextDecoder().decode(stderr), settings).trim();
  const details = { code, stderr: words };
  if (/hash mismatch|checksum/i.test(words)) {
    throw new CheckError("PYTHON_DIGEST", `${what} failed:\n${words}`, {
      hint: "The mirror holds another file than uv expects; do not use it.",
      details,
    });
  }
  throw new NetworkError("PYTHON_FETCH", `${what} failed:\n${words}`, {
    hint: "Check the connection and the mirror (UV_PYTHON_INSTALL_MIRROR, python.mirror), or name an archive.",
    details,
  });
}
