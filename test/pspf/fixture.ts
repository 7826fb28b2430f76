/** Packages for the tests of this folder: a small sealed one, and files in a folder that is removed afterwards. */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { SlotInput, WriteOptions } from "../../lib/pspf/mod.ts";
import { writePackage } from "../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../lib/trust/mod.ts";

export const EPOCH = 315532800;
export const signer = signerFromSeed("test123");
export const launcher = {
  bytes: new TextEncoder().encode("#!/bin/sh\necho launcher\n"),
  tool: "sealift-rust",
  toolVersion: "0.1.0",
};

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder of its own for one test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sealift-pspf-"));
  folders.push(folder);
  return folder;
}

export const text = (value: string) => new TextEncoder().encode(value);

export function bytesSlot(
  id: string,
  content: string | Uint8Array,
  more: Partial<SlotInput> = {},
): SlotInput {
  const bytes = typeof content === "string" ? text(content) : content;
  return {
    id,
    source: id,
    target: id,
    operations: [],
    content: { kind: "bytes", bytes },
    ...more,
  };
}

export function treeSlot(
  id: string,
  files: Record<string, string>,
  more: Partial<SlotInput> = {},
): SlotInput {
  const entries = Object.entries(files).map(([path, content]) => ({
    path,
    type: "file" as const,
    mode: 0o644,
    size: text(content).length,
    source: { bytes: text(content) },
  }));
  return {
    id,
    source: `${id}/`,
    target: "",
    operations: ["tar", "zstd"],
    content: { kind: "tree", entries },
    ...more,
  };
}

export function options(slots: SlotInput[], more: Partial<WriteOptions> = {}): WriteOptions {
  return {
    launcher,
    manifest: {
      package: { name: "demo", version: "1.2.3", description: "A demonstration" },
      execution: { argv: ["{workenv}/bin/run", "--flag"], env: { LANG: "C.UTF-8" } },
    },
    slots,
    signer,
    profile: "sealed",
    epoch: EPOCH,
    platform: { os: "linux", arch: "amd64" },
    builder: { name: "sealift", version: "0.0.0-test" },
    force: true,
    ...more,
  };
}

/** Slots that leave padding of every kind: odd sizes, an empty slot, a tree, two compressions. */
export function smallSlots(): SlotInput[] {
  return [
    bytesSlot("run", "#!/bin/sh\necho hi\n", { target: "bin/run", permissions: "0755" }),
    treeSlot("app", { "lib/a.txt": "alpha\n", "lib/b.txt": "beta\n" }),
    bytesSlot("empty", "", { target: "var/empty" }),
    bytesSlot("notes", "plain notes", { target: "notes.gz", operations: ["gzip"] }),
  ];
}

/** Writes the small sealed package and returns its bytes. */
export async function smallPackage(
  path: string,
  more: Partial<WriteOptions> = {},
): Promise<Uint8Array> {
  await writePackage(path, options(smallSlots(), more));
  return new Uint8Array(await readFile(path));
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

/** The error that `work` throws; fails when it throws none. */
export async function thrown(
  work: () => unknown,
): Promise<Error & { code?: string; exit?: number; hint?: string }> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

export async function save(path: string, bytes: Uint8Array): Promise<string> {
  await writeFile(path, bytes);
  return path;
}
