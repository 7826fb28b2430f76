/** Deltas between packages: what comes out is the new package byte for byte and verified, or nothing and a clear error. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

import fc from "fast-check";

import { applyDelta, createDelta, inspectDelta } from "../../../lib/pack/mod.ts";
import { type SlotInput, type WriteOptions, writePackage } from "../../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../../lib/trust/mod.ts";
import { bytesSlot, options, text, treeSlot } from "../../pspf/fixture.ts";
import { upstreamPackage } from "../../pspf/upstream.ts";
import { type Folder, folder, problem, slotsOf } from "../fixture.ts";

interface Pair extends Folder {
  old: string;
  fresh: string;
  patch: string;
  out: string;
}

function pair(): Pair {
  const place = folder();
  const at = (name: string) => join(place.path, name);
  return {
    ...place,
    old: at("old.psp"),
    fresh: at("new.psp"),
    patch: at("a.delta"),
    out: at("out.psp"),
  };
}

async function write(path: string, slots: SlotInput[], more: Partial<WriteOptions> = {}) {
  await writePackage(path, options(slots, more));
}

function versioned(version: string): Partial<WriteOptions> {
  const { manifest } = options([]);
  return { manifest: { ...manifest, package: { name: "demo", version } } };
}

/** Creates, applies and compares; gives back the size of the delta. */
async function travels(place: Pair, more: { portable?: boolean } = {}) {
  const made = await createDelta(place.ctx, place.old, place.fresh, { out: place.patch, ...more });
  await applyDelta(place.ctx, place.old, place.patch, { out: place.out });
  expect(Buffer.compare(readFileSync(place.out), readFileSync(place.fresh))).toBe(0);
  return made;
}

/** Text that compresses as programs do. */
function prose(seed: number, words: number): string {
  let state = seed;
  return Array.from({ length: words }, (_, i) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return `${i % 9 === 0 ? "\n" : ""}word${state >>> 18}`;
  }).join(" ");
}

const library = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [`lib/file${i}.py`, prose(i, 400)]),
);
const changed = {
  ...library,
  "lib/file7.py": `${library["lib/file7.py"]}\nchanged = True\n`,
  "lib/new.py": "print('new')\n",
};

