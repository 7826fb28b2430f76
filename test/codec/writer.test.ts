import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { unpackTar } from "modern-tar";

import {
  arrangeTree,
  compareNames,
  tarSize,
  tarStream,
  type TreeEntry,
} from "../../lib/codec/mod.ts";
import { testIf } from "../support/need.ts";
import {
  codeOf,
  collect,
  directory,
  file,
  hardlink,
  oracle,
  programs,
  sample,
  symlink,
  withFolder,
} from "./fixture.ts";

const EPOCH = 315532800;
const long = (length: number) => "n".repeat(length);

/** Names at every edge of the two fields of ustar, links at theirs, empty and large content. */
const tree: TreeEntry[] = arrangeTree([
  file("empty"),
  file("script", "#!/bin/sh\n", 0o755),
  file(long(100), "100 bytes"),
  file(long(101), "101 bytes"),
  file(`${long(155)}/${long(100)}`, "both fields full"),
  file(`${long(156)}/${long(100)}`, "one too long"),
  file(`deep/${long(60)}/${long(60)}/${long(60)}/${long(60)}/f`, "deep"),
  file("grün/日本/😀", "not ASCII"),
  file("large", sample(3_000_000)),
  file("blocks", sample(1024)),
  directory("hollow"),
  symlink("link", "grün/日本/😀"),
  symlink("deep/long", `../${long(100)}/../${long(101)}`.replace(/^\.\.\/n{100}\/\.\.\//, "../")),
  symlink("deep/longer", `${long(60)}/${long(60)}/${long(60)}/${long(60)}/f`),
  hardlink("z-hard", "large"),
]);

describe("tarStream()", () => {
  test("is as long as tarSize() says, and the same every time", async () => {
    const first = await collect(tarStream(tree, { mtime: EPOCH }));
    expect(first.length).toBe(tarSize(tree));
    expect(first.length % 512).toBe(0);
    expect(Buffer.compare(first, await collect(tarStream(tree, { mtime: EPOCH })))).toBe(0);
  });

  test("writes the header of a plain file as ustar says", async () => {
    const bytes = await collect(tarStream([file("a", "xyz", 0o755)], { mtime: EPOCH }));
    const text = (start: number, length: number) => bytes.toString("latin1", start, start + length);
    expect(text(0, 2)).toBe("a\0");
    expect(text(100, 24)).toBe("0000755\u00000000000\u00000000000\0");
    expect(text(124, 24)).toBe("00000000003\u000002263523000\0");
    expect(text(156, 2)).toBe("0\0");
    expect(text(257, 8)).toBe("ustar\u000000");
    expect(text(265, 64)).toBe("\0".repeat(64));
    expect(bytes.length).toBe(4 * 512);
    expect(bytes.subarray(1024).every((byte) => byte === 0)).toBe(true);
  });

  testIf(programs("tar"))("is read by GNU tar", () =>
    withFolder(async (folder) => {
      const bytes = await collect(tarStream(tree, { mtime: EPOCH }));
      oracle(["tar", "x", "-C", folder], bytes);
      for (const entry of tree) {
        const path = join(folder, entry.path);
        if (entry.type === "symlink") expect(readlinkSync(path)).toBe(entry.link as string);
        if (entry.type !== "file") continue;
        const source = entry.source as { bytes: Uint8Array };
        expect(Buffer.compare(readFileSync(path), source.bytes)).toBe(0);
        expect(statSync(path).mode & 0o777).toBe(entry.mode);
        expect(statSync(path).mtimeMs).toBe(EPOCH * 1000);
      }
      expect(statSync(join(folder, "z-hard")).ino).toBe(statSync(join(folder, "large")).ino);
      expect(readdirSync(join(folder, "hollow"))).toEqual([]);
    }),
  );

  testIf(programs("python3"))("is read by Python's tarfile", async () => {
    const bytes = await collect(tarStream(tree, { mtime: EPOCH }));
    const script = `import sys,tarfile,json
t=tarfile.open(fileobj=sys.stdin.buffer,mode="r|")
print(json.dumps([[m.name,m.size,m.mode,m.mtime,m.linkname,m.uid,m.gid,m.uname,m.gname] for m in t]))`;
    const members = JSON.parse(oracle(["python3", "-c", script], bytes).toString());
    expect(members).toEqual(
      tree.map((entry) => [
        entry.path,
        entry.size,
        entry.mode,
        EPOCH,
        entry.link ?? "",
        0,
        0,
        "",
        "",
      ]),
    );
  });

  test("is read by modern-tar", async () => {
    const members = await unpackTar(await collect(tarStream(tree, { mtime: EPOCH })));
    expect(members.map(({ header }) => header.name.replace(/\/$/, ""))).toEqual(
      tree.map(({ path }) => path),
    );
    expect(members.map(({ data }) => data?.length ?? 0)).toEqual(tree.map(({ size }) => size));
  });

  test("refuses files that changed since they were listed", () =>
    withFolder(async (folder) => {
      const path = join(folder, "f");
      await Bun.write(path, "12345");
      const entry = (size: number): TreeEntry => ({
        path: "f",
        type: "file",
        mode: 0o644,
        size,
        source: path,
      });
      const write = (size: number) => collect(tarStream([entry(size)], { mtime: 0 }));
      expect((await write(5)).length).toBe(2048);
      for (const size of [4, 6, 2_000_000]) expect(await codeOf(write(size))).toBe("FILE_CHANGED");
      const gone: TreeEntry = { ...entry(5), source: join(folder, "gone") };
      expect(await codeOf(collect(tarStream([gone], { mtime: 0 })))).toBe("FILE_MISSING");
    }));

  test.each([
    ["TAR_PATH", [file("../up")]],
    ["TAR_PATH", [file("a/./b")]],
    ["TAR_PATH", [file("a/b")]],
    ["TAR_PATH", [directory(".sealift"), file(".sealift/ready")]],
    ["TAR_DUPLICATE", [file("a"), file("a")]],
    ["TAR_DUPLICATE", [file("b"), file("a")]],
    ["TAR_DUPLICATE", [file("A"), file("a")]],
    ["TAR_LINK", [symlink("a", "/etc/passwd")]],
    ["TAR_LINK", [symlink("a", "../b")]],
    ["TAR_LINK", [hardlink("a", "b"), file("b")]],
    ["TAR_SIZE", [{ ...directory("a"), size: 1 }]],
    ["TAR_SIZE", [{ ...file("a", "x"), size: 2 }]],
    ["TAR_HEADER", [{ ...file("a"), mtime: -1 }]],
    ["TAR_HEADER", [{ ...file("a"), mtime: 2 ** 40 }]],
  ] as [string, TreeEntry[]][])(
    "refuses with %s what the reader would refuse: %j",
    async (code, entries) => {
      expect(await codeOf(collect(tarStream(entries, { mtime: 0 })))).toBe(code);
    },
  );
});

describe("arrangeTree()", () => {
  test("sorts by bytes, adds parents, and normalises names", () => {
    const paths = arrangeTree([
      file("./b//c"),
      file("a-b"),
      file("a/x"),
      file("\u{1f600}"),
      file("\uffee"),
    ]);
    expect(paths.map(({ path }) => path)).toEqual([
      "a",
      "a-b",
      "a/x",
      "b",
      "b/c",
      "\uffee",
      "\u{1f600}",
    ]);
  });

  test("makes the first name of a hard-linked file the file", () => {
    const arranged = arrangeTree([
      file("m", "content", 0o755),
      hardlink("a", "m"),
      hardlink("b", "m"),
      hardlink("z", "m"),
    ]);
    expect(arranged.map(({ path, type, link, size }) => [path, type, link, size])).toEqual([
      ["a", "file", undefined, 7],
      ["b", "hardlink", "a", 0],
      ["m", "hardlink", "a", 0],
      ["z", "hardlink", "a", 0],
    ]);
  });

  test("compareNames() is the order of the UTF-8 bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" }), (a, b) => {
        expect(Math.sign(compareNames(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});
