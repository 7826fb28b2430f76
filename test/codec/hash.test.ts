import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";

import {
  adler32,
  canonicalJson,
  gunzipBounded,
  gzipStored,
  isGzipStored,
  Sha256,
  sha256,
  sha256File,
  sha256Hex,
  sha256Ranges,
} from "../../lib/codec/mod.ts";
import { testIf } from "../support/need.ts";
import { codeOf, oracle, programs, sample, withFolder } from "./fixture.ts";

describe("SHA-256", () => {
  test("agrees with a second implementation", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(sha256(bytes)).toEqual(nobleSha256(bytes));
        expect(new Sha256().update(bytes).update(bytes).hex()).toBe(
          sha256Hex(Buffer.concat([bytes, bytes])),
        );
      }),
    );
  });

  test("of a file and of its ranges, on one thread and on several", () =>
    withFolder(async (folder) => {
      const path = join(folder, "data");
      const bytes = sample(1 << 20);
      const whole = Buffer.concat(Array.from({ length: 70 }, () => bytes));
      await Bun.write(path, whole);
      const digest = (start: number, end: number) =>
        createHash("sha256").update(whole.subarray(start, end)).digest("hex");
      expect(await sha256File(path)).toBe(digest(0, whole.length));
      expect(await sha256File(path, { offset: 5, length: 1000 })).toBe(digest(5, 1005));
      expect(await sha256File(path, { offset: 5, length: 0 })).toBe(digest(0, 0));
      const half = whole.length / 2;
      const ranges = [
        { offset: 0, length: half },
        { offset: 7, length: 9 },
        { offset: half, length: half },
      ];
      let advanced = 0;
      const progress = {
        step() {},
        task: () => ({ advance: (n: number) => void (advanced += n), done() {} }),
      };
      for (const jobs of [1, 2, 4]) {
        advanced = 0;
        expect(await sha256Ranges(path, ranges, { jobs, progress })).toEqual([
          digest(0, half),
          digest(7, 16),
          digest(half, whole.length),
        ]);
        expect(advanced).toBe(whole.length + 9);
      }
    }));

  test("names a file that is missing or too short, also when a worker finds it", () =>
    withFolder(async (folder) => {
      const path = join(folder, "data");
      expect(await codeOf(sha256File(path))).toBe("FILE_MISSING");
      expect(await codeOf(sha256Ranges(path, [{ offset: 0, length: 1 }]))).toBe("FILE_MISSING");
      const large = [0, 1].map((i) => ({ offset: i * (40 << 20), length: 40 << 20 }));
      expect(await codeOf(sha256Ranges(path, large, { jobs: 2 }))).toBe("FILE_MISSING");
      await Bun.write(path, "short");
      expect(await codeOf(sha256File(path, { offset: 2, length: 4 }))).toBe("FILE_SHORT");
      expect(await codeOf(sha256Ranges(path, large, { jobs: 2 }))).toBe("FILE_SHORT");
    }));
});

describe("adler32()", () => {
  test("of known texts", () => {
    expect(adler32(new Uint8Array(0))).toBe(1);
    expect(adler32(Buffer.from("Wikipedia"))).toBe(0x11e60398);
  });
  test("does not overflow, and continues from a seed", () => {
    const bytes = new Uint8Array(1_000_000).fill(255);
    let [a, b] = [1, 0];
    for (const byte of bytes) [a, b] = [(a + byte) % 65521, (b + a + byte) % 65521];
    expect(adler32(bytes)).toBe(((b << 16) | a) >>> 0);
    expect(adler32(bytes.subarray(77), adler32(bytes.subarray(0, 77)))).toBe(adler32(bytes));
  });
});

describe("the stored gzip form", () => {
  test.each([0, 1, 65_534, 65_535, 65_536, 131_070, 200_000])("of %d bytes", (size) => {
    const json = sample(size);
    const stored = gzipStored(json);
    expect(stored.length).toBe(18 + Math.max(1, Math.ceil(size / 65_535)) * 5 + size);
    expect(Buffer.from(stored.subarray(0, 10)).toString("hex")).toBe("1f8b08000000000000ff");
    expect(isGzipStored(stored, json)).toBe(true);
    expect(Buffer.compare(gunzipBounded(stored, size), json)).toBe(0);
    expect(Buffer.compare(gunzipSync(stored), json)).toBe(0);
  });

  test("is the only form that counts as stored", () => {
    const json = sample(100);
    expect(isGzipStored(gzipSync(json), json)).toBe(false);
    expect(isGzipStored(gzipStored(sample(100, 2)), json)).toBe(false);
    expect(isGzipStored(Buffer.concat([gzipStored(json), Buffer.alloc(1)]), json)).toBe(false);
  });
});

describe("gunzipBounded()", () => {
  const json = sample(5000);
  const zipped = gzipSync(json);

  testIf(programs("gzip"))("reads what gzip writes, with a file name in the header", () =>
    withFolder(async (folder) => {
      await Bun.write(join(folder, "name"), json);
      const stored = oracle(["gzip", "-c", join(folder, "name")], new Uint8Array(0));
      expect(Buffer.compare(gunzipBounded(stored, 5000), json)).toBe(0);
    }),
  );

  test("stops at its limit", async () => {
    expect(gunzipBounded(zipped, 5000).length).toBe(5000);
    expect(await codeOf(() => gunzipBounded(zipped, 4999))).toBe("GZIP_SIZE");
    const bomb = gzipSync(new Uint8Array(50_000_000));
    expect(await codeOf(() => gunzipBounded(bomb, 1000))).toBe("GZIP_SIZE");
  });

  test("refuses every truncation, anything behind the end, and a second member", async () => {
    for (let end = 0; end < zipped.length; end += end < 40 || end > zipped.length - 40 ? 1 : 37) {
      expect(await codeOf(() => gunzipBounded(zipped.subarray(0, end), 1 << 20))).toBe("GZIP_DATA");
    }
    for (const tail of [Buffer.alloc(1), Buffer.alloc(8), Buffer.from("garbage!!"), zipped]) {
      const longer = Buffer.concat([zipped, tail]);
      expect(await codeOf(() => gunzipBounded(longer, 1 << 20))).toBe("GZIP_DATA");
    }
  });

  test("never fails in another way", () => {
    fc.assert(
      fc.property(fc.nat(zipped.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Uint8Array.from(zipped);
        changed[at] = (changed[at] as number) ^ mask;
        try {
          gunzipBounded(changed, 1 << 20);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^GZIP_/);
        }
      }),
    );
  });
});

describe("canonicalJson()", () => {
  test("sorts by code units and writes numbers as ECMAScript does (RFC 8785 sections 3.2.2 and 3.2.3)", () => {
    expect(
      canonicalJson({
        numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0],
        string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
        literals: [null, true, false],
      }),
    ).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    expect(
      canonicalJson({
        "\u20ac": 1,
        "\r": 2,
        "\ufb33": 3,
        "1": 4,
        "\u{1f600}": 5,
        "\u0080": 6,
        "\u00f6": 7,
      }),
    ).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
  });

  test("is a fixed point that keeps the value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test("leaves out undefined members and refuses what JSON cannot hold", async () => {
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [
      Number.NaN,
      Infinity,
      "\ud800",
      { "\udc00": 1 },
      [undefined],
      1n,
      () => 1,
      cycle,
    ]) {
      expect(await codeOf(() => canonicalJson(value))).toBe("JSON_VALUE");
    }
  });
});
