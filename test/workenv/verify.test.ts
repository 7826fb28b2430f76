import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { readCache, verifyEnvironment } from "../../lib/workenv/mod.ts";
import { addEnvironment, addShared, fill, makeBase } from "./fixture.ts";

let place: ReturnType<typeof makeBase>;
let base: string;
let app: ReturnType<typeof addEnvironment>;
let python: ReturnType<typeof addShared>;
beforeEach(() => {
  place = makeBase();
  base = place.base;
  python = addShared(base, "python", { "bin/python": "interpreter" });
  app = addEnvironment(base, "app", { stores: [python.sha256] });
});
afterEach(() => place[Symbol.dispose]());

async function verify() {
  const cache = await readCache(base);
  const [one] = cache.environments;
  if (one === undefined) throw new Error("the environment is gone");
  return verifyEnvironment(cache, one);
}

test("an untouched environment is whole, with its shared slots", async () => {
  expect(await verify()).toEqual({ ok: true, checked: 6, added: 0, differences: [] });
});

test("files that the program added are counted and not judged", async () => {
  writeFileSync(join(app.path, "app/cache.bin"), "x");
  mkdirSync(join(app.path, ".sealift/slots"), { recursive: true });
  writeFileSync(join(app.path, ".sealift/slots/lazy.ready"), "x");
  expect(await verify()).toMatchObject({ ok: true, added: 1 });
});

const damages: [string, () => void, string, string][] = [
  ["a missing file", () => unlinkSync(join(app.path, "bin/run")), "bin/run", "is missing"],
  [
    "a longer file",
    () => writeFileSync(join(app.path, "bin/run"), "#!/bin/sh\nevil\n"),
    "bin/run",
    "bytes instead of",
  ],
  [
    "a file written with the same size",
    () => writeFileSync(join(app.path, "bin/run"), "#!/bin/sx\n"),
    "bin/run",
    "was written to since",
  ],
  [
    "a changed mode",
    () => chmodSync(join(app.path, "bin/run"), 0o777),
    "bin/run",
    "mode 777 instead of 644",
  ],
  [
    "a changed mode of a folder",
    () => chmodSync(join(app.path, "bin"), 0o700),
    "bin",
    "mode 700 instead of 755",
  ],
  [
    "a link in the place of a file",
    () => {
      unlinkSync(join(app.path, "bin/run"));
      symlinkSync("/bin/sh", join(app.path, "bin/run"));
    },
    "bin/run",
    "is of another kind",
  ],
];
test.each(damages)("%s is a difference", async (_, damage, path, problem) => {
  damage();
  const result = await verify();
  expect(result.ok).toBe(false);
  expect(result.differences).toHaveLength(1);
  expect(result.differences[0]?.path).toBe(path);
  expect(result.differences[0]?.problem).toContain(problem);
});

test("a damaged or missing shared slot is a difference", async () => {
  writeFileSync(join(python.path, "bin/python"), "interpreteX");
  expect((await verify()).differences[0]?.path).toBe(join(python.path, "bin/python"));
  rmSync(python.path, { recursive: true });
  expect((await verify()).differences).toEqual([
    { path: python.path, problem: "the shared slot is missing" },
  ]);
});

test("an environment without a marker is not whole", async () => {
  unlinkSync(join(app.path, ".sealift/ready"));
  const result = await verify();
  expect(result.ok).toBe(false);
  expect(result.differences[0]?.problem).toBe("it was never finished");
});

test.skipIf(process.platform !== "linux")(
  "names that are not UTF-8 are found by their bytes",
  async () => {
    const name = Buffer.concat([Buffer.from(`${app.path}/`), Buffer.from([0x66, 0xff, 0xfe])]);
    writeFileSync(name, "odd");
    const { size, mtimeNs } = statSync(name, { bigint: true });
    const marker = join(app.path, ".sealift/ready");
    const text = Buffer.from(await Bun.file(marker).bytes()).toString("latin1");
    chmodSync(name, 0o644);
    const line = `f ${size} ${mtimeNs} 0644 f\xff\xfe\n`;
    const changed = text.replace(/end (\d+)\n$/, (_, count) => `${line}end ${Number(count) + 1}\n`);
    writeFileSync(marker, Buffer.from(changed, "latin1"));
    expect(await verify()).toMatchObject({ ok: true, checked: 7 });
  },
);

test("a time that was set back by hand is not noticed by times alone", async () => {
  const path = join(app.path, "bin/run");
  const { atime, mtime } = statSync(path);
  const whole = new Date(Math.floor(mtime.getTime() / 1000) * 1000);
  utimesSync(path, atime, whole);
  fill(app.path, {}, { identity: app.identity, owner: "app 1.0", stores: [python.sha256] });
  writeFileSync(path, "#!/bin/sX\n");
  utimesSync(path, atime, whole);
  expect((await verify()).ok).toBe(true);
});
