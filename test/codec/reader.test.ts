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
import { archive, block, copies, end, pax, read, record } from "./blocks.ts";
import {
  collect,
  cut,
  directory,
  file,
  hardlink,
  oracle,
  programs,
  sample,
  symlink,
} from "./fixture.ts";

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
