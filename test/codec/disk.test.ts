import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { extractTar, scanTree, tarStream, type TreeEntry } from "../../lib/codec/mod.ts";
import { testIf } from "../support/need.ts";
import {
  codeOf,
  collect,
  cut,
  directory,
  file,
  hardlink,
  programs,
  sample,
  symlink,
  withFolder,
} from "./fixture.ts";

const unix = process.platform === "win32" ? "Windows" : true;

describe("scanTree()", () => {
  testIf(unix)("normalises modes, sorts, and keeps links", () =>
    withFolder(async (root) => {
      mkdirSync(join(root, "b"), { mode: 0o700 });
      writeFileSync(join(root, "b", "secret"), "12", { mode: 0o600 });
      writeFileSync(join(root, "a-run"), "123", { mode: 0o711 });
      chmodSync(join(root, "a-run"), 0o4711);
      mkdirSync(join(root, "b-"));
      symlinkSync("../a-run", join(root, "b", "link"));
      linkSync(join(root, "a-run"), join(root, "z-same"));
      expect(await scanTree(root)).toEqual([
        { path: "a-run", type: "file", mode: 0o755, size: 3, source: join(root, "a-run") },
        { path: "b", type: "directory", mode: 0o755, size: 0 },
        { path: "b-", type: "directory", mode: 0o755, size: 0 },
        { path: "b/link", type: "symlink", mode: 0o777, size: 0, link: "../a-run" },
        { path: "b/secret", type: "file", mode: 0o644, size: 2, source: join(root, "b", "secret") },
        { path: "z-same", type: "file", mode: 0o755, size: 3, source: join(root, "z-same") },
      ]);
    }),
  );

  test("takes what the globs say, with the folders above it", () =>
    withFolder(async (root) => {
      for (const path of [
        "src/a.ts",
        "src/a.test.ts",
        "src/sub/b.ts",
        "docs/x.md",
        "top.ts",
        "empty/.",
      ]) {
        mkdirSync(join(root, path, ".."), { recursive: true });
        if (!path.endsWith("/.")) writeFileSync(join(root, path), "");
      }
      mkdirSync(join(root, "empty"), { recursive: true });
      const paths = async (o: Parameters<typeof scanTree>[1]) =>
        (await scanTree(root, o)).map(({ path }) => path);
      expect(await paths({ include: ["**/*.ts"], exclude: ["**/*.test.ts"] })).toEqual([
        "src",
        "src/a.ts",
        "src/sub",
        "src/sub/b.ts",
        "top.ts",
      ]);
      expect(await paths({ include: ["src/"] })).toEqual([
        "src",
        "src/a.test.ts",
        "src/a.ts",
        "src/sub",
        "src/sub/b.ts",
      ]);
      expect(await paths({ exclude: ["src", "./docs/"] })).toEqual(["empty", "top.ts"]);
      expect(await paths({ include: ["nothing"] })).toEqual([]);
    }));

  testIf(unix === true ? programs("mkfifo") : unix)(
    "refuses what no package can hold, by name",
    () =>
      withFolder(async (root) => {
        const refuse = async (code: string, name: string) => {
          const error = await scanTree(root).catch((thrown) => thrown);
          expect(error.code).toBe(code);
          expect(error.message).toContain(name);
          Bun.spawnSync(["sh", "-c", 'rm -r "$0"/*', root]);
        };
        Bun.spawnSync(["mkfifo", join(root, "pipe")]);
        await refuse("TAR_TYPE", "pipe");
        symlinkSync("/etc/passwd", join(root, "absolute"));
        await refuse("TAR_LINK", "absolute");
        mkdirSync(join(root, "sub"));
        symlinkSync("../../x", join(root, "sub", "escape"));
        await refuse("TAR_LINK", "sub/escape");
        writeFileSync(join(root, "Read"), "");
        writeFileSync(join(root, "READ"), "");
        await refuse("TAR_DUPLICATE", "READ");
        writeFileSync(join(root, "back\\slash"), "");
        await refuse("TAR_PATH", "slash");
        writeFileSync(Buffer.concat([Buffer.from(`${root}/bad-`), Buffer.of(0xff)]), "");
        await refuse("TAR_PATH", "bad-");
        expect(await scanTree(root)).toEqual([]);
        expect(await codeOf(scanTree(join(root, "missing")))).toBe("FILE_MISSING");
        writeFileSync(join(root, "plain"), "");
        expect(await codeOf(scanTree(join(root, "plain")))).toBe("NOT_FOLDER");
      }),
  );
});

