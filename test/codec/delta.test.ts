/** The generic half of deltas: plans, descriptions of new bytes by old ones, and following them; also hostile plans. */
import { describe as group, expect, test } from "bun:test";

import fc from "fast-check";

import {
  type DeltaSource,
  describe,
  encode,
  encoderFor,
  levelsOf,
  type Op,
  PlanReader,
  PlanWriter,
  rebuild,
  sha256,
  type Span,
  tarStream,
  zstdFileChunks,
  zstdTree,
} from "../../lib/codec/mod.ts";

const source = (bytes: Uint8Array): DeltaSource => ({
  size: bytes.length,
  read: async (offset, length) => {
    if (offset < 0 || length < 0 || offset + length > bytes.length) throw new Error("outside");
    return bytes.slice(offset, offset + length);
  },
});

async function* once(bytes: Uint8Array) {
  yield bytes;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(stream));
}

interface Carried {
  plan: Uint8Array;
  literals: Uint8Array;
  diffs: Uint8Array;
  stored?: Uint8Array;
}

async function follow(old: Uint8Array[], carried: Carried): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await rebuild(
    {
      plan: carried.plan,
      source: async (number) => old[number] && source(old[number]),
      literals: once(carried.literals),
      diffs: once(carried.diffs),
      stored: once(carried.stored ?? new Uint8Array(0)),
    },
    async (piece) => {
      pieces.push(piece.slice());
    },
  );
  return Buffer.concat(pieces);
}

async function describeAll(old: Uint8Array, fresh: Uint8Array, spans: Span[]): Promise<Carried> {
  const literals: Uint8Array[] = [];
  const diffs: Uint8Array[] = [];
  const ops = await describe(0, fresh.length, spans, {
    fresh: source(fresh),
    source: async () => source(old),
    literal: async (bytes) => void literals.push(bytes),
    diff: async (frame) => void diffs.push(frame),
  });
  const plan = new PlanWriter();
  plan.plain(ops);
  return { plan: plan.finish(), literals: Buffer.concat(literals), diffs: Buffer.concat(diffs) };
}

function alike(old: Uint8Array, fresh: Uint8Array): Span[] {
  const base = { source: 0, start: 0, end: old.length, equal: false };
  return [{ start: 0, end: fresh.length, base }];
}

