import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  AtomicFile,
  discardUnfinished,
  readFileBounded,
  writeFileAtomic,
} from "../../lib/base/mod.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atomic-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error.code as string,
  );

describe("AtomicFile", () => {
  test("is not there before commit() and whole after it", async () => {
    const path = join(folder, "out.psp");
    const file = await AtomicFile.create(path, { mode: 0o751 });
    await file.write(bytes("0000world"));
    await file.writeAt(bytes("head"), 0);
    expect(file.position).toBe(9);
    expect(readdirSync(folder)).not.toContain("out.psp");
    expect(new TextDecoder().decode(await file.readAt(2, 100))).toBe("adworld");
    await file.commit();
    expect(readdirSync(folder)).toEqual(["out.psp"]);
    expect(readFileSync(path, "utf8")).toBe("headworld");
    expect(statSync(path).mode & 0o777).toBe(0o751);
  });

  test("abort() leaves nothing and the old file as it was", async () => {
    const path = join(folder, "old");
    writeFileSync(path, "old");
    const file = await AtomicFile.create(path, { force: true });
    await file.write(bytes("new"));
    await file.abort();
    await file.abort();
    expect(readdirSync(folder)).toEqual(["old"]);
    expect(readFileSync(path, "utf8")).toBe("old");
  });

  test("replaces only with force", async () => {
    const path = join(folder, "old");
    writeFileSync(path, "old");
    expect(await codeOf(writeFileAtomic(path, "new"))).toBe("FILE_EXISTS");
    expect(readFileSync(path, "utf8")).toBe("old");
    await writeFileAtomic(path, "new", { force: true });
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(folder)).toEqual(["old"]);
  });

  test("does not replace a file that appears while it is written", async () => {
    const path = join(folder, "late");
    const file = await AtomicFile.create(path);
    writeFileSync(path, "theirs");
    expect(await codeOf(file.commit())).toBe("FILE_EXISTS");
    expect(readFileSync(path, "utf8")).toBe("theirs");
    expect(readdirSync(folder)).toEqual(["late"]);
  });

  test("replaces a symbolic link itself, not what it points to", async () => {
    writeFileSync(join(folder, "target"), "theirs");
    symlinkSync("target", join(folder, "link"));
    expect(await codeOf(writeFileAtomic(join(folder, "link"), "new"))).toBe("FILE_EXISTS");
    await writeFileAtomic(join(folder, "link"), "new", { force: true });
    expect(readFileSync(join(folder, "target"), "utf8")).toBe("theirs");
    expect(readFileSync(join(folder, "link"), "utf8")).toBe("new");
  });

  test("names what is wrong with the place", async () => {
    mkdirSync(join(folder, "dir"));
    expect(await codeOf(writeFileAtomic(join(folder, "dir"), "x", { force: true }))).toBe(
      "IS_FOLDER",
    );
    expect(await codeOf(writeFileAtomic(join(folder, "no", "x"), "x"))).toBe("FILE_MISSING");
    expect(await codeOf(writeFileAtomic(join(folder, "x".repeat(300)), "x"))).toBe("NAME_LENGTH");
    expect(readdirSync(folder)).toEqual(["dir"]);
  });

  test("takes a name as long as the file system allows", async () => {
    await writeFileAtomic(join(folder, "x".repeat(255)), "x");
    expect(readdirSync(folder)).toEqual(["x".repeat(255)]);
  });

  test("discardUnfinished() removes what an interrupted command leaves", async () => {
    await using _file = await AtomicFile.create(join(folder, "a"));
    discardUnfinished();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a scope that ends by an error aborts", async () => {
    const failing = async () => {
      await using file = await AtomicFile.create(join(folder, "a"));
      await file.write(bytes("x"));
      throw new Error("stop");
    };
    expect(failing()).rejects.toThrow("stop");
    await failing().catch(() => undefined);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("readFileBounded()", () => {
  test("reads up to the bound and refuses one byte more", async () => {
    const path = join(folder, "f");
    writeFileSync(path, "x".repeat(5000));
    expect((await readFileBounded(path, 5000)).length).toBe(5000);
    expect(await codeOf(readFileBounded(path, 4999))).toBe("FILE_TOO_LARGE");
  });

  test("names missing files and folders", async () => {
    expect(await codeOf(readFileBounded(join(folder, "none"), 10))).toBe("FILE_MISSING");
    expect(await codeOf(readFileBounded(folder, 10))).toBe("IS_FOLDER");
  });

  test.skipIf(process.platform !== "linux")("bounds files that lie about their size", async () => {
    expect((await readFileBounded("/proc/self/status", 1 << 20)).length).toBeGreaterThan(100);
    expect(await codeOf(readFileBounded("/dev/zero", 10_000))).toBe("FILE_TOO_LARGE");
  });
});
