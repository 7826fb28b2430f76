/** workenv, clean and doctor, from the command line. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { parseMounts } from "../../lib/cli/mounts.ts";
import { publicKeyPem, signerFromSeed } from "../../lib/trust/mod.ts";
import { addEnvironment, addShared } from "../workenv/fixture.ts";
import { makeHome } from "./sealift.ts";

// Each test starts the program several times.
setDefaultTimeout(30_000);

let place: ReturnType<typeof makeHome>;
let cache: string;
let run: ReturnType<typeof makeHome>["run"];
beforeEach(() => {
  place = makeHome();
  ({ cache, run } = place);
});
afterEach(() => place[Symbol.dispose]());

const environments = () => readdirSync(join(cache, "workenv"));

describe("sealift workenv", () => {
  test("lists, counts and shows what there is", async () => {
    expect((await run(["workenv", "list"])).out).toContain("No work environments");
    const python = addShared(cache, "python");
    const app = addEnvironment(cache, "app", { stores: [python.sha256] });
    const list = await run(["workenv", "list", "--json"]);
    expect(list.json).toMatchObject({
      ok: true,
      environments: [{ id: app.id, state: "ready", shared: [python.sha256] }],
      shared: [{ sha256: python.sha256, used_by: [app.id] }],
    });
    expect((await run(["workenv", "list"])).out).toContain(app.id);
    expect((await run(["workenv", "info", "--json"])).json).toMatchObject({
      environments: 1,
      shared: 1,
      unreferenced: 0,
    });
    expect((await run(["workenv", "inspect", "app"])).out).toContain(app.identity);
    expect((await run(["workenv", "inspect", "nobody"])).code).toBe(2);
  });

  test("verify says no when a file was changed", async () => {
    const app = addEnvironment(cache, "app");
    expect((await run(["workenv", "verify"])).code).toBe(0);
    writeFileSync(join(app.path, "app/main.txt"), "other text\n");
    const changed = await run(["workenv", "verify", "app", "--json"]);
    expect(changed).toMatchObject({
      code: 1,
      json: { ok: false, environments: [{ differences: [{ path: "app/main.txt" }] }] },
    });
    expect((await run(["workenv", "verify", "--package", "x.psp"])).code).toBe(2);
  });

  test("remove asks, obeys --dry-run, and takes marker and files together", async () => {
    const app = addEnvironment(cache, "app");
    expect((await run(["workenv", "remove", "app"])).code).toBe(2);
    expect((await run(["workenv", "remove", "app", "--dry-run"])).out).toContain("would remove");
    expect(environments()).toEqual([app.id]);
    expect((await run(["workenv", "remove", "app", "--yes"])).code).toBe(0);
    expect(environments()).toEqual([]);
  });

  test.skipIf(process.platform !== "linux")(
    "remove says no while the application runs",
    async () => {
      const app = addEnvironment(cache, "app");
      const child = Bun.spawn(["sleep", "60"], { cwd: app.path });
      const answer = await run(["workenv", "remove", "app", "--yes"]);
      child.kill();
      await child.exited;
      expect(answer).toMatchObject({
        code: 1,
        out: expect.stringContaining(`in use by process ${child.pid}`),
      });
      expect(environments()).toEqual([app.id]);
    },
  );

  test("clean removes what is old or of no use", async () => {
    const [old, half, fresh] = ["old", "half", "fresh"].map((name) => addEnvironment(cache, name));
    unlinkSync(join(half?.path as string, ".sealift/ready"));
    const then = new Date("2026-01-01T00:00:00Z");
    utimesSync(join(old?.path as string, ".sealift/ready"), then, then);
    expect((await run(["workenv", "clean"])).code).toBe(2);
    expect((await run(["workenv", "clean", "--dry-run", "--json"])).json.removed).toHaveLength(1);
    await run(["workenv", "clean", "--older-than", "30", "--yes"]);
    expect(environments()).toEqual([fresh?.id as string]);
    expect((await run(["workenv", "clean"])).out).toContain("Nothing to remove");
  });

  test("refuses a cache that others can write", async () => {
    addEnvironment(cache, "app");
    chmodSync(cache, 0o777);
    const answer = await run(["workenv", "clean", "--all", "--yes", "--json"]);
    expect(answer).toMatchObject({ code: 4, json: { code: "CACHE_WRITABLE" } });
    expect(environments()).toHaveLength(1);
  });
});

describe("sealift clean", () => {
  test("--all empties the cache of what sealift made, and of nothing else", async () => {
    addEnvironment(cache, "app");
    addShared(cache, "python");
    for (const name of ["wheels", "python", "tmp", "mine"]) {
      mkdirSync(join(cache, name));
      writeFileSync(join(cache, name, "file"), "x");
    }
    const scratch = join(cache, "tmp", "killed");
    mkdirSync(scratch);
    utimesSync(scratch, new Date(0), new Date(0));
    const plain = await run(["clean", "--yes", "--json"]);
    expect(plain.json.removed).toMatchObject([{ path: scratch, reason: "scratch" }]);
    expect((await run(["clean", "--all", "--dry-run", "--json"])).json.removed).toHaveLength(4);
    expect((await run(["clean", "--all", "--yes"])).code).toBe(0);
    expect(
      readdirSync(cache)
        .filter((name) => name !== "locks")
        .toSorted(),
    ).toEqual(["mine", "store", "tmp", "workenv"]);
    expect(environments()).toEqual([]);
    expect(existsSync(join(cache, "mine/file"))).toBe(true);
  });
});

describe("sealift doctor", () => {
  async function finding(name: string, more: Record<string, string> = {}) {
    const { code, json } = await run(["doctor", "--json"], more);
    const one = json.checks.find(({ check }: { check: string }) => check === name);
    return { code, ok: json.ok, ...one };
  }

  test("finds nothing wrong in a new home", async () => {
    const { code, json } = await run(["doctor", "--json"]);
    expect(json.checks.filter(({ status }: { status: string }) => status === "fail")).toEqual([]);
    expect(code).toBe(0);
  });

  test("fails for a cache, a store and a key that others can touch, each with the way out", async () => {
    const bad = join(place.home, "bad");
    mkdirSync(bad);
    chmodSync(bad, 0o777);
    expect(await finding("cache folder", { SEALIFT_CACHE: bad })).toMatchObject({
      code: 1,
      ok: false,
      status: "fail",
      hint: expect.stringContaining("chmod go-w"),
    });
    writeFileSync(join(bad, "a.pub"), publicKeyPem(signerFromSeed("a").publicKey));
    expect(await finding("trust store", { SEALIFT_TRUST_DIR: bad })).toMatchObject({
      code: 1,
      status: "fail",
    });
    const keys = join(place.home, ".config/sealift/keys");
    mkdirSync(keys, { recursive: true });
    writeFileSync(join(keys, "default.key"), "", { mode: 0o644 });
    expect(await finding("default key")).toMatchObject({ code: 1, status: "fail" });
  });

  test("fails for a malformed store and an unknown level, warns of a relaxed one", async () => {
    const dir = join(place.home, "store");
    mkdirSync(dir);
    writeFileSync(join(dir, "x.pub"), "words");
    expect(await finding("trust store", { SEALIFT_TRUST_DIR: dir })).toMatchObject({
      status: "fail",
      detail: expect.stringContaining("x.pub"),
    });
    expect(await finding("validation", { SEALIFT_VALIDATION: "none" })).toMatchObject({
      code: 1,
      status: "fail",
    });
    expect(await finding("validation", { SEALIFT_VALIDATION: "relaxed" })).toMatchObject({
      code: 0,
      status: "warn",
    });
  });

  test("warns of missing programs and of what is of no use", async () => {
    const app = addEnvironment(cache, "app");
    unlinkSync(join(app.path, ".sealift/ready"));
    expect(await finding("cache content")).toMatchObject({
      code: 0,
      status: "warn",
      hint: expect.stringContaining("clean"),
    });
    const empty = { PATH: place.home };
    for (const name of ["flock", "uv", "python", "bubblewrap"]) {
      if (process.platform !== "linux" && name !== "uv") continue;
      expect(await finding(name, empty)).toMatchObject({
        status: "warn",
        hint: expect.any(String),
      });
    }
  });

  test("knows the way of a home that is not set", async () => {
    const { code, json } = await run(["doctor", "--json"], { HOME: "" });
    expect(code).toBe(1);
    expect(json.checks[0]).toMatchObject({
      status: "fail",
      hint: expect.stringContaining("SEALIFT_CACHE"),
    });
  });
});

test("parseMounts() finds the innermost mount, and the last of two on one point", () => {
  const mounts = parseMounts(
    [
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
      "23 22 0:20 / /home rw,nosuid,noexec shared:2 - tmpfs tmpfs rw,size=1k",
      "24 23 0:21 / /home/a\\040b rw shared:3 master:1 - tmpfs tmpfs rw",
      "25 22 0:22 / /mnt rw - tmpfs tmpfs rw",
      "26 22 0:23 / /mnt rw,noexec - tmpfs tmpfs rw",
      "",
    ].join("\n"),
  );
  expect(mounts.of("/usr/bin")?.point).toBe("/");
  expect(mounts.of("/home/user")?.options).toContain("noexec");
  expect(mounts.of("/homework")?.point).toBe("/");
  expect(mounts.of("/home/a b/c")?.options).not.toContain("noexec");
  expect(mounts.of("/mnt")?.options).toContain("noexec");
});
