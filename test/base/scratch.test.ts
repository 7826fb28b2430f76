import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { discardUnfinished, scratchFolder } from "../../lib/base/mod.ts";

const home = () => mkdtempSync(join(tmpdir(), "scratch-"));

describe("scratchFolder()", () => {
  test("makes its base, and is gone after its block, whatever a package left in it", async () => {
    const base = join(home(), "cache", "tmp");
    {
      await using folder = await scratchFolder(base, "pack-");
      expect(readdirSync(base)).toHaveLength(1);
      const closed = join(folder.path, "closed");
      mkdirSync(closed);
      writeFileSync(join(closed, "file"), "");
      chmodSync(closed, 0o500);
    }
    expect(readdirSync(base)).toEqual([]);
  });

  test("is gone after an error and after a signal", async () => {
    const base = home();
    const failing = (async () => {
      await using folder = await scratchFolder(base, "a-");
      throw new Error(folder.path);
    })();
    expect(failing).rejects.toThrow(base);
    const { path } = await scratchFolder(base, "b-");
    writeFileSync(join(path, "half"), "x");
    discardUnfinished();
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(base)).toEqual([]);
  });

  test("names the folder that cannot be made", async () => {
    const base = join(home(), "file");
    writeFileSync(base, "");
    expect(scratchFolder(base, "a-")).rejects.toMatchObject({ code: "FILE_EXISTS" });
  });
});
