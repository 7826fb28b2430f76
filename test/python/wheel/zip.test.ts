import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";

import { ZipFile } from "../../../lib/python/wheel/zip.ts";
import { codeOf, type Member, scratch, zip } from "../fixture.ts";

function open(
  bytes: Uint8Array,
  limits = {},
): { names: string[]; contents: Map<string, Uint8Array> } {
  using folder = scratch();
  const path = join(folder.path, "a.zip");
  writeFileSync(path, bytes);
  using file = ZipFile.open(path, limits);
  const contents = new Map(
    file.entries.filter((e) => !e.directory).map((e) => [e.name, file.bytes(e)]),
  );
  return { names: file.entries.map((e) => e.name), contents };
}

describe("ZipFile reads", () => {
  test("stored and deflated members, folders, executable bits", () => {
    using folder = scratch();
    const path = join(folder.path, "a.zip");
    writeFileSync(
      path,
      zip([
        { name: "a/", mode: 0o040755, stored: true },
        { name: "a/x.txt", content: "hello" },
        { name: "a/run", content: "#!", stored: true, mode: 0o100755 },
      ]),
    );
    using file = ZipFile.open(path);
    expect(file.entries.map((e) => [e.name, e.directory, e.executable, e.size])).toEqual([
      ["a", true, false, 0],
      ["a/x.txt", false, false, 5],
      ["a/run", false, true, 2],
    ]);
  });

  test("a member in pieces exactly as whole", async () => {
    using folder = scratch();
    const path = join(folder.path, "a.zip");
    const content = new Uint8Array(3 << 20).map((_, i) => (i * 7919) >> 3);
    writeFileSync(
      path,
      zip([
        { name: "big", content },
        { name: "raw", content, stored: true },
      ]),
    );
    using file = ZipFile.open(path);
    for (const entry of file.entries) {
      const pieces = await Array.fromAsync(file.stream(entry));
      expect(Buffer.concat(pieces).equals(content)).toBe(true);
    }
  });

  test("whatever zip() writes", () => {
    const member = fc.record({ content: fc.uint8Array({ maxLength: 2000 }), stored: fc.boolean() });
    fc.assert(
      fc.property(fc.array(member, { maxLength: 12 }), (members) => {
        const named = members.map((m, i) => ({ ...m, name: `d/${i}` }));
        const { contents } = open(zip(named));
        for (const m of named) expect(contents.get(m.name)).toEqual(new Uint8Array(m.content));
      }),
      { numRuns: 40 },
    );
  });
});

/** The same zip with its one two-byte letter as the two bytes C3 28, which are none. */
function latin1(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (bytes[i - 1] === 0xc3 && byte === 0xbf ? 0x28 : byte));
}

describe("ZipFile refuses", () => {
  const good: Member = { name: "a", content: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
  const cases: [string, string, () => Uint8Array][] = [
    ["an empty file", "ZIP_END", () => new Uint8Array()],
    [
      "bytes before the first member",
      "ZIP_RANGE",
      () => zip([good], { prefix: new Uint8Array(5) }),
    ],
    ["bytes between directory and end", "ZIP_END", () => zip([good], { tail: new Uint8Array(3) })],
    ["bytes behind the end", "ZIP_END", () => Buffer.concat([zip([good]), new Uint8Array(1)])],
    ["a name that climbs", "PATH_ESCAPE", () => zip([{ name: "../a", content: "x" }])],
    ["an absolute name", "PATH_ESCAPE", () => zip([{ name: "/etc/passwd", content: "x" }])],
    ["a backslash", "PATH_ESCAPE", () => zip([{ name: "a\\..\\b", content: "x" }])],
    ["a name that is not UTF-8", "ZIP_ENTRY", () => latin1(zip([{ ...good, name: "a\u00ff" }]))],
    ["one name twice", "ZIP_DUPLICATE", () => zip([good, good])],
    ["one name in two spellings", "ZIP_DUPLICATE", () => zip([good, { ...good, name: "./a" }])],
    ["a symbolic link", "ZIP_ENTRY", () => zip([{ ...good, mode: 0o120777 }])],
    ["a device", "ZIP_ENTRY", () => zip([{ ...good, mode: 0o020666 }])],
    ["an encrypted member", "ZIP_ENTRY", () => zip([{ ...good, flags: 1 }])],
    ["an unknown method", "ZIP_METHOD", () => zip([{ ...good, method: 12 }])],
    ["a size that deflate cannot reach", "ZIP_SIZE", () => zip([{ ...good, size: 2 ** 31 }])],
    ["a size that is too small", "ZIP_SIZE", () => zip([{ ...good, size: 44 }])],
    ["a size that is too large", "ZIP_SIZE", () => zip([{ ...good, size: 46 }])],
    ["a wrong CRC-32", "ZIP_CRC", () => zip([{ ...good, crc: 1 }])],
    ["a local header with another name", "ZIP_LOCAL", () => zip([{ ...good, localName: "b" }])],
    [
      "two members in one place",
      "ZIP_OVERLAP",
      () => zip([good, { ...good, name: "b", offset: 0 }]),
    ],
    ["a member beyond the file", "ZIP_RANGE", () => zip([{ ...good, offset: 2 ** 31 }])],
    ["damaged data", "ZIP_DATA", () => zip([{ ...good, content: "x", stored: true, method: 8 }])],
  ];
  test.each(cases)("%s", async (_, code, make) => {
    expect(await codeOf(() => open(make()))).toBe(code);
  });

  test("a name that climbs is told with the file that holds it", () => {
    expect(() => open(zip([{ name: "../a", content: "x" }]))).toThrow(
      /\S: the path "\.\.\/a" holds/,
    );
  });

  test("more members or more content than the limits allow", async () => {
    expect(await codeOf(() => open(zip([good, { ...good, name: "b" }]), { entries: 1 }))).toBe(
      "ZIP_LIMIT",
    );
    expect(await codeOf(() => open(zip([good]), { total: 10 }))).toBe("ZIP_LIMIT");
  });

  test("every truncation, without ever crashing otherwise", () => {
    const bytes = zip([good, { name: "d/b", content: "bb" }]);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => open(bytes.subarray(0, length))).toThrow(/is not a sound zip file/);
    }
  });

  test("flipped bytes: a typed error, or the same contents", () => {
    const bytes = zip([good, { name: "d/b", content: "bb", stored: true }]);
    const whole = open(bytes).contents;
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ mask;
        try {
          for (const [name, content] of open(changed).contents) {
            const known = whole.get(name);
            if (known !== undefined) expect(content).toEqual(known);
          }
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(?:ZIP|PATH)_/);
        }
      }),
      { numRuns: 500 },
    );
  });
});
