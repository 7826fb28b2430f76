/** Staged slots laid out as a launcher does it, and commands in a root that holds the C library and nothing else. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Context, NetworkError, run, silentProgress } from "../../lib/base/mod.ts";
import { extractTar, tarStream } from "../../lib/codec/mod.ts";
import { hostPlatform } from "../../lib/launcher/mod.ts";
import { readPyproject, type StagedPython, stagePython } from "../../lib/python/mod.ts";
import { bareRoot } from "../../scripts/bare-root.ts";
import { needPackages } from "../support/debian.ts";

/** Downloads are kept between runs. */
export const CACHE = join(import.meta.dir, "..", "..", "build", "test", "python-cache");

export function context(more: Partial<Context> = {}): Context {
  return { offline: false, cacheDir: CACHE, progress: silentProgress, env: process.env, ...more };
}

/** Stages the project at `root`, whose `pyproject.toml` is written first when `text` is given. */
export async function stage(
  ctx: Context,
  root: string,
  text?: string,
  python?: string,
): Promise<StagedPython> {
  const manifest = join(root, "pyproject.toml");
  if (text !== undefined) writeFileSync(manifest, text);
  const document = Bun.TOML.parse(readFileSync(manifest, "utf8")) as Record<string, unknown>;
  const scratch = mkdtempSync(join(root, "..", "scratch-"));
  return await stagePython(ctx, readPyproject(document, manifest), {
    platform: hostPlatform(),
    scratch,
    python,
  });
}

/** What `action` gives, or why this machine cannot do it: no Linux, no bubblewrap, no Python, no index. */
export async function attempt<T>(action: () => Promise<T>): Promise<T | string> {
  if (process.platform !== "linux") return "only Linux interpreters can be made relocatable";
  const sandbox = await needPackages(["bubblewrap"]);
  if (sandbox !== true) return sandbox;
  try {
    return await action();
  } catch (error) {
    if (error instanceof NetworkError) return `the package index cannot be reached (${error.code})`;
    if ((error as { code?: string }).code === "PYTHON_MISSING") return "this machine has no Python";
    throw error;
  }
}

/** The slots as a launcher lays them out. */
export async function layOut(of: StagedPython, place: string): Promise<void> {
  for (const slot of of.slots) {
    const dir = slot.share ? join(place, `store-${slot.id}`) : join(place, "work", slot.target);
    mkdirSync(dir, { recursive: true });
    await extractTar(tarStream(slot.content.entries, { mtime: 315532800 }), dir);
  }
}

/** A command in the bare root, with the places of this layout. */
export async function inBareRoot(
  place: string,
  command: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const filled = command.map((word) =>
    word.replaceAll("{workenv}", "/p/work").replace(/\{slot:([^}]+)\}/g, "/p/store-$1"),
  );
  const done = await run(["bwrap", ...bareRoot(), "--bind", place, "/p", ...filled], {
    timeoutMs: 120_000,
  });
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: done.code, stdout: text(done.stdout), stderr: text(done.stderr) };
}

/** The tar stream of a slot as one number, to compare. */
export async function slotDigest(of: StagedPython, id: string): Promise<string> {
  const { entries } = of.slots.find((slot) => slot.id === id)?.content ?? { entries: [] };
  const hash = new Bun.CryptoHasher("sha256");
  for await (const part of tarStream(entries, { mtime: 315532800 })) hash.update(part);
  return hash.digest("hex");
}
