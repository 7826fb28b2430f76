import { describe, expect, test } from "bun:test";

import fc from "fast-check";
import { packTar } from "modern-tar";

import { SealiftError } from "../../lib/base/mod.ts";
import {
  arrangeTree,
  readTar,
  type ReadTarOptions,
  tarStream,
  type TreeEntry,
} from "../../lib/codec/mod.ts";
import { testIf } from "../support/need.ts";
import {
  codeOf,
  collect,
  cut,
  directory,
  file,
  hardlink,
  oracle,
  programs,
  reused,
  sample,
  symlink,
} from "./fixture.ts";

interface Block {
  name?: string | Uint8Array;
  mode?: string;
  size?: number | string;
  mtime?: string;
  type?: string;
  link?: string;
  magic?: string;
  prefix?: string;
  body?: string | Uint8Array;
}

/** A header as hostile as wanted, with a right checksum, and its body. */
function block(fields: Block): Buffer {
  const body = Buffer.from((fields.body ?? "") as string);
  const header = Buffer.alloc(512);
  const put = (at: number, text: string | Uint8Array) =>
    Buffer.from(text as string).copy(header, at);
  const size = fields.size ?? body.length;
  put(0, fields.name ?? "f");
  put(100, fields.mode ?? "0000644\0");
  put(
    124,
    typeof size === "string"
      ? Buffer.from(size, "latin1")
      : `${size.toString(8).padStart(11, "0")}\0`,
  );
  put(136, fields.mtime ?? "00000000000\0");
  put(156, fields.type ?? "0");
  put(157, fields.link ?? "");
  put(257, fields.magic ?? "ustar\u000000");
  put(345, fields.prefix ?? "");
  put(148, "        ");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

const end = Buffer.alloc(1024);
const archive = (...blocks: Block[]) => Buffer.concat([...blocks.map(block), end]);
const record = (text: string) => {
  for (let length = text.length + 2; ; length++) {
    if (Buffer.byteLength(`${length} ${text}\n`) === length) return `${length} ${text}\n`;
  }
};
const pax = (...records: string[]): Block => ({
  name: "pax",
  type: "x",
  body: records.map(record).join(""),
});

async function read(bytes: Uint8Array, options: ReadTarOptions = {}, size = 700) {
  const members: (TreeEntry & { content: string })[] = [];
  for await (const { entry, body } of readTar(reused(bytes, size), options)) {
    members.push({ ...entry, content: (await collect(copies(body))).toString() });
  }
  return members;
}

async function* copies(stream: AsyncIterable<Uint8Array>) {
  for await (const piece of stream) yield piece.slice();
}

describe("readTar() reads what tar programs write", () => {
  const content = sample(1500).toString();

  testIf(programs("tar", "sh"))("GNU tar in every format", async () => {
    const names = ["short", `${"d".repeat(90)}/${"e".repeat(90)}`, "x".repeat(150)];
    for (const format of ["gnu", "oldgnu", "pax", "ustar"]) {
      const usable = format === "ustar" ? names.slice(0, 2) : names;
      const script = `cd "$(mktemp -d)" || exit 1
for n in ${usable.join(" ")}; do mkdir -p "$(dirname $n)"; echo hello > $n; done
ln -s short sym; ln short zhard; chmod 755 short; tar --format=${format} -cf - *; rm -r "$PWD"`;
      const members = await read(oracle(["sh", "-c", script], new Uint8Array(0)));
      const files = members.filter(({ type }) => type === "file").map((member) => member.path);
      expect(files.sort()).toEqual([...usable].sort());
      const member = (path: string) => members.find((one) => one.path === path);
      expect(member("short")).toMatchObject({ mode: 0o755, content: "hello\n" });
      expect(member("sym")).toMatchObject({ type: "symlink", link: "short" });
      expect(member("zhard")).toMatchObject({ type: "hardlink", link: "short" });
    }
  });

  testIf(programs("python3"))("Python's tarfile, with records of 10 KiB", async () => {
    const script = `import tarfile,sys,io
t=tarfile.open(fileobj=sys.stdout.buffer,mode="w|",format=int(sys.argv[1]))
for n in ["./", "./a", "./grün", "./"+"l"*200]:
  i=tarfile.TarInfo(n); i.mtime=1.5
  if n=="./": i.type=tarfile.DIRTYPE; t.addfile(i); continue
  i.size=3; t.addfile(i,io.BytesIO(b"abc"))
t.close()`;
    for (const format of ["1", "2"]) {
      const members = await read(oracle(["python3", "-c", script, format], new Uint8Array(0)));
      expect(members.map(({ path }) => path)).toEqual(["a", "grün", "l".repeat(200)]);
      expect(members.every((m) => m.content === "abc")).toBe(true);
    }
  });

  test("modern-tar", async () => {
    const bytes = await packTar([
      { header: { name: "dir/", type: "directory", size: 0 } },
      { header: { name: "dir/file", size: content.length }, body: content },
    ]);
    expect(await read(bytes)).toMatchObject([
      { path: "dir", type: "directory" },
      { path: "dir/file", content },
    ]);
  });

  test("GNU long names, base-256 sizes, pax records, global headers, old headers", async () => {
    const whole = Buffer.concat([
      block({ name: "g", type: "g", body: record("comment=hello") + record("mtime=77") }),
      block({ name: "././@LongLink", type: "L", magic: "ustar  \0", body: `${"n".repeat(300)}\0` }),
      block({ magic: "ustar  \0", body: "long" }),
      block({ name: "base", size: `\x80${"\0".repeat(10)}\x03`, body: "256" }),
      block(pax("path=paxed/ü", "size=5", "mtime=1.25")),
      block({ name: "cut", size: 0 }),
      Buffer.from("paxed".padEnd(512, "\0")),
      block({ name: "old/", magic: "\0\0\0\0\0\0\0\0", type: "\0" }),
      block({ name: "tail", prefix: "pre/fix" }),
      end,
    ]);
    expect(await read(whole)).toMatchObject([
      { path: "n".repeat(300), content: "long", mtime: 77 },
      { path: "base", content: "256", mtime: 77 },
      { path: "paxed/ü", content: "paxed", size: 5, mtime: 1.25 },
      { path: "old", type: "directory" },
      { path: "pre/fix/tail", content: "" },
    ]);
  });

  test("names with dots and slashes too many, and the root itself", async () => {
    const members = await read(
      archive(
        { name: ".", type: "5" },
        { name: "./", type: "5" },
        { name: ".//a///b/.//", type: "5" },
        { name: "./a/c" },
      ),
    );
    expect(members.map(({ path }) => path)).toEqual(["a/b", "a/c"]);
  });

  test("modes without setuid, setgid and sticky bits", async () => {
    expect(await read(archive({ mode: "0007755\0" }))).toMatchObject([{ mode: 0o755 }]);
  });

  test("links through folders that are no links, up and down again", async () => {
    const members = await read(
      archive({ name: "d/e", type: "5" }, { name: "l", type: "2", link: "d/../d/e" }),
    );
    expect(members).toHaveLength(2);
  });
});

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

describe("readTar(tarStream(x)) = x", () => {
  const part = fc
    .stringMatching(/^[a-zé日 .-]{1,40}$/)
    .filter((text) => !/^\.{1,2}$|^\.sealift$/.test(text));
  const path = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"));
  const content = fc.uint8Array({ maxLength: 2000 });
  const entry = fc.record({ path, content, mode: fc.constantFrom(0o644, 0o755) });

  test("for trees of files, whatever the cut of the stream", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 12 }),
        fc.integer({ min: 1, max: 3000 }),
        async (list, size) => {
          let tree: TreeEntry[];
          try {
            tree = arrangeTree(list.map((item) => file(item.path, item.content, item.mode)));
          } catch {
            return; // Names that meet; the refusals have their own tests.
          }
          const bytes = await collect(tarStream(tree, { mtime: 5 }));
          const members = await Array.fromAsync(
            readTar(cut(bytes, size)),
            async ({ entry, body }) => ({
              ...entry,
              content: await collect(copies(body)),
            }),
          );
          expect(members.length).toBe(tree.length);
          for (const [i, wanted] of tree.entries()) {
            const { source, ...rest } = wanted;
            const bytesOf =
              (source as { bytes: Uint8Array } | undefined)?.bytes ?? new Uint8Array(0);
            expect(members[i]).toEqual({ ...rest, mtime: 5, content: Buffer.from(bytesOf) });
          }
        },
      ),
      { numRuns: 60 },
    ));

  test("content that nobody reads is skipped", async () => {
    const tree = arrangeTree([
      file("a", sample(100_000)),
      file("b", "x"),
      symlink("c", "b"),
      hardlink("d", "b"),
      directory("e"),
    ]);
    const paths: string[] = [];
    for await (const { entry } of readTar(cut(await collect(tarStream(tree, { mtime: 0 })))))
      paths.push(entry.path);
    expect(paths).toEqual(["a", "b", "c", "d", "e"]);
  });
});

test("mutated archives end in a refusal or in entries that keep the rules", async () => {
  const tree = arrangeTree([
    file("a/b", sample(700)),
    file("x".repeat(120), "long"),
    symlink("l", "a/b"),
    hardlink("z", "a/b"),
    directory("e"),
  ]);
  const bytes = await collect(tarStream(tree, { mtime: 1 }));
  const change = fc.record({ at: fc.nat(bytes.length - 1), value: fc.nat(255), fix: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const changed = Buffer.from(bytes);
      for (const { at, value, fix } of changes) {
        changed[at] = value;
        if (fix) fixChecksum(changed, at - (at % 512));
      }
      try {
        for (const { path } of await read(changed)) expect(path.split("/")).not.toContain("..");
      } catch (error) {
        if (!(error instanceof SealiftError)) throw error;
        expect(error.code).toMatch(/^TAR_/);
      }
    }),
    { numRuns: 1500 },
  );
});

/** A checksum that fits, so that the change reaches what lies behind the check. */
function fixChecksum(bytes: Buffer, at: number): void {
  const header = bytes.subarray(at, at + 512);
  header.fill(" ", 148, 156);
  header.write(
    `${header
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
}
