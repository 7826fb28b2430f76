/** What the tests of this folder share: streams of odd cuts, collected output, temporary folders, programs as oracles. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { SealiftError } from "../../lib/base/mod.ts";
import type { TreeEntry } from "../../lib/codec/mod.ts";

/** `bytes` in pieces of `size`, each a copy that is overwritten once the next one is asked for. */
export async function* cut(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

/** Like `cut`, but every piece lies in the same buffer, as a reader of files would do it. */
export async function* reused(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    buffer.fill(0xaa);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
  }
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** The code of the error that `action` ends in; fails when it is none of ours or there is none. */
export async function codeOf(action: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof action === "function" ? action() : action);
  } catch (error) {
    if (error instanceof SealiftError) {
      expect(error.hint).toBeString();
      return error.code;
    }
    throw error;
  }
  throw new Error("no error was thrown");
}

export async function withFolder<T>(action: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "sealift-codec-"));
  try {
    return await action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a program with bytes on its standard input; its standard output. */
export function oracle(argv: string[], input: Uint8Array): Buffer {
  const { exitCode, stdout, stderr } = Bun.spawnSync(argv, { stdin: input, maxBuffer: 1 << 28 });
  if (exitCode !== 0) throw new Error(`${argv[0]} ended with ${exitCode}: ${stderr}`);
  return stdout;
}

/** `true`, or why a test that needs these programs is skipped. */
export function programs(...names: string[]): true | string {
  const missing = names.filter((name) => Bun.which(name) === null);
  return missing.length === 0 ? true : `no ${missing.join(", ")}`;
}

export function file(path: string, content: string | Uint8Array = "", mode = 0o644): TreeEntry {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return { path, type: "file", mode, size: bytes.length, source: { bytes } };
}
export function directory(path: string): TreeEntry {
  return { path, type: "directory", mode: 0o755, size: 0 };
}
export function symlink(path: string, link: string): TreeEntry {
  return { path, type: "symlink", mode: 0o777, size: 0, link };
}
export function hardlink(path: string, link: string): TreeEntry {
  return { path, type: "hardlink", mode: 0o644, size: 0, link };
}

/** Content that compresses to about a third: words with some noise, the same for the same seed. */
export function sample(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8;
  const words = Array.from({ length: 300 }, () =>
    random()
      .toString(36)
      .slice(0, 2 + (random() % 9)),
  );
  for (let at = 0; at < size;) at += bytes.write(`${words[random() % 300]} `, at, "latin1") || size;
  return bytes;
}