/** Bytes that look like nothing else, the same every time. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

group("new bytes described by old ones", () => {
  test("any edit of any bytes comes back", async () => {
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.nat(300),
      insert: fc.uint8Array({ maxLength: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(5000), fc.nat(), fc.array(edit), async (length, seed, edits) => {
        const old = noise(length, seed);
        let fresh = Buffer.from(old);
        for (const { at, remove, insert } of edits) {
          const place = Math.floor(at * fresh.length);
          const after = fresh.subarray(place + remove);
          fresh = Buffer.concat([fresh.subarray(0, place), insert, after]);
        }
        const carried = await describeAll(old, fresh, alike(old, fresh));
        expect(Buffer.compare(await follow([old], carried), fresh)).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test("a large file with something put in costs about what was put in", async () => {
    const old = noise(9_000_000, 1);
    const fresh = Buffer.concat([
      old.subarray(0, 4_000_001),
      noise(700, 2),
      old.subarray(4_000_001),
    ]);
    const carried = await describeAll(old, fresh, alike(old, fresh));
    expect(Buffer.compare(await follow([old], carried), fresh)).toBe(0);
    expect(carried.literals.length + carried.diffs.length).toBeLessThan(1500);
  });

  test("two changes far apart leave what is between them alone", async () => {
    const old = noise(9_000_000, 3);
    const fresh = Buffer.concat([
      noise(10, 4),
      old.subarray(0, 5_000_000),
      noise(20, 5),
      old.subarray(5_000_000),
      noise(30, 6),
    ]);
    const carried = await describeAll(old, fresh, alike(old, fresh));
    expect(Buffer.compare(await follow([old], carried), fresh)).toBe(0);
    expect(carried.literals.length + carried.diffs.length).toBeLessThan(20_000);
  });

  test("an old file that looks like a dictionary of zstd is none", async () => {
    const old = Buffer.concat([Uint8Array.of(0x37, 0xa4, 0x30, 0xec), noise(2000, 7)]);
    const fresh = Buffer.concat([noise(3, 8), old]);
    const carried = await describeAll(old, fresh, alike(old, fresh));
    expect(Buffer.compare(await follow([old], carried), fresh)).toBe(0);
    expect(carried.diffs.length).toBeLessThan(200);
  });

  test("what has no likeness is literal", async () => {
    const [old, fresh] = [noise(3000, 9), noise(3000, 10)];
    const carried = await describeAll(old, fresh, alike(old, fresh));
    expect(carried.diffs.length).toBe(0);
    expect(Buffer.compare(carried.literals, fresh)).toBe(0);
  });
});

group("compressing again", () => {
  const content = Buffer.from("what a slot may hold, again and again. ".repeat(1000));
  const entries = [
    {
      path: "a.txt",
      type: "file" as const,
      mode: 0o644,
      size: content.length,
      source: { bytes: content },
    },
  ];

  test("gives the bytes of the chunk writer, also of a chunk above 8 MiB", async () => {
    const large = noise((8 << 20) + 1000, 11).fill(7, 0, 4 << 20);
    const tree = [
      { ...(entries[0] as (typeof entries)[0]), size: large.length, source: { bytes: large } },
    ];
    for (const one of [entries, tree]) {
      const plain = await collect(tarStream(one, { mtime: 0 }));
      let at = 0;
      let stored: Uint8Array[] = [];
      for await (const piece of zstdTree(one, { mtime: 0, level: 5 })) {
        stored.push(piece.stored);
        if (!piece.end) continue;
        const encoder = encoderFor("zstd", piece.original, true) as "zstd-chunk";
        const part = plain.subarray(at, at + piece.original);
        const again = await collect(encode(encoder, 5, part.length, once(part)));
        expect(Buffer.compare(again, Buffer.concat(stored))).toBe(0);
        at += piece.original;
        stored = [];
      }
      expect(at).toBe(plain.length);
    }
  });

  test("tries the level of pack first and every level once", async () => {
    expect(levelsOf("zstd-chunk")[0]).toBe(9);
    expect(levelsOf("zstd-chunk").toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 22 }, (_, i) => i + 1),
    );
    expect(levelsOf("xz").toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("other bytes than promised are the engine's fault, said before anything else", async () => {
    const [first] = await Array.fromAsync(zstdFileChunks({ bytes: content }, { level: 3 }));
    const stored = first?.stored as Uint8Array;
    const plan = new PlanWriter();
    const ops: Op[] = [{ kind: "copy", source: 0, offset: 0, length: content.length }];
    const segment = { encoder: "zstd-chunk" as const, level: 4, plain: content.length };
    const changed = sha256(stored);
    changed[0] = (changed[0] as number) ^ 1;
    plan.encoded({ ...segment, stored: stored.length, sha256: changed }, ops);
    const none = new Uint8Array(0);
    const carried = { plan: plan.finish(), literals: none, diffs: none };
    await expect(follow([content], carried)).rejects.toMatchObject({
      code: "DELTA_ENGINE",
      exit: 4,
      hint: expect.stringContaining("--portable"),
    });
  });
});

group("plans", () => {
  const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const length = fc.integer({ min: 1, max: 2 ** 20 });
  const op: fc.Arbitrary<Op> = fc.oneof(
    fc.record({ kind: fc.constant("copy" as const), source: number, offset: number, length }),
    fc.record({ kind: fc.constant("literal" as const), length }),
    fc.record({ kind: fc.constant("stored" as const), length }),
    fc.record({
      kind: fc.constant("diff" as const),
      source: number,
      offset: number,
      span: length,
      length,
      patch: length,
    }),
  );

  test("what is written is read", () => {
    fc.assert(
      fc.property(fc.array(fc.array(op, { minLength: 1 })), (segments) => {
        const writer = new PlanWriter();
        const expected = segments.map((ops, i) => {
          const plain = ops.reduce((sum, one) => sum + one.length, 0);
          const digest = sha256(Uint8Array.of(i));
          const segment = { encoder: "xz" as const, level: 6, plain, stored: i, sha256: digest };
          writer.encoded(segment, ops);
          return { segment, ops };
        });
        const reader = new PlanReader(writer.finish());
        for (const { segment, ops } of expected) {
          expect(reader.segment()).toEqual(segment);
          for (const one of ops) expect(reader.op()).toEqual(one);
          expect(reader.op()).toBeUndefined();
        }
        expect(reader.segment()).toBeUndefined();
      }),
    );
  });

  test("random plans are refused or followed inside of what there is", async () => {
    const old = noise(500, 12);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (plan) => {
        const carried = { plan, literals: noise(100, 1), diffs: noise(100, 2) };
        try {
          await follow([old], carried);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^DELTA_/);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["an encoder that there is not", [9, 1]],
    ["an operation that there is not", [0, 1, 7, 1]],
    ["an operation of no bytes", [0, 1, 1, 0]],
    ["an operation longer than its segment", [0, 1, 1, 2]],
    ["a number that is longer than it must be", [0, 0x81, 0x00, 1, 1]],
    ["a number above 2^53", [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ["more bytes than any package", [0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]],
    ["a source that there is not", [0, 1, 0, 1, 5, 0]],
    ["an offset behind the end", [0, 2, 0, 2, 0, 99]],
    ["a difference that is none", [0, 9, 2, 9, 0, 0, 4, 4]],
    ["a window that is too large", [0, 9, 2, 9, 0, 0, 0x81, 0x80, 0xc0, 0x01, 4]],
    ["a level that there is not", [1, 4, 99, 1, ...new Array<number>(32).fill(0), 0, 4, 0, 0]],
    ["a digest that is cut off", [1, 4, 3, 1, 0, 0]],
    ["an end in the middle", [0, 4, 0, 2, 0, 0]],
    ["more literals than are carried", [0, 60, 1, 60]],
    ["bytes that are left over", [0, 1, 1, 1]],
  ])("%s is refused", async (_what, bytes) => {
    const plan = Uint8Array.from(bytes);
    const carried = { plan, literals: noise(50, 1), diffs: noise(50, 2) };
    await expect(follow([noise(100, 3)], carried)).rejects.toMatchObject({
      code: "DELTA_PLAN",
      exit: 3,
    });
  });
});