const tree: TreeEntry[] = [
  directory("bin"),
  file("bin/run", "#!/bin/sh\n", 0o755),
  { ...file("large", sample(2_500_000)), mtime: 1_000_000_000 },
  symlink("link", "bin/run"),
  { ...directory("locked"), mode: 0o555 },
  file("locked/inside", "x", 0o444),
  hardlink("second", "large"),
];
const stream = (entries: TreeEntry[]) => tarStream(entries, { mtime: 315532800 });

describe("extractTar()", () => {
  testIf(unix)("restores content, modes, times and links", () =>
    withFolder(async (folder) => {
      const target = join(folder, "new", "target");
      let advanced = 0;
      const advance = (bytes: number) => (advanced += bytes);
      expect(await extractTar(stream(tree), target, { advance })).toEqual({
        files: 5,
        bytes: 2_500_011,
      });
      expect(advanced).toBe(2_500_011);
      const info = (path: string) => lstatSync(join(target, path));
      expect(info("bin/run").mode & 0o777).toBe(0o755);
      expect(info("locked/inside").mode & 0o777).toBe(0o444);
      expect(info("locked").mode & 0o777).toBe(0o755);
      expect(info("large").mtimeMs).toBe(1_000_000_000_000);
      for (const path of ["bin", "bin/run", "link", "locked"])
        expect(info(path).mtimeMs).toBe(315532800000);
      expect(readlinkSync(join(target, "link"))).toBe("bin/run");
      expect(info("second").ino).toBe(info("large").ino);
      expect(Buffer.compare(readFileSync(join(target, "large")), sample(2_500_000))).toBe(0);
    }),
  );

  test("gives back the tree that was scanned", () =>
    withFolder(async (folder) => {
      const plain = tree.filter(({ type }) => type !== "hardlink");
      await extractTar(stream(plain), join(folder, "a"));
      const scanned = await scanTree(join(folder, "a"));
      expect(scanned.map(({ path, type, size, link }) => [path, type, size, link])).toEqual(
        plain.map(({ path, type, size, link }) => [path, type, size, link]),
      );
      await extractTar(stream(scanned), join(folder, "b"));
      const again = await collect(stream(await scanTree(join(folder, "b"))));
      expect(Buffer.compare(again, await collect(stream(scanned)))).toBe(0);
    }));

  testIf(unix)("does not write through links that are there", () =>
    withFolder(async (folder) => {
      const outside = join(folder, "outside");
      const target = join(folder, "target");
      mkdirSync(outside);
      mkdirSync(target);
      symlinkSync(outside, join(target, "bin"));
      expect(await codeOf(extractTar(stream(tree), target))).toBe("PATH_LINK");
      expect(await codeOf(extractTar(stream(tree), target, { force: true }))).toBe("PATH_LINK");
      expect(existsSync(join(outside, "run"))).toBe(false);
      writeFileSync(join(outside, "victim"), "keep");
      symlinkSync(join(outside, "victim"), join(target, "large"));
      const only = tree.filter(({ path }) => path === "large");
      expect(await codeOf(extractTar(stream(only), target))).toBe("FILE_EXISTS");
      expect(await extractTar(stream(only), target, { force: true })).toEqual({
        files: 1,
        bytes: 2_500_000,
      });
      expect(readFileSync(join(outside, "victim"), "utf8")).toBe("keep");
      expect(lstatSync(join(target, "large")).isFile()).toBe(true);
    }),
  );

  test("replaces files only when it is told to", () =>
    withFolder(async (folder) => {
      await extractTar(stream(tree), folder);
      expect(await codeOf(extractTar(stream(tree), folder))).toBe("FILE_EXISTS");
      await extractTar(stream([file("bin", "now a file")]), join(folder, "other"));
      expect(await codeOf(extractTar(stream(tree), join(folder, "other")))).toBe("PATH_LINK");
      expect((await extractTar(stream(tree), folder, { force: true })).files).toBe(5);
      expect(statSync(join(folder, "second")).ino).toBe(statSync(join(folder, "large")).ino);
    }));

  test("makes no link before the archive has proved whole", () =>
    withFolder(async (folder) => {
      const bytes = await collect(stream(tree));
      expect(await codeOf(extractTar(cut(bytes.subarray(0, -1024), 65536), folder))).toBe(
        "TAR_TRUNCATED",
      );
      expect(existsSync(join(folder, "link"))).toBe(false);
    }));
});
