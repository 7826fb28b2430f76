import { describe, expect, test } from "bun:test";

import { archive, type Block, block, end, pax, read, record } from "./blocks.ts";
import { codeOf } from "./fixture.ts";

describe("readTar() refuses", () => {
  const twice = (type: string): Block[] => [
    { name: "a", type },
    { name: "a", type },
  ];
  const rows: [string, string, Block[]][] = [
    ["an absolute name", "TAR_PATH", [{ name: "/etc/passwd" }]],
    ["a name that goes up", "TAR_PATH", [{ name: "a/../../b" }]],
    ["a name that goes up and comes back", "TAR_PATH", [{ name: "a/../b" }]],
    ["a drive letter", "TAR_PATH", [{ name: "C:/x" }]],
    ["a backslash", "TAR_PATH", [{ name: "a\\b" }]],
    ["an empty name", "TAR_PATH", [{ name: "" }]],
    ["NUL in a pax name", "TAR_PATH", [pax("path=a\0b"), {}]],
    ["a name that is not UTF-8", "TAR_PATH", [{ name: Uint8Array.of(0xff, 0x41) }]],
    ["a name of the launcher", "TAR_PATH", [{ name: ".sealift/ready" }]],
    ["a name of more than 4,096 bytes", "TAR_PATH", [pax(`path=${"a/".repeat(2050)}x`), {}]],
    ["the root as a file", "TAR_PATH", [{ name: ".", body: "x" }]],
    ["a file with a slash at the end", "TAR_PATH", [{ name: "a/", body: "x" }]],
    ["a character device", "TAR_TYPE", [{ type: "3" }]],
    ["a block device", "TAR_TYPE", [{ type: "4" }]],
    ["a fifo", "TAR_TYPE", [{ type: "6" }]],
    ["a contiguous file", "TAR_TYPE", [{ type: "7" }]],
    ["a GNU sparse file", "TAR_TYPE", [{ type: "S", magic: "ustar  \0" }]],
    ["a pax sparse file", "TAR_TYPE", [pax("GNU.sparse.major=1"), {}]],
    ["an unknown type", "TAR_TYPE", [{ type: "Q" }]],
    ["a file twice", "TAR_DUPLICATE", twice("0")],
    ["a directory twice", "TAR_DUPLICATE", twice("5")],
    ["names that differ in case", "TAR_DUPLICATE", [{ name: "Readme" }, { name: "README" }]],
    [
      "names that differ in composition",
      "TAR_DUPLICATE",
      [{ name: "\u00fc" }, { name: "u\u0308" }],
    ],
    ["folders that differ in case", "TAR_DUPLICATE", [{ name: "A/x" }, { name: "a/y" }]],
    ["a file below a file", "TAR_DUPLICATE", [{ name: "a" }, { name: "a/b" }]],
    ["a file where a folder is", "TAR_DUPLICATE", [{ name: "a/b" }, { name: "a" }]],
    [
      "a file below a symbolic link",
      "TAR_LINK",
      [{ name: "a", type: "2", link: "b" }, { name: "a/c" }],
    ],
    ["an absolute symbolic link", "TAR_LINK", [{ name: "a", type: "2", link: "/etc" }]],
    ["a symbolic link up and out", "TAR_LINK", [{ name: "a/b", type: "2", link: "../../c" }]],
    ["a symbolic link to a drive", "TAR_LINK", [{ name: "a", type: "2", link: "C:\\x" }]],
    ["a symbolic link to nowhere", "TAR_LINK", [{ name: "a", type: "2", link: "" }]],
    [
      "a symbolic link that leaves by way of another",
      "TAR_LINK",
      [
        { name: "out", type: "2", link: "a/b/up/../.." },
        { name: "a/b/up", type: "2", link: "../.." },
      ],
    ],
    ["a hard link that goes up", "TAR_PATH", [{ name: "a", type: "1", link: "../b" }]],
    [
      "a hard link to a later file",
      "TAR_LINK",
      [{ name: "a", type: "1", link: "b" }, { name: "b" }],
    ],
    [
      "a hard link to a directory",
      "TAR_LINK",
      [
        { name: "d", type: "5" },
        { name: "a", type: "1", link: "d" },
      ],
    ],
    [
      "a hard link to a symbolic link",
      "TAR_LINK",
      [
        { name: "s", type: "2", link: "x" },
        { name: "a", type: "1", link: "s" },
      ],
    ],
    ["a hard link to itself", "TAR_LINK", [{ name: "a", type: "1", link: "a" }]],
    ["a directory with content", "TAR_SIZE", [{ name: "d", type: "5", body: "x" }]],
    [
      "a hard link with content",
      "TAR_SIZE",
      [{ name: "b" }, { name: "a", type: "1", link: "b", body: "x" }],
    ],
    ["a size that is no number", "TAR_SIZE", [{ size: "0000000008x\0" }]],
    ["a negative size", "TAR_SIZE", [{ size: "\xff".repeat(12) }]],
    ["a size beyond 2^53", "TAR_SIZE", [{ size: `\x80${"\xff".repeat(11)}` }]],
    ["a pax size beyond 2^53", "TAR_SIZE", [pax("size=9007199254740993"), {}]],
    ["a pax size that is no number", "TAR_SIZE", [pax("size=-1"), {}]],
    ["an unknown magic", "TAR_HEADER", [{ magic: "USTAR\u000000" }]],
    ["two pax headers in a row", "TAR_HEADER", [pax("path=a"), pax("path=b"), {}]],
    ["a pax key twice", "TAR_HEADER", [pax("path=a", "path=b"), {}]],
    ["a pax record without a key", "TAR_HEADER", [pax("=x"), {}]],
    ["a pax length that lies", "TAR_HEADER", [{ type: "x", body: "99 path=a\n" }, {}]],
    ["a pax length of zero", "TAR_HEADER", [{ type: "x", body: "0 path=a\n" }, {}]],
    ["a pax header without a member", "TAR_HEADER", [pax("path=a")]],
    ["a global name", "TAR_HEADER", [{ type: "g", body: record("path=a") }, {}]],
    ["a binary character set", "TAR_HEADER", [pax("hdrcharset=BINARY"), {}]],
    ["a name both long and pax", "TAR_HEADER", [pax("path=a"), { type: "L", body: "b\0" }, {}]],
    [
      "two long names in a row",
      "TAR_HEADER",
      [{ type: "L", body: "a\0" }, { type: "L", body: "b\0" }, {}],
    ],
    ["a long name that is too long", "TAR_SIZE", [{ type: "L", body: "a".repeat(5000) }, {}]],
    ["a pax header that is too long", "TAR_SIZE", [{ type: "x", size: (1 << 20) + 1 }]],
  ];
  test.each(rows)("%s", async (_, code, blocks) => {
    expect(await codeOf(read(archive(...blocks)))).toBe(code);
  });

  test("a header whose checksum is wrong", async () => {
    const bytes = archive({ name: "a" });
    bytes[0] = 0x62;
    expect(await codeOf(read(bytes))).toBe("TAR_CHECKSUM");
  });

  test("every truncation, and everything behind the end but zeros", async () => {
    const bytes = archive(pax("path=long"), { body: "x".repeat(600) }, { name: "b" });
    for (let length = 0; length < bytes.length; length += 100) {
      expect(await codeOf(read(bytes.subarray(0, length)))).toBe("TAR_TRUNCATED");
    }
    expect(await read(Buffer.concat([bytes, Buffer.alloc(9000)]))).toHaveLength(2);
    expect(await codeOf(read(Buffer.concat([bytes, Buffer.alloc(700), Buffer.from("x")])))).toBe(
      "TAR_TRAILING",
    );
    const lone = Buffer.concat([
      block({ name: "a" }),
      Buffer.alloc(512),
      block({ name: "b" }),
      end,
    ]);
    expect(await codeOf(read(lone))).toBe("TAR_TRAILING");
  });

  test("more entries or bytes than allowed", async () => {
    const bytes = archive({ name: "a/b/c", body: "123" }, { name: "d", body: "45" });
    expect(await read(bytes, { maxEntries: 4, maxBytes: 5 })).toHaveLength(2);
    expect(await codeOf(read(bytes, { maxEntries: 3 }))).toBe("TAR_LIMIT");
    expect(await codeOf(read(bytes, { maxBytes: 4 }))).toBe("TAR_SIZE");
  });

  test("chunks that do not end between entries", async () => {
    const bytes = archive(pax("path=x"), { body: "1" }, { name: "b" });
    // pax header and body, header and content, header, end.
    for (const good of [[], [2048, 2560], [2560], [bytes.length]]) {
      expect(await read(bytes, { boundaries: good })).toHaveLength(2);
    }
    for (const bad of [[512], [1024], [1536], [2047], [2048, 2100], [bytes.length - 512]]) {
      expect(await codeOf(read(bytes, { boundaries: bad }))).toBe("TAR_CHUNK");
    }
  });
});
