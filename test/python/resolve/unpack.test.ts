import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { findProgram, run } from "../../../lib/base/mod.ts";
import { arrangeTree, compressStream, tarStream } from "../../../lib/codec/mod.ts";
import { folderBelow, unpackSources } from "../../../lib/python/resolve/unpack.ts";
import { codeOf, scratch, zip } from "../fixture.ts";

async function unpacked(file: string, bytes: Uint8Array): Promise<string> {
  const folder = `${file}.d`;
  writeFileSync(file, bytes);
  mkdirSync(folder);
  return await unpackSources(file, folder);
}

describe("unpackSources()", () => {
  test("a zip with a folder around everything, modes kept", async () => {
    using work = scratch();
    const members = [
      { name: "top/", mode: 0o040755 },
      { name: "top/setup.py", content: "1" },
      { name: "top/run.sh", content: "2", mode: 0o100755 },
    ];
    const place = await unpacked(join(work.path, "a.zip"), zip(members));
    expect(basename(place)).toBe("top");
    expect(readFileSync(join(place, "setup.py"), "utf8")).toBe("1");
    expect(statSync(join(place, "run.sh")).mode & 0o111).toBe(0o111);
  });
  test("a zip without such a folder", async () => {
    using work = scratch();
    const place = await unpacked(
      join(work.path, "a.zip"),
      zip([{ name: "setup.py" }, { name: "x/y" }]),
    );
    expect(basename(place)).toBe("a.zip.d");
  });
  test.each([
    ["a file that is also a folder", ["top/a", "top/a/b"]],
    ["names that differ only in case", ["top/a", "top/A"]],
  ])("a zip with %s is refused", async (_, names) => {
    using work = scratch();
    const bytes = zip(names.map((name) => ({ name })));
    expect(await codeOf(() => unpacked(join(work.path, "a.zip"), bytes))).toBe("ARCHIVE_NAMES");
  });
  test.each(["gzip", "bzip2", "xz", "zstd"] as const)("a tar with %s", async (kind) => {
    using work = scratch();
    const end = { gzip: "tar.gz", bzip2: "tar.bz2", xz: "tar.xz", zstd: "tar.zst" }[kind];
    const source = { bytes: new TextEncoder().encode("1") };
    const entries = arrangeTree([
      { type: "file", path: "top/setup.py", mode: 0o644, size: 1, source },
    ]);
    const stream = compressStream(kind, 1)(tarStream(entries, { mtime: 0 }));
    const bytes = Buffer.concat(await Array.fromAsync(stream));
    expect(basename(await unpacked(join(work.path, `a.${end}`), bytes))).toBe("top");
  });
  test.skipIf(findProgram("git") === undefined)(
    "what git makes of a commit (skipped without git)",
    async () => {
      using work = scratch();
      const git = async (...argv: string[]) => {
        const own = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        expect((await run(["git", ...own, ...argv], { cwd: work.path })).code).toBe(0);
      };
      writeFileSync(join(work.path, "setup.py"), "1");
      await git("init", "--quiet");
      await git("add", "setup.py");
      await git("commit", "--quiet", "-m", "x");
      for (const end of ["tar.gz", "zip"]) {
        await git("archive", "--prefix=top/", "-o", `a.${end}`, "HEAD");
        const file = join(work.path, `a.${end}`);
        expect(basename(await unpacked(file, readFileSync(file)))).toBe("top");
      }
    },
  );
  test.each([
    ["another kind", "a.rar", "ARCHIVE_KIND", new Uint8Array(4)],
    ["a name that climbs", "a.zip", "PATH_ESCAPE", zip([{ name: "../x" }])],
  ])("refuses %s", async (_, file, code, bytes) => {
    using work = scratch();
    expect(await codeOf(() => unpacked(join(work.path, file), bytes))).toBe(code);
  });
});

describe("folderBelow()", () => {
  test.each(["../..", "gone", "link", "file"])("refuses %s", async (subdirectory) => {
    using work = scratch();
    const folder = join(work.path, "a", "b");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "file"), "");
    symlinkSync("/", join(folder, "link"));
    expect(await codeOf(() => folderBelow(folder, subdirectory, "x"))).toBe("SUBDIRECTORY");
    mkdirSync(join(folder, "..sub"));
    expect(folderBelow(folder, "..sub", "x")).toBe(join(folder, "..sub"));
    expect(folderBelow(folder, undefined, "x")).toBe(folder);
  });
});
