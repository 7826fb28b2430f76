/** `delta`, `diff` and releases of several platforms as a user and as a program sees them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeHome } from "./sealift.ts";

const home = makeHome();
const { run } = home;
afterAll(() => home[Symbol.dispose]());

const manifest = (version: string) =>
  `[package]\nname = "demo"\nversion = "${version}"\n[execution]\nargv = ["/bin/sh", "{workenv}/run.sh"]\n[[slots]]\nid = "app"\nsource = "app/"\n`;

beforeAll(async () => {
  mkdirSync(join(home.home, "app"));
  for (const version of ["1.0", "1.1"]) {
    writeFileSync(join(home.home, "app/run.sh"), `echo "demo ${version}"\n`);
    writeFileSync(join(home.home, "app/same.txt"), "the same ".repeat(5000));
    writeFileSync(join(home.home, "sealift.toml"), manifest(version));
    const { code, err } = await run(["pack", "--key-seed", "a", "-o", `demo-${version}.psp`]);
    expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
  }
});

const [OLD, NEW] = ["demo-1.0.psp", "demo-1.1.psp"];

describe("delta", () => {
  test("says what it makes, and makes it", async () => {
    const made = await run(["delta", "create", OLD, NEW]);
    expect(made.code).toBe(0);
    expect(made.out).toStartWith("demo 1.0 → demo 1.1\n");
    expect(made.out).toMatch(/wrote demo-1\.1\.delta {2}[\d,]+ B, \d\.\d\d % of 1\.7 MiB/);
    mkdirSync(join(home.home, "other"));
    const applied = await run([
      "delta",
      "apply",
      OLD,
      "demo-1.1.delta",
      "-o",
      "other/x.psp",
      "--json",
    ]);
    expect(applied).toMatchObject({
      code: 0,
      json: {
        schema: "sealift.delta.apply/1",
        ok: true,
        path: "other/x.psp",
        to: { version: "1.1" },
      },
    });
    const bytes = (name: string) => readFileSync(join(home.home, name));
    expect(Buffer.compare(bytes("other/x.psp"), bytes(NEW))).toBe(0);
    const seen = await run(["delta", "inspect", "demo-1.1.delta"]);
    expect(seen.out).toContain("compressed again          1 piece with zstd");
  });

  test("a dry run checks everything and leaves nothing", async () => {
    const made = await run(["delta", "create", OLD, NEW, "-o", "dry.delta", "--dry-run"]);
    expect(made.out).toContain("would write dry.delta");
    expect(existsSync(join(home.home, "dry.delta"))).toBe(false);
  });

  test("a wrong base is a no, an existing file the environment's, a package no delta", async () => {
    await run(["delta", "create", OLD, NEW, "-o", "codes.delta"]);
    expect(await run(["delta", "apply", NEW, "codes.delta", "--json"])).toMatchObject({
      code: 1,
      json: { schema: "sealift.error/1", code: "DELTA_BASE" },
    });
    expect((await run(["delta", "create", OLD, NEW, "-o", "codes.delta"])).code).toBe(4);
    expect((await run(["delta", "apply", OLD, "codes.delta"])).err).toContain(
      "demo-1.1.psp: exists already",
    );
    expect(await run(["delta", "inspect", OLD, "--json"])).toMatchObject({
      code: 3,
      json: { code: "DELTA_FORMAT" },
    });
  });
});

describe("diff", () => {
  test("says in words what changed, and answers with 1", async () => {
    const { code, out } = await run(["diff", OLD, NEW]);
    expect(code).toBe(1);
    expect(out).toStartWith("demo 1.0 → demo 1.1");
    expect(out).toContain("package  1 changed\n  ~  version  1.0 → 1.1");
    expect(out).toContain("files  1 changed\n  ~  app/run.sh  16 B, other content");
  });

  test("the same for a program, and only a part", async () => {
    const { code, json } = await run(["diff", OLD, NEW, "--only", "files", "--json"]);
    expect(code).toBe(1);
    expect(json).toMatchObject({
      schema: "sealift.diff/1",
      ok: false,
      equal: false,
      groups: { files: [{ name: "app/run.sh", from: 16, to: 16 }] },
    });
    expect((await run(["diff", OLD, OLD])).code).toBe(0);
    expect((await run(["diff", OLD, NEW, "--only", "fils"])).code).toBe(2);
    expect((await run(["diff", OLD, "sealift.toml"])).code).toBe(3);
  });
});

describe("a release", () => {
  beforeAll(async () => {
    const platforms = "linux_amd64,darwin_arm64";
    const { code } = await run(["pack", "--key-seed", "a", "--platform", platforms, "-o", "dist/"]);
    expect(code).toBe(0);
  });
  const RELEASE = "dist/demo-1.1.release.json";

  test("is verified and shown", async () => {
    const { code, json } = await run(["verify", RELEASE, "--json"]);
    expect(code).toBe(0);
    expect(json).toMatchObject({ kind: "release", ok: true, version: "1.1" });
    expect(json.checks.map(({ name }: { name: string }) => name)).toEqual([
      "signature",
      "file demo-darwin_arm64.psp",
      "file demo-linux_amd64.psp",
    ]);
    const { out } = await run(["inspect", RELEASE]);
    expect(out).toContain("linux_amd64   demo-linux_amd64.psp");
    expect((await run(["verify", RELEASE])).out).toEndWith(`${RELEASE}: verified\n`);
  });

  test("options that are about one package, or about a release, are refused at the other", async () => {
    expect(await run(["inspect", RELEASE, "--slots", "--json"])).toMatchObject({
      code: 2,
      json: { code: "RELEASE_OPTION" },
    });
    expect(await run(["verify", OLD, "--platform", "linux_amd64", "--json"])).toMatchObject({
      code: 2,
      json: { code: "PLATFORM_OPTION" },
    });
  });

  test("a package that was changed makes it a no", async () => {
    const path = join(home.home, "dist/demo-linux_amd64.psp");
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] as number) ^ 1;
    writeFileSync(path, bytes);
    const { code, out } = await run(["verify", RELEASE]);
    expect(code).toBe(1);
    expect(out).toContain("is not the file that the release names");
    expect((await run(["verify", RELEASE, "--platform", "darwin_arm64"])).code).toBe(0);
  });
});
