import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { findEnvironment, readCache } from "../../lib/workenv/mod.ts";
import { addEnvironment, addShared, digest, makeBase } from "./fixture.ts";

let place: ReturnType<typeof makeBase>;
let base: string;
beforeEach(() => {
  place = makeBase();
  base = place.base;
});
afterEach(() => place[Symbol.dispose]());

describe("readCache()", () => {
  test("an absent base and an empty one are empty caches", async () => {
    const empty = { environments: [], shared: [], leftovers: [], foreign: [] };
    expect(await readCache(join(place.folder, "absent"))).toMatchObject(empty);
    expect(await readCache(base)).toMatchObject(empty);
  });

  test("lists environments and the shared slots that they use", async () => {
    const python = addShared(base, "python");
    addShared(base, "unused");
    const app = addEnvironment(base, "app", {
      stores: [python.sha256],
      files: { "a/b.txt": "12345" },
    });
    const cache = await readCache(base, { sizes: true });
    expect(cache.environments).toHaveLength(1);
    expect(cache.environments[0]).toMatchObject({
      id: app.id,
      name: "app",
      version: "1.0",
      identity: app.identity,
      state: "ready",
      shared: [python.sha256],
    });
    expect(cache.environments[0]?.files).toBe(2);
    expect(cache.environments[0]?.size).toBeGreaterThan(5);
    const used = Object.fromEntries(cache.shared.map(({ sha256, usedBy }) => [sha256, usedBy]));
    expect(used).toEqual({ [python.sha256]: [app.id], [digest("unused")]: [] });
  });

  test("counts hard links once", async () => {
    const app = addEnvironment(base, "app", { files: { big: new Uint8Array(10_000) } });
    linkSync(join(app.path, "big"), join(app.path, "same"));
    const [one] = (await readCache(base, { sizes: true })).environments;
    expect(one?.size).toBeLessThan(11_000);
  });

  test("an environment without a marker is unready, one with a damaged marker corrupt", async () => {
    const half = addEnvironment(base, "half");
    renameSync(join(half.path, ".sealift/ready"), join(half.path, ".sealift/ready.new"));
    const bad = addEnvironment(base, "bad");
    writeFileSync(join(bad.path, ".sealift/ready"), "words");
    const moved = addEnvironment(base, "moved");
    renameSync(moved.path, join(base, "workenv", `moved-1.0-${"0".repeat(16)}`));
    const states = (await readCache(base)).environments.map(({ name, state }) => [name, state]);
    expect(states).toEqual([
      ["bad", "corrupt"],
      ["half", "unready"],
      ["moved", "corrupt"],
    ]);
  });

  test("a marker that is a link, a pipe or a folder is corrupt and not followed", async () => {
    const target = addEnvironment(base, "target");
    const link = addEnvironment(base, "a-link");
    const folder = addEnvironment(base, "b-folder");
    for (const { path } of [link, folder]) {
      renameSync(join(path, ".sealift/ready"), join(path, "old"));
    }
    symlinkSync(join(target.path, ".sealift/ready"), join(link.path, ".sealift/ready"));
    mkdirSync(join(folder.path, ".sealift/ready"));
    const states = (await readCache(base)).environments.map(({ state }) => state);
    expect(states).toEqual(["corrupt", "corrupt", "ready"]);
    const pipe = addEnvironment(base, "pipe");
    renameSync(join(pipe.path, ".sealift/ready"), join(pipe.path, "old"));
    if (Bun.spawnSync(["mkfifo", join(pipe.path, ".sealift/ready")]).exitCode !== 0) return;
    expect(findEnvironment(await readCache(base), "pipe").state).toBe("corrupt");
  });

  test("what no launcher wrote is foreign, links too", async () => {
    const app = addEnvironment(base, "app");
    const foreign = ["workenv/notes", "workenv/.hidden", "store/short"].map((name) =>
      join(base, name),
    );
    mkdirSync(join(base, "store"));
    for (const path of foreign) writeFileSync(path, "");
    const link = join(base, "workenv", `evil-1.0-${"a".repeat(16)}`);
    symlinkSync(app.path, link);
    const cache = await readCache(base);
    expect(cache.environments.map(({ id }) => id)).toEqual([app.id]);
    expect(cache.foreign.toSorted()).toEqual([...foreign, link].toSorted());
  });

  test("finds what an interrupted removal left", async () => {
    mkdirSync(join(base, "workenv", ".removed-0123456789abcdef"), { recursive: true });
    expect((await readCache(base)).leftovers).toEqual([
      join(base, "workenv/.removed-0123456789abcdef"),
    ]);
  });

  test("refuses a base that others can write, and folders of it that are links", async () => {
    chmodSync(base, 0o770);
    await expect(readCache(base)).rejects.toMatchObject({ code: "CACHE_WRITABLE", exit: 4 });
    chmodSync(base, 0o700);
    symlinkSync(place.folder, join(base, "workenv"));
    await expect(readCache(base)).rejects.toMatchObject({ code: "CACHE_LINK", exit: 4 });
  });

  test("refuses a base that is a file, or behind a link that others can replace", async () => {
    const file = join(place.folder, "file");
    writeFileSync(file, "");
    await expect(readCache(file)).rejects.toMatchObject({ code: "CACHE_CREATE" });
    const open = join(place.folder, "open");
    mkdirSync(open);
    chmodSync(open, 0o777);
    symlinkSync(base, join(open, "link"));
    await expect(readCache(join(open, "link"))).rejects.toMatchObject({ code: "CACHE_LINK" });
    chmodSync(open, 0o755);
    expect((await readCache(join(open, "link"))).environments).toEqual([]);
  });

  test.skipIf(process.platform !== "linux")(
    "does not move the time of the last start by looking",
    async () => {
      const app = addEnvironment(base, "app");
      const ready = join(app.path, ".sealift/ready");
      const [used, made] = [new Date("2026-03-01T00:00:00Z"), new Date("2026-01-01T00:00:00Z")];
      utimesSync(ready, used, made);
      await readCache(base);
      const [one] = (await readCache(base)).environments;
      expect(one).toMatchObject({ created: made.getTime(), lastUse: used.getTime() });
      utimesSync(ready, made, made);
      expect((await readCache(base)).environments[0]).not.toHaveProperty("lastUse");
    },
  );
});

describe("findEnvironment()", () => {
  test("takes the folder name, the name, name-version, or the identity", async () => {
    const app = addEnvironment(base, "app");
    addEnvironment(base, "other");
    const cache = await readCache(base);
    for (const word of [app.id, "app", "app-1.0", app.identity, app.identity.slice(0, 8)]) {
      expect(findEnvironment(cache, word).id).toBe(app.id);
    }
  });

  test.each(["", "ap", "nobody", "../app", "abc"])("knows no environment %j", async (word) => {
    addEnvironment(base, "app");
    const cache = await readCache(base);
    expect(() => findEnvironment(cache, word)).toThrow("no work environment");
  });

  test("asks which one when there are two, unless a folder name decides", async () => {
    const first = addEnvironment(base, "app", { version: "1.0" });
    addEnvironment(base, "app", { version: "2.0" });
    const cache = await readCache(base);
    expect(() => findEnvironment(cache, "app")).toThrow("means 2");
    expect(findEnvironment(cache, "app-1.0").id).toBe(first.id);
  });
});
