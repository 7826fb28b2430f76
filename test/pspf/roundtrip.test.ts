/** What is written is what is read, whatever the slots. */
import { describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import fc from "fast-check";

import { arrangeTree, tarStream, type TreeEntry } from "../../lib/codec/mod.ts";
import {
  decodedSlot,
  openPackage,
  type Operation,
  type SlotInput,
  storedSlot,
  verifyPackage,
  writePackage,
} from "../../lib/pspf/mod.ts";
import { bytesSlot, collect, EPOCH, options, temporaryFolder, treeSlot } from "./fixture.ts";

const folder = temporaryFolder();

const compression = fc.constantFrom<Operation>("gzip", "zstd");
const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,10}$/);
const mode = fc.integer({ min: 0, max: 0o777 });

interface Sample {
  isTree: boolean;
  chain: Operation[];
  bytes: Uint8Array;
  files: Record<string, Uint8Array>;
  mode: number;
  inFile: boolean;
  extra: Partial<SlotInput>;
}

const sample: fc.Arbitrary<Sample> = fc.record({
  isTree: fc.boolean(),
  chain: fc.array(compression, { maxLength: 3 }),
  bytes: fc.uint8Array({ maxLength: 3000 }),
  files: fc.dictionary(name, fc.uint8Array({ maxLength: 800 }), { maxKeys: 5 }),
  mode,
  inFile: fc.boolean(),
  extra: fc.record(
    {
      purpose: fc.constantFrom("payload", "runtime", "tool", "media", "other"),
      lifecycle: fc.constantFrom("runtime", "lazy", "config", "startup", "dev"),
      platform: fc.constantFrom("linux", "darwin_arm64", "windows_amd64"),
      share: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
});

async function toSlot(from: Sample, i: number): Promise<{ slot: SlotInput; decoded: Uint8Array }> {
  const more = { ...from.extra, permissions: from.mode };
  if (!from.isTree) {
    const slot = bytesSlot(`s${i}`, from.bytes, { ...more, operations: from.chain });
    if (from.inFile) {
      const path = join(folder, `content-${i}`);
      await writeFile(path, from.bytes);
      slot.content = { kind: "file", path };
    }
    return { slot, decoded: from.bytes };
  }
  const entries: TreeEntry[] = Object.entries(from.files).map(([path, bytes]) => ({
    path,
    type: "file",
    mode: 0o644,
    size: bytes.length,
    source: { bytes },
  }));
  const slot = treeSlot(
    `s${i}`,
    {},
    { ...more, operations: ["tar", ...from.chain], content: { kind: "tree", entries } },
  );
  return { slot, decoded: await collect(tarStream(arrangeTree(entries), { mtime: EPOCH })) };
}

describe("writePackage() and openPackage()", () => {
  test("random slots, chains and metadata come back, verified and whole", async () => {
    const path = join(folder, "random.psp");
    await fc.assert(
      fc.asyncProperty(
        fc.array(sample, { maxLength: 5 }),
        fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), fc.string({ unit: "grapheme" })),
        fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 4 }),
        async (samples, env, argv) => {
          const made = await Promise.all(samples.map(toSlot));
          const written = await writePackage(
            path,
            options(
              made.map(({ slot }) => slot),
              {
                manifest: { package: { name: "p", version: "v 1.0+x" }, execution: { argv, env } },
              },
            ),
          );
          const verdict = await verifyPackage(path);
          expect(verdict.checks.filter((check) => !check.ok)).toEqual([]);
          expect(verdict.coverage.covered).toBe(written.size);
          const pkg = await openPackage(path);
          try {
            expect(pkg.identity).toBe(written.identity);
            expect(pkg.metadata.execution.env).toEqual(env);
            expect(pkg.metadata.execution.argv).toEqual(argv);
            for (const [i, { slot, decoded }] of made.entries()) {
              expect(pkg.slots[i]?.operations).toEqual(slot.operations);
              expect(pkg.slots[i]?.metadata.lifecycle).toBe(slot.lifecycle ?? "runtime");
              expect(Buffer.compare(await collect(decodedSlot(pkg, i)), decoded)).toBe(0);
              expect((await collect(storedSlot(pkg, i))).length).toBe(
                written.slots[i]?.stored as number,
              );
            }
          } finally {
            await pkg.close();
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 30_000);

  test("the same input gives the same bytes (B2, B15)", async () => {
    const slots = () => [
      treeSlot("t", { b: "1", a: "2" }),
      bytesSlot("z", "x".repeat(5000), { operations: ["gzip"] }),
    ];
    const files = [];
    for (const name of ["one.psp", "two.psp"]) {
      await writePackage(join(folder, name), options(slots()));
      files.push(await readFile(join(folder, name)));
    }
    expect(Buffer.compare(files[0] as Buffer, files[1] as Buffer)).toBe(0);
  });

  test("a slot of several chunks is written and read as one", async () => {
    const path = join(folder, "chunks.psp");
    const bytes = new Uint8Array(20 << 20);
    for (let i = 0; i < bytes.length; i += 4096) bytes[i] = i >> 12;
    await writePackage(path, options([bytesSlot("big", bytes, { operations: ["zstd"] })]));
    const pkg = await openPackage(path);
    expect(pkg.slots[0]?.chunks?.length).toBe(3);
    const decoded = await collect(decodedSlot(pkg, 0));
    expect(Buffer.compare(decoded, bytes)).toBe(0);
    await pkg.close();
    expect((await verifyPackage(path)).ok).toBe(true);
  });

  test("names that JavaScript gives a meaning to are names like others", async () => {
    const path = join(folder, "names.psp");
    const env = { constructor: "a", prototype: "b", toString: "c" };
    await writePackage(
      path,
      options([bytesSlot("constructor", "x"), bytesSlot("hasOwnProperty", "y")], {
        manifest: {
          package: { name: "constructor", version: "1" },
          execution: { argv: ["x"], env },
        },
      }),
    );
    const pkg = await openPackage(path);
    expect(pkg.metadata.execution.env).toEqual(env);
    expect(pkg.slots.map((slot) => slot.id)).toEqual(["constructor", "hasOwnProperty"]);
    await pkg.close();
  });
});
