import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { embeddedLauncher, hostPlatform } from "../../lib/launcher/mod.ts";
import { loadProject, packProject } from "../../lib/pack/mod.ts";
import { verifyPackage } from "../../lib/pspf/mod.ts";
import { keyFingerprint, signerFromSeed } from "../../lib/trust/mod.ts";
import { FILES, folder, HEAD, only, pack, problem, SCRIPT, slotsOf } from "./fixture.ts";

describe("packProject()", () => {
  test("makes a package that verifies in every byte and runs", async () => {
    using project = folder();
    const report = await pack(project, HEAD + SCRIPT);
    const path = only(report);
    expect(path).toEndWith("project/dist/demo.psp");
    expect(report.outputs[0]?.hostPrograms).toEqual(["/bin/sh"]);
    const verdict = await verifyPackage(path);
    expect([verdict.ok, verdict.sealed, verdict.coverage.covered]).toEqual([
      true,
      true,
      statSync(path).size,
    ]);
    expect(verdict.signers).toEqual([keyFingerprint(signerFromSeed("test123").publicKey)]);
    const { code, stdout } = await run([path], { env: project.ctx.env });
    expect([code, new TextDecoder().decode(stdout)]).toEqual([0, "ran\n"]);
  });

  test("gives the same bytes wherever and whenever it runs", async () => {
    using a = folder();
    using b = folder();
    const manifest = `${HEAD}${SCRIPT}[[slots]]\nid = "tree"\nsource = "tree/"\ntarget = "t"\n`;
    const first = only(await pack(a, manifest, {}, { ...FILES, "tree/a": "1", "tree/b/c": "2" }));
    const second = only(await pack(b, manifest, {}, { "tree/b/c": "2", "tree/a": "1", ...FILES }));
    expect(readFileSync(first).equals(readFileSync(second))).toBe(true);
    const later = { ...b.ctx, env: { ...b.ctx.env, SOURCE_DATE_EPOCH: "1000000000" } };
    const third = join(b.path, "third.psp");
    await packProject(later, await loadProject(join(b.path, "project")), {
      keySeed: "test123",
      output: third,
    });
    expect(readFileSync(third).equals(readFileSync(first))).toBe(false);
  });

  test("takes files, folders and globs", async () => {
    using project = folder();
    const manifest = `${HEAD}${SCRIPT}
[[slots]]
id = "one"
source = "lib/app-*.jar"
target = "lib/app.jar"
[[slots]]
id = "many"
source = "conf/**/*.ini"
target = "etc"
exclude = ["**/secret.ini"]
[[slots]]
id = "folder"
source = "data"
target = "share"
permissions = "0600"
compression = "gzip"
[[slots]]
id = "beside"
source = "note.txt"
`;
    const files = {
      ...FILES,
      "lib/app-1.2.jar": "jar",
      "conf/a/x.ini": "x",
      "conf/b/y.ini": "y",
      "conf/b/secret.ini": "s",
      "data/x": "x",
      "note.txt": "n",
    };
    const path = only(await pack(project, manifest, {}, files));
    const slots = await slotsOf(path);
    expect(
      slots.map((slot) => [
        slot.id,
        slot.target,
        slot.operations.join("|"),
        slot.permissions.toString(8),
      ]),
    ).toEqual([
      ["script", "bin/run.sh", "zstd", "755"],
      ["one", "lib/app.jar", "zstd", "644"],
      ["many", "etc", "tar|zstd", "755"],
      ["folder", "share", "tar|gzip", "755"],
      ["beside", "note.txt", "zstd", "644"],
    ]);
    const env = await run([path], { env: { ...project.ctx.env, SEALIFT_LAUNCHER_CLI: "1" } });
    expect(env.code).toBe(0);
    const all = await run(
      [
        "/bin/sh",
        "-c",
        `"$1" && cd "$2"/workenv/* && find . -name '*.ini' | sort && stat -c %a share/x`,
        "sh",
        path,
        project.ctx.cacheDir,
      ],
      { env: project.ctx.env },
    );
    expect(new TextDecoder().decode(all.stdout)).toBe("ran\n./etc/a/x.ini\n./etc/b/y.ini\n600\n");
  });

  test.each([
    ["none", []],
    ["gzip:9", ["gzip"]],
    ["bzip2", ["bzip2"]],
    ["xz", ["xz"]],
    ["zstd:3", ["zstd"]],
  ])(
    "--compression %s overrides what the slots say, and the launcher reads it",
    async (compression, operations) => {
      using project = folder();
      const path = only(
        await pack(project, `${HEAD}${SCRIPT}compression = "zstd:1"\n`, { compression }),
      );
      expect((await slotsOf(path))[0]?.operations as string[]).toEqual(operations);
      expect((await run([path], { env: project.ctx.env })).code).toBe(0);
    },
  );

  test("leaves an existing package alone without --force, and before any work", async () => {
    using project = folder();
    const out = join(project.put({}), "..", "there.psp");
    writeFileSync(out, "mine");
    expect(await problem(() => pack(project, HEAD + SCRIPT, { output: out }))).toContain(
      "FILE_EXISTS",
    );
    expect(readFileSync(out, "utf8")).toBe("mine");
    await pack(project, HEAD + SCRIPT, { output: out, force: true });
    expect((await verifyPackage(out)).ok).toBe(true);
  });

  test("with --dry-run only plans: no package, no key, no folder", async () => {
    using project = folder();
    const report = await pack(project, HEAD + SCRIPT, { dryRun: true, keySeed: undefined });
    expect(report.outputs[0]).toMatchObject({ slots: [{ id: "script", original: 19 }] });
    expect(report.outputs[0]).not.toHaveProperty("size");
    expect(existsSync(join(project.path, "project/dist"))).toBe(false);
    expect(existsSync(join(project.path, "config"))).toBe(false);
  });

  test("makes one package per platform, each with its own slots and launcher", async () => {
    using project = folder();
    const slot = (platform: string) =>
      `[[slots]]\nid = "native"\nsource = "${platform}.bin"\ntarget = "bin/native"\nplatform = "${platform}"\n`;
    const manifest = HEAD + SCRIPT + slot("linux_amd64") + slot("windows");
    const report = await pack(
      project,
      manifest,
      { platforms: ["linux_amd64,windows_amd64"] },
      { ...FILES, "linux_amd64.bin": "l", "windows.bin": "w" },
    );
    expect(report.outputs.map((output) => output.path.split("/").at(-1))).toEqual([
      "demo-linux_amd64.psp",
      "demo-windows_amd64.exe",
    ]);
    const windows = report.outputs[1]?.path as string;
    expect((await slotsOf(windows)).map((found) => found.metadata.source)).toEqual([
      "run.sh",
      "windows.bin",
    ]);
    expect(readFileSync(windows).subarray(0, 2).toString()).toBe("MZ");
  });

  test("refuses a {slot:…} that the platform leaves out", async () => {
    using project = folder();
    const manifest =
      '[package]\nname = "demo"\nversion = "1"\n[execution]\nargv = ["{slot:tool}"]\n[[slots]]\nid = "tool"\nsource = "run.sh"\nplatform = "windows"\n';
    expect(await problem(() => pack(project, manifest, { platforms: ["linux_amd64"] }))).toContain(
      "{slot:tool} names no slot",
    );
  });

  test("packs a launcher of the user's own, and refuses one for another system", async () => {
    using project = folder();
    const own = join(project.put(FILES), "stub");
    const { bytes } = await embeddedLauncher("auto", hostPlatform());
    writeFileSync(own, Buffer.concat([bytes, Buffer.from("own build")]));
    const report = await pack(project, HEAD + SCRIPT, { launcherBin: own });
    expect(report.outputs[0]?.launcher).toEqual({
      tool: "stub",
      version: "unknown",
      size: bytes.length + 9,
    });
    expect(
      await problem(() =>
        pack(project, HEAD + SCRIPT, {
          launcherBin: own,
          platforms: ["windows_amd64"],
          force: true,
        }),
      ),
    ).toContain("LAUNCHER_FORMAT");
  });

  test("names a missing source, and what cannot be packed", async () => {
    using project = folder();
    const missing = `${HEAD}[[slots]]\nid = "a"\nsource = "nothing"\n`;
    expect(await problem(() => pack(project, missing))).toContain(
      "sealift.toml: Slot a: the source nothing does not exist",
    );
    const glob = `${HEAD}[[slots]]\nid = "a"\nsource = "*.jar"\n`;
    expect(await problem(() => pack(project, glob))).toContain("the source *.jar matches nothing");
    const file = `${HEAD}[[slots]]\nid = "a"\nsource = "run.sh/"\n`;
    expect(await problem(() => pack(project, file))).toContain("says folder");
    const root = project.put({});
    mkdirSync(join(root, "tree"), { recursive: true });
    symlinkSync("/etc/passwd", join(root, "tree/out"));
    const escape = `${HEAD}[[slots]]\nid = "a"\nsource = "tree/"\ntarget = "t"\n`;
    expect(await problem(() => pack(project, escape))).toContain("TAR_LINK");
    expect(readdirSync(root)).not.toContain("dist");
  });
});

test("a scratch folder that cannot be made is named", async () => {
  using project = folder();
  const root = project.put({ ...FILES, "sealift.toml": HEAD + SCRIPT });
  writeFileSync(join(project.path, "cache"), "a file");
  const message = await problem(async () =>
    packProject(project.ctx, await loadProject(root), { keySeed: "x" }),
  );
  expect(message).toContain(join(project.path, "cache"));
  chmodSync(join(project.path, "cache"), 0o644);
});