describe("a delta gives the new package back", () => {
  test.each([
    ["zstd at its default level", { operations: ["tar", "zstd"] }],
    ["zstd at the level of pack", { operations: ["tar", "zstd"], level: 9 }],
    ["zstd at an unusual level", { operations: ["tar", "zstd"], level: 13 }],
    ["gzip", { operations: ["tar", "gzip"] }],
    ["xz", { operations: ["tar", "xz"], level: 1 }],
    ["bzip2", { operations: ["tar", "bzip2"] }],
    ["no compression", { operations: ["tar"] }],
  ] as [string, Partial<SlotInput>][])("and a changed file costs little: %s", async (_, how) => {
    using place = pair();
    await write(place.old, [treeSlot("lib", library, how)], versioned("1.0"));
    await write(place.fresh, [treeSlot("lib", changed, how)], versioned("1.1"));
    const made = await travels(place);
    expect(made.slots).toEqual([{ id: "lib", copied: 0, rebuilt: 1, carried: 0 }]);
    expect(made.size).toBeLessThan(2500);
    expect(made.header).toMatchObject({
      from: { name: "demo", version: "1.0" },
      to: { name: "demo", version: "1.1", size: made.full },
      portable: false,
    });
  });

  test("slots that stay are named, whatever their place and name", async () => {
    using place = pair();
    const big = treeSlot("runtime", library);
    await write(place.old, [big, bytesSlot("app", prose(1, 900))], versioned("1.0"));
    const moved = [bytesSlot("app", prose(2, 900)), { ...big, id: "python" }];
    await write(place.fresh, moved, versioned("1.1"));
    const made = await travels(place);
    expect(made.slots[1]).toEqual({ id: "python", copied: 1, rebuilt: 0, carried: 0 });
  });

  test("several chunks: only the one that changed is made again", async () => {
    using place = pair();
    const random = new Uint8Array(9 << 20);
    for (let i = 0; i < random.length; i++) random[i] = (i * i * 2654435761) >>> 23;
    const tree = (app: string) => {
      const slot = treeSlot("site", { "a.txt": app, "z.txt": prose(3, 500) });
      const entries = slot.content.kind === "tree" ? slot.content.entries : [];
      const large = { path: "m.bin", type: "file" as const, mode: 0o644, size: random.length };
      return {
        ...slot,
        content: {
          kind: "tree" as const,
          entries: [...entries, { ...large, source: { bytes: random } }],
        },
      };
    };
    await write(place.old, [tree(prose(4, 500))]);
    await write(place.fresh, [tree(`${prose(4, 500)} more`)]);
    const made = await travels(place);
    expect(made.slots).toEqual([{ id: "site", copied: 2, rebuilt: 1, carried: 0 }]);
    expect(made.size).toBeLessThan(1500);
  });

  test("a first chunk that is the same at many levels does not decide the level of the others", async () => {
    using place = pair();
    const large = Buffer.from(prose(8, 1_000_000));
    const slot = (version: string): SlotInput => {
      const file = (path: string, bytes: Uint8Array) => ({
        path,
        type: "file" as const,
        mode: 0o644,
        size: bytes.length,
        source: { bytes },
      });
      const same = new Uint8Array(1 << 15).fill(7);
      const entries = [
        file("a", Buffer.concat([text(version), same])),
        file("b", Buffer.concat([text(version), large])),
      ];
      return { ...treeSlot("site", {}, { level: 2 }), content: { kind: "tree", entries } };
    };
    await write(place.old, [slot("1")]);
    await write(place.fresh, [slot("2")]);
    const made = await travels(place);
    expect(made.slots[0]).toMatchObject({ rebuilt: 2, carried: 0 });
    const { chunks = [] } = (await slotsOf(place.fresh))[0] as { chunks?: [number, number][] };
    expect(chunks.length).toBe(3);
  });

  test("portable deltas compress nothing again", async () => {
    using place = pair();
    await write(place.old, [treeSlot("lib", library)]);
    await write(place.fresh, [treeSlot("lib", changed)]);
    const made = await travels(place, { portable: true });
    expect(made.slots).toEqual([{ id: "lib", copied: 0, rebuilt: 0, carried: 1 }]);
    expect((await inspectDelta(place.patch)).recompressed).toEqual({});
  });

  test("a slot that no encoder of ours gives is carried", async () => {
    using place = pair();
    const stored = join(place.path, "other.gz");
    // Another writer's header: its operating system is not ours.
    const gzip = Bun.gzipSync(text(prose(5, 800)), { level: 4 });
    gzip[9] = 11;
    writeFileSync(stored, gzip);
    const slot = (content: SlotInput["content"]): SlotInput => ({
      ...bytesSlot("data", ""),
      operations: ["gzip"],
      content,
    });
    await write(place.old, [slot({ kind: "bytes", bytes: text(prose(5, 790)) })]);
    await write(place.fresh, [slot({ kind: "stored", path: stored })]);
    const made = await travels(place);
    expect(made.slots).toEqual([{ id: "data", copied: 0, rebuilt: 0, carried: 1 }]);
  });

  test("packages of other writers", async () => {
    using place = pair();
    const slot = (content: string) => ({
      id: "data",
      target: "data.txt",
      stored: text(content),
      operations: 0n,
      text: "raw",
    });
    writeFileSync(place.old, upstreamPackage("go", [slot(prose(6, 500))]));
    writeFileSync(place.fresh, upstreamPackage("rust", [slot(`${prose(6, 500)} more`)]));
    const made = await travels(place);
    expect(made.size).toBeLessThan(3000);
  });

  test("to itself, backwards, from nothing and to nothing", async () => {
    using place = pair();
    await write(place.old, []);
    await write(place.fresh, [treeSlot("lib", changed), bytesSlot("empty", "")]);
    await travels(place);
    await createDelta(place.ctx, place.fresh, place.old, { out: place.patch, force: true });
    await applyDelta(place.ctx, place.fresh, place.patch, { out: place.out, force: true });
    expect(Buffer.compare(readFileSync(place.out), readFileSync(place.old))).toBe(0);
    await createDelta(place.ctx, place.fresh, place.fresh, { out: place.patch, force: true });
    await applyDelta(place.ctx, place.fresh, place.patch, { out: place.out, force: true });
    expect(Buffer.compare(readFileSync(place.out), readFileSync(place.fresh))).toBe(0);
  });

  test("the same twice is the same delta, and nothing is left in the scratch folder", async () => {
    using place = pair();
    await write(place.old, [treeSlot("lib", library)]);
    await write(place.fresh, [treeSlot("lib", changed)]);
    await travels(place);
    const first = readFileSync(place.patch);
    await createDelta(place.ctx, place.old, place.fresh, { out: place.patch, force: true });
    expect(Buffer.compare(readFileSync(place.patch), first)).toBe(0);
    expect(readdirSync(join(place.ctx.cacheDir, "tmp"))).toEqual([]);
  });

  test("any two trees", async () => {
    const name = fc.stringMatching(/^[a-c]{1,2}(\/[a-c0-9]{1,3})?$/);
    const tree = fc.dictionary(name, fc.string({ maxLength: 700, unit: "grapheme" }), {
      maxKeys: 8,
    });
    const operations = fc.constantFrom("tar|zstd", "tar|gzip", "tar");
    await fc.assert(
      fc.asyncProperty(tree, tree, operations, operations, async (a, b, first, second) => {
        using place = pair();
        const how = (chain: string) => ({
          operations: chain.split("|") as SlotInput["operations"],
        });
        await write(place.old, [
          treeSlot("t", noConflict(a), how(first)),
          bytesSlot("x", JSON.stringify(a)),
        ]);
        await write(place.fresh, [
          treeSlot("t", noConflict({ ...a, ...b }), how(second)),
          bytesSlot("x", JSON.stringify(b)),
        ]);
        await travels(place);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

/** Without files below files, and without names that differ in case only. */
function noConflict(tree: Record<string, string>): Record<string, string> {
  const names = Object.keys(tree);
  return Object.fromEntries(
    Object.entries(tree).filter(([name]) => !names.some((other) => other.startsWith(`${name}/`))),
  );
}

describe("a delta is refused", () => {
  async function ready(place: Pair): Promise<void> {
    await write(place.old, [treeSlot("lib", library)], versioned("1.0"));
    await write(place.fresh, [treeSlot("lib", changed)], versioned("1.1"));
    await createDelta(place.ctx, place.old, place.fresh, { out: place.patch });
  }
  const apply = (place: Pair, more: object = {}) =>
    problem(() => applyDelta(place.ctx, place.old, place.patch, { out: place.out, ...more }));

  test("on another base", async () => {
    using place = pair();
    await ready(place);
    await write(place.old, [treeSlot("lib", changed)], versioned("0.9"));
    const said = await apply(place);
    expect(said).toStartWith(
      `DELTA_BASE: ${place.old}: is demo 0.9, and ${place.patch} is for demo 1.0`,
    );
    await write(place.old, [treeSlot("lib", changed)], versioned("1.0"));
    expect(await apply(place)).toContain("is another build of demo 1.0");
    expect(existsSync(place.out)).toBe(false);
  });

  test("on a base that was changed, before anything is made from it", async () => {
    using place = pair();
    await ready(place);
    const bytes = readFileSync(place.old);
    bytes[5] = (bytes[5] as number) ^ 1;
    writeFileSync(place.old, bytes);
    expect(await apply(place)).toStartWith("SEAL_LAUNCHER: ");
    expect(
      await problem(() => createDelta(place.ctx, place.old, place.fresh, { out: place.out })),
    ).toStartWith("SEAL_LAUNCHER: ");
    expect(existsSync(place.out)).toBe(false);
  });

  test("when the new package has another publisher, unless that was said", async () => {
    using place = pair();
    await ready(place);
    const other = signerFromSeed("somebody else");
    await write(place.fresh, [treeSlot("lib", changed)], { ...versioned("1.1"), signer: other });
    await createDelta(place.ctx, place.old, place.fresh, { out: place.patch, force: true });
    expect(await apply(place)).toStartWith(`DELTA_SIGNER: ${place.out}: signed by ed25519:`);
    expect(
      await apply(place, { key: Buffer.from(signerFromSeed("third").publicKey).toString("hex") }),
    ).toStartWith("TRUST_KEY: ");
    expect(existsSync(place.out)).toBe(false);
    const key = Buffer.from(other.publicKey).toString("hex");
    await applyDelta(place.ctx, place.old, place.patch, { out: place.out, key });
    expect(existsSync(place.out)).toBe(true);
  });

  test("when compressing again gives other bytes than where it was made", async () => {
    using place = pair();
    await ready(place);
    const [slot] = await slotsOf(place.fresh);
    writeFileSync(place.patch, withOtherDigest(readFileSync(place.patch), slot?.checksum ?? ""));
    const said = await apply(place);
    expect(said).toStartWith(
      "DELTA_ENGINE: Compressing with zstd gives other bytes here than where the delta was made: it was made by sealift ",
    );
    expect(said).toEndWith("or ask for one made with `--portable`.");
    expect(existsSync(place.out)).toBe(false);
  });

  test("when its output exists", async () => {
    using place = pair();
    await ready(place);
    writeFileSync(place.out, "mine");
    expect(await apply(place)).toStartWith("FILE_EXISTS: ");
    expect(readFileSync(place.out, "utf8")).toBe("mine");
  });

  test("when it is something else, empty, or of the future", async () => {
    using place = pair();
    await ready(place);
    const bytes = readFileSync(place.patch);
    writeFileSync(place.patch, "");
    expect(await apply(place)).toStartWith(`DELTA_FORMAT: ${place.patch}: it is not a delta`);
    writeFileSync(place.patch, readFileSync(place.old));
    expect(await apply(place)).toStartWith(`DELTA_FORMAT: ${place.patch}: it is not a delta`);
    bytes[8] = 2;
    writeFileSync(place.patch, bytes);
    expect(await apply(place)).toContain("its format version is 2");
  });

  test("whatever byte is changed, and wherever it is cut; also with a digest that was made to fit", async () => {
    using place = pair();
    await ready(place);
    const good = readFileSync(place.patch);
    const fresh = readFileSync(place.fresh);
    const damage = fc.record({
      at: fc.nat(good.length - 1),
      to: fc.nat(255),
      cut: fc.boolean(),
      fits: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, to, cut, fits }) => {
        const bad = cut ? good.subarray(0, at) : Buffer.from(good);
        if (!cut) bad[at] = to;
        const body = bad.subarray(0, Math.max(0, bad.length - 32));
        const digest = new Bun.CryptoHasher("sha256").update(body).digest();
        writeFileSync(place.patch, fits ? Buffer.concat([body, digest]) : bad);
        try {
          await applyDelta(place.ctx, place.old, place.patch, { out: place.out, force: true });
          // Names in the header may change without another result; the result never may.
          expect(Buffer.compare(readFileSync(place.out), fresh)).toBe(0);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(DELTA|ZSTD|SEAL|PSPF)_/);
        }
      }),
      { numRuns: 300 },
    );
    expect(readdirSync(place.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  }, 60_000);
});

/** A delta as another compression library would have made it: the digest of the one compressed piece is another. */
function withOtherDigest(delta: Buffer, digest: string): Buffer {
  const header = JSON.parse(delta.subarray(16, 16 + delta.readUInt32LE(12)).toString());
  const body = 16 + delta.readUInt32LE(12);
  const plan = zstdDecompressSync(delta.subarray(body, body + header.sections.plan[0]));
  const at = plan.indexOf(Buffer.from(digest, "hex"));
  expect(at).toBeGreaterThan(0);
  plan[at] = (plan[at] as number) ^ 1;
  const packed = zstdCompressSync(plan);
  const rest = delta.subarray(body + header.sections.plan[0], delta.length - 32);
  header.sections.plan[0] = packed.length;
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.from(delta.subarray(0, 16));
  start.writeUInt32LE(json.length, 12);
  const whole = Buffer.concat([start, json, packed, rest]);
  return Buffer.concat([whole, new Bun.CryptoHasher("sha256").update(whole).digest()]);
}
