/** Slots on disk. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, stat, symlink } from "node:fs/promises";
import { join } from "node:path";

import type { TreeEntry } from "../../lib/codec/mod.ts";
import {
  extractAll,
  type ExtractOptions,
  extractSlot,
  openPackage,
  type Package,
  writePackage,
} from "../../lib/pspf/mod.ts";
import {
  bytesSlot,
  options,
  save,
  smallPackage,
  temporaryFolder,
  thrown,
  treeSlot,
} from "./fixture.ts";

const folder = temporaryFolder();
let counter = 0;
const fresh = () => join(folder, `out-${counter++}`);

async function open<T>(path: string, use: (pkg: Package) => Promise<T>): Promise<T> {
  const pkg = await openPackage(path);
  try {
    return await use(pkg);
  } finally {
    await pkg.close();
  }
}

async function small(): Promise<string> {
  const path = join(folder, "small.psp");
  await smallPackage(path);
  return path;
}

const extract = (path: string, i: number, to: string, how?: ExtractOptions) =>
  open(path, (pkg) => extractSlot(pkg, i, to, how));

describe("extractSlot()", () => {
  test("a file slot as the named file, with its mode", async () => {
    const out = join(fresh(), "deep", "run");
    const done = await extract(await small(), 0, out);
    expect(done).toEqual({ id: "run", path: out, files: 1, bytes: 18 });
    expect(await readFile(out, "utf8")).toBe("#!/bin/sh\necho hi\n");
    expect((await stat(out)).mode & 0o777).toBe(0o755);
  });

  test("a file slot into an existing folder, under its id", async () => {
    const out = fresh();
    await mkdir(out);
    await extract(await small(), 3, out);
    expect(await readFile(join(out, "notes"), "utf8")).toBe("plain notes");
  });

  test("a tar slot's files into the folder", async () => {
    const out = fresh();
    expect(await extract(await small(), 1, out)).toMatchObject({ files: 2, bytes: 11 });
    expect(await readFile(join(out, "lib", "a.txt"), "utf8")).toBe("alpha\n");
  });

  test("replaces nothing without force", async () => {
    const path = await small();
    const out = fresh();
    for (const slot of [0, 1]) {
      const to = join(out, String(slot));
      await extract(path, slot, to);
      expect((await thrown(() => extract(path, slot, to))).code).toBe("FILE_EXISTS");
      await extract(path, slot, to, { force: true });
    }
  });

  test("an unknown slot is named with the ones that exist", async () => {
    const error = await thrown(async () => extract(await small(), 9, fresh()));
    expect(error.code).toBe("SLOT_UNKNOWN");
    expect(error.hint).toContain("0 run, 1 app");
  });

  test("writes nothing when the stored bytes are not what was signed", async () => {
    const path = join(folder, "damaged.psp");
    const bytes = await smallPackage(path);
    const regions = await open(path, async (pkg) => pkg.slots.map((slot) => slot.region));
    for (const [i, region] of regions.entries()) {
      if (region.start === region.end) continue;
      const changed = bytes.slice();
      changed[region.start] = (changed[region.start] as number) ^ 1;
      await save(path, changed);
      const out = fresh();
      expect(await thrown(() => extract(path, i, out))).toMatchObject({
        code: "SEAL_SLOT",
        exit: 1,
      });
      expect(existsSync(out)).toBe(false);
    }
  });
});

describe("extractAll()", () => {
  test("puts every slot where it belongs in a work environment", async () => {
    const out = fresh();
    const done = await open(await small(), (pkg) => extractAll(pkg, out));
    expect(done.map((entry) => entry.id)).toEqual(["run", "app", "empty", "notes"]);
    const names = (await readdir(out, { recursive: true })).sort();
    expect(names).toEqual([
      "bin",
      "bin/run",
      "lib",
      "lib/a.txt",
      "lib/b.txt",
      "notes.gz",
      "var",
      "var/empty",
    ]);
  });

  test("or each under its id", async () => {
    const out = fresh();
    await open(await small(), (pkg) => extractAll(pkg, out, { by: "id" }));
    expect((await readdir(out)).sort()).toEqual(["app", "empty", "notes", "run"]);
  });

  test("a tar slot of ours goes into its target, links and modes included", async () => {
    const entries: TreeEntry[] = [
      { path: "tool", type: "file", mode: 0o755, size: 2, source: { bytes: new Uint8Array(2) } },
      { path: "alias", type: "symlink", mode: 0o777, size: 0, link: "tool" },
      { path: "void", type: "directory", mode: 0o755, size: 0 },
    ];
    const path = join(folder, "tree.psp");
    await writePackage(
      path,
      options([treeSlot("t", {}, { target: "opt/t", content: { kind: "tree", entries } })]),
    );
    const out = fresh();
    await open(path, (pkg) => extractAll(pkg, out));
    expect(await readlink(join(out, "opt/t/alias"))).toBe("tool");
    expect((await stat(join(out, "opt/t/tool"))).mode & 0o777).toBe(0o755);
    expect((await stat(join(out, "opt/t/void"))).isDirectory()).toBe(true);
  });

  test("does not follow a link that stands in the destination (S6)", async () => {
    const out = fresh();
    const outside = fresh();
    await mkdir(out);
    await mkdir(outside);
    await symlink(outside, join(out, "lib"));
    const path = await small();
    expect((await thrown(() => open(path, (pkg) => extractSlot(pkg, 1, out)))).code).toBe(
      "PATH_LINK",
    );
    expect(await readdir(outside)).toEqual([]);
  });

  test("file slots do not follow links of earlier slots either", async () => {
    const entries: TreeEntry[] = [
      { path: "var", type: "symlink", mode: 0o777, size: 0, link: "elsewhere" },
    ];
    const path = join(folder, "links.psp");
    const tree = treeSlot("t", {}, { content: { kind: "tree", entries } });
    for (const through of [
      bytesSlot("f", "x", { target: "var/f" }),
      treeSlot("g", { a: "b" }, { target: "var/g" }),
      treeSlot("g", { a: "b" }, { target: "var" }),
    ]) {
      await writePackage(path, options([tree, through]));
      const out = fresh();
      const error = await thrown(() => open(path, (pkg) => extractAll(pkg, out)));
      expect(error).toMatchObject({ code: "PATH_LINK", exit: 4 });
    }
  });
});
