import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { parseLocks, takeLock } from "../../lib/workenv/lock.ts";
import { cleanCache, readCache, removeEnvironment } from "../../lib/workenv/mod.ts";
import { addEnvironment, addShared, makeBase } from "./fixture.ts";

const hasFlock = Bun.which("flock") !== null;
const linux = process.platform === "linux";
const env = process.env;
/** No `flock` in PATH. */
const bare = { PATH: "/nowhere" };

let place: ReturnType<typeof makeBase>;
let base: string;
beforeEach(() => {
  place = makeBase();
  base = place.base;
});
afterEach(() => place[Symbol.dispose]());

function age(folder: string, days: number): void {
  const then = new Date(Date.now() - days * 86_400_000);
  utimesSync(join(folder, ".sealift/ready"), then, then);
}

function unready(name: string) {
  const one = addEnvironment(base, name);
  unlinkSync(join(one.path, ".sealift/ready"));
  return one;
}

/** A process that holds the lock as a launcher does, until the end of the block. */
async function holdLock(name: string) {
  mkdirSync(join(base, "locks"), { recursive: true });
  const path = join(base, "locks", `${name}.lock`);
  const child = Bun.spawn(["flock", path, "sh", "-c", "echo held; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await child.stdout.getReader().read();
  return {
    [Symbol.asyncDispose]: async () => {
      await child.stdin.end();
      await child.exited;
    },
  };
}

describe("removeEnvironment()", () => {
  test("leaves no marker, no files and nothing half removed behind", async () => {
    const app = addEnvironment(base, "app");
    const other = addEnvironment(base, "other");
    const outcome = await removeEnvironment(base, app.path, { env });
    expect(outcome.removed).toMatchObject([{ path: app.path, reason: "asked" }]);
    // The reference's tool deletes the files and leaves the marker: its launcher then starts an empty environment.
    expect(await readdir(join(base, "workenv"))).toEqual([other.id]);
    expect((await readCache(base)).environments.map(({ id }) => id)).toEqual([other.id]);
  });

  test("a dry run changes nothing", async () => {
    const app = addEnvironment(base, "app");
    const outcome = await removeEnvironment(base, app.path, { env, dryRun: true });
    expect(outcome.removed).toHaveLength(1);
    expect((await readCache(base)).environments[0]?.state).toBe("ready");
  });

  test("does not follow links out of the environment", async () => {
    const outside = join(place.folder, "precious");
    mkdirSync(outside);
    writeFileSync(join(outside, "file"), "kept");
    const app = addEnvironment(base, "app");
    symlinkSync(outside, join(app.path, "link"));
    await removeEnvironment(base, app.path, { env });
    expect(existsSync(app.path)).toBe(false);
    expect(existsSync(join(outside, "file"))).toBe(true);
  });

  test("removes folders that a program left without write permission", async () => {
    const app = addEnvironment(base, "app");
    chmodSync(join(app.path, "app"), 0o500);
    await removeEnvironment(base, app.path, { env });
    expect(await readdir(join(base, "workenv"))).toEqual([]);
  });

  test.skipIf(!hasFlock)("keeps an environment whose lock a launcher holds", async () => {
    const app = addEnvironment(base, "app");
    {
      await using _ = await holdLock(app.id);
      const outcome = await removeEnvironment(base, app.path, { env });
      expect(outcome.removed).toEqual([]);
      expect(outcome.kept[0]?.because).toContain("locked");
      expect(existsSync(join(app.path, ".sealift/ready"))).toBe(true);
    }
    expect((await removeEnvironment(base, app.path, { env })).removed).toHaveLength(1);
  });

  test.skipIf(!hasFlock || !linux)("sees a lock without the program flock too", async () => {
    const app = addEnvironment(base, "app");
    {
      await using _ = await holdLock(app.id);
      expect((await removeEnvironment(base, app.path, { env: bare })).kept).toHaveLength(1);
    }
    const outcome = await removeEnvironment(base, app.path, { env: bare });
    expect(outcome.removed).toHaveLength(1);
    expect(outcome.warnings.join()).toContain("without the program `flock`");
  });

  test.skipIf(!linux)(
    "keeps an environment that a program runs from, stands in, or was told",
    async () => {
      const app = addEnvironment(base, "app");
      writeFileSync(join(app.path, "bin/sleep"), await Bun.file("/bin/sleep").bytes(), {
        mode: 0o755,
      });
      chmodSync(join(app.path, "bin/sleep"), 0o755);
      const users = [
        () => Bun.spawn([join(app.path, "bin/sleep"), "60"]),
        () => Bun.spawn(["sleep", "60"], { cwd: join(app.path, "app") }),
        () => Bun.spawn(["sleep", "60"], { env: { ...process.env, SEALIFT_WORKENV: app.path } }),
      ];
      for (const start of users) {
        const child = start();
        await Bun.sleep(30);
        const outcome = await removeEnvironment(base, app.path, { env });
        expect(outcome.kept[0]?.because).toBe(`in use by process ${child.pid}`);
        child.kill();
        await child.exited;
      }
      expect((await removeEnvironment(base, app.path, { env })).removed).toHaveLength(1);
    },
  );

  test.skipIf(!linux)(
    "is not held up by a program of an environment with a longer name",
    async () => {
      const app = addEnvironment(base, "app");
      const child = Bun.spawn(["sleep", "60"], {
        env: { ...process.env, OTHER: `${app.path}0/x` },
      });
      await Bun.sleep(30);
      expect((await removeEnvironment(base, app.path, { env })).removed).toHaveLength(1);
      child.kill();
      await child.exited;
    },
  );
});

describe("cleanCache()", () => {
  test("removes what is of no use and keeps what is ready", async () => {
    const app = addEnvironment(base, "app");
    const half = unready("half");
    const bad = addEnvironment(base, "bad");
    writeFileSync(join(bad.path, ".sealift/ready"), "words");
    const leftover = join(base, "workenv/.removed-0123456789abcdef");
    mkdirSync(join(leftover, "deep/er"), { recursive: true });
    const dry = await cleanCache(base, { env, dryRun: true });
    expect(await readdir(join(base, "workenv"))).toHaveLength(4);
    const outcome = await cleanCache(base, { env });
    expect(outcome).toEqual(dry);
    const reasons = outcome.removed.map(({ path, reason }) => [path, reason]);
    expect(reasons).toEqual([
      [leftover, "leftover"],
      [bad.path, "corrupt"],
      [half.path, "unready"],
    ]);
    expect(await readdir(join(base, "workenv"))).toEqual([app.id]);
  });

  test("--older-than goes by the last start, and by the first where that is not known", async () => {
    const [old, used, fresh] = [
      addEnvironment(base, "old"),
      addEnvironment(base, "used"),
      addEnvironment(base, "fresh"),
    ];
    age(old.path, 40);
    const made = new Date(Date.now() - 40 * 86_400_000);
    utimesSync(join(used.path, ".sealift/ready"), new Date(), made);
    const outcome = await cleanCache(base, { env, olderThanDays: 30 });
    expect(outcome.removed.map(({ path, reason }) => [path, reason])).toEqual([[old.path, "old"]]);
    expect((await readdir(join(base, "workenv"))).toSorted()).toEqual(
      [fresh.id, used.id].toSorted(),
    );
  });

  test("removes shared slots with the last environment that used them", async () => {
    const [both, one, fresh] = [
      addShared(base, "both"),
      addShared(base, "one"),
      addShared(base, "fresh"),
    ];
    age(both.path, 1);
    age(one.path, 1);
    const old = addEnvironment(base, "old", { stores: [both.sha256, one.sha256] });
    addEnvironment(base, "new", { stores: [both.sha256] });
    age(old.path, 40);
    const outcome = await cleanCache(base, { env, olderThanDays: 30 });
    expect(outcome.removed.map(({ path }) => path)).toEqual([old.path, one.path]);
    // A slot that was made a moment ago may belong to a first start that is not finished.
    expect((await readdir(join(base, "store"))).toSorted()).toEqual(
      [both.sha256, fresh.sha256].toSorted(),
    );
  });

  test("--all removes everything that a launcher wrote, and nothing else", async () => {
    const python = addShared(base, "python");
    addEnvironment(base, "app", { stores: [python.sha256] });
    writeFileSync(join(base, "workenv", "notes.txt"), "mine");
    await cleanCache(base, { env, all: true });
    expect(await readdir(join(base, "workenv"))).toEqual(["notes.txt"]);
    expect(await readdir(join(base, "store"))).toEqual([]);
  });

  test.skipIf(!hasFlock)(
    "keeps unready environments and all slots while one is being set up",
    async () => {
      const slot = addShared(base, "python");
      age(slot.path, 1);
      const half = unready("half");
      {
        await using _ = await holdLock(half.id);
        const outcome = await cleanCache(base, { env });
        expect(outcome.removed).toEqual([]);
        expect(outcome.kept.map(({ path }) => path)).toEqual([half.path, slot.path]);
      }
      expect((await cleanCache(base, { env })).removed).toHaveLength(2);
    },
  );

  test.skipIf(!hasFlock)(
    "keeps slots while the lock of an environment is held that is not there yet",
    async () => {
      const slot = addShared(base, "python");
      age(slot.path, 1);
      await using _ = await holdLock(`app-1.0-${"0".repeat(16)}`);
      expect((await cleanCache(base, { env })).kept.map(({ path }) => path)).toEqual([slot.path]);
      expect(existsSync(slot.path)).toBe(true);
    },
  );

  test.skipIf(!hasFlock)("puts a slot back that found a user at the last moment", async () => {
    const slot = addShared(base, "python");
    age(slot.path, 1);
    const app = addEnvironment(base, "app", { stores: [slot.sha256] });
    const aside = join(place.folder, "aside");
    renameSync(app.path, aside);
    // The environment appears when the lock of the slot is taken: after the plan, before the removal.
    const program = join(place.folder, "flock");
    const real = Bun.which("flock");
    const script = `#!/bin/sh\ncase "$2" in *${slot.sha256}.lock) mv "${aside}" "${app.path}";; esac\nexec ${real} "$@"\n`;
    writeFileSync(program, script, { mode: 0o755 });
    const outcome = await cleanCache(base, { env: { PATH: place.folder } });
    expect(outcome).toMatchObject({ removed: [], kept: [{ path: slot.path }] });
    expect((await readCache(base)).shared).toMatchObject([{ state: "ready", usedBy: [app.id] }]);
  });

  test("refuses an unsafe base before it touches anything", async () => {
    unready("half");
    chmodSync(base, 0o777);
    await expect(cleanCache(base, { env, all: true })).rejects.toMatchObject({
      code: "CACHE_WRITABLE",
    });
    expect(await readdir(join(base, "workenv"))).toHaveLength(1);
  });
});

describe("takeLock()", () => {
  test.skipIf(!hasFlock)("keeps others out until it is released, and its file stays", async () => {
    const lock = await takeLock(base, "x", env);
    expect(lock?.certain).toBe(true);
    expect(await takeLock(base, "x", env)).toBeUndefined();
    await lock?.release();
    const again = await takeLock(base, "x", env);
    expect(again).toBeDefined();
    await again?.release();
    expect(statSync(join(base, "locks/x.lock")).isFile()).toBe(true);
  });

  test("refuses a lock file, or a folder of them, that is a link", async () => {
    mkdirSync(join(base, "locks"));
    symlinkSync(join(place.folder, "outside"), join(base, "locks/x.lock"));
    await expect(takeLock(base, "x", env)).rejects.toMatchObject({ code: "LOCK", exit: 4 });
    expect(existsSync(join(place.folder, "outside"))).toBe(false);
    renameSync(join(base, "locks"), join(base, "old"));
    symlinkSync(join(base, "old"), join(base, "locks"));
    await expect(takeLock(base, "y", env)).rejects.toMatchObject({ code: "LOCK" });
  });

  test("refuses a pipe, and does not wait for it", async () => {
    mkdirSync(join(base, "locks"));
    if (Bun.spawnSync(["mkfifo", join(base, "locks/x.lock")]).exitCode !== 0) return;
    await expect(takeLock(base, "x", env)).rejects.toMatchObject({ code: "LOCK" });
  });

  test.skipIf(process.platform === "win32")("says what the program flock says", async () => {
    const program = join(place.folder, "flock");
    writeFileSync(program, "#!/bin/sh\necho no such luck >&2\nexit 66\n", { mode: 0o755 });
    await expect(takeLock(base, "x", { PATH: place.folder })).rejects.toMatchObject({
      code: "LOCK",
      message: expect.stringContaining("no such luck"),
    });
  });

  test("parseLocks() finds flocks, with waiters, and no other locks", () => {
    const text = [
      "1: FLOCK  ADVISORY  WRITE 1234 00:2f:111 0 EOF",
      "1: -> FLOCK  ADVISORY  WRITE 1235 00:2f:112 0 EOF",
      "2: POSIX  ADVISORY  WRITE 99 08:01:113 0 EOF",
      "3: OFDLCK ADVISORY  READ -1 fd:00:114 0 EOF",
      "4: FLOCK  ADVISORY  READ  7 fd:00:115 0 EOF",
    ].join("\n");
    expect([...parseLocks(`${text}\n`)].toSorted()).toEqual(["111", "112", "115"]);
  });
});
