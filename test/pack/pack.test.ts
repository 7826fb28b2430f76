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
import { loadProject, type PackOptions, packProject } from "../../lib/pack/mod.ts";
import { openPackage, verifyPackage } from "../../lib/pspf/mod.ts";
import { keyFingerprint, signerFromSeed } from "../../lib/trust/mod.ts";
import { type Folder, folder, problem } from "./fixture.ts";

const HEAD =
  '[package]\nname = "demo"\nversion = "1.0"\n[execution]\nargv = ["/bin/sh", "{workenv}/bin/run.sh"]\n';
const SCRIPT = '[[slots]]\nid = "script"\nsource = "run.sh"\ntarget = "bin/"\n';
const FILES = { "run.sh": "#!/bin/sh\necho ran\n" };

async function pack(
  project: Folder,
  manifest: string,
  options: PackOptions = {},
  files: Record<string, string> = FILES,
) {
  const root = project.put({ ...files, "sealift.toml": manifest });
  const loaded = await loadProject(root);
  return await packProject(project.ctx, loaded, { keySeed: "test123", ...options });
}

async function slotsOf(path: string) {
  const pkg = await openPackage(path);
  await pkg.close();
  return pkg.slots;
}

const only = (report: Awaited<ReturnType<typeof pack>>) => report.outputs[0]?.path as string;

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
      "demo-windows_amd64.psp",
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
      "SOURCE_MISSING: Slot a: the source nothing does not exist",
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

describe("keys", () => {
  test("the user's default key is made on first use, outside the project, and kept", async () => {
    using project = folder();
    const first = await pack(project, HEAD + SCRIPT, { keySeed: undefined });
    expect(first.key.created).toBe(true);
    expect(first.notes.join()).toContain("config/sealift/keys/default.key");
    const path = join(project.path, "config/sealift/keys/default.key");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(project.path, "project")).sort()).toEqual([
      "dist",
      "run.sh",
      "sealift.toml",
    ]);
    const second = await pack(project, HEAD + SCRIPT, { keySeed: undefined, force: true });
    expect([second.key.created, second.key.fingerprint]).toEqual([false, first.key.fingerprint]);
  });

  test("--key wins over the project's key, and a project's key over the default", async () => {
    using project = folder();
    const made = await pack(project, HEAD + SCRIPT, { keySeed: undefined });
    const key = join(project.path, "config/sealift/keys/default.key");
    writeFileSync(join(project.path, "project/own.key"), readFileSync(key));
    const signing = `${HEAD}${SCRIPT}[signing]\nkey = "own.key"\n`;
    const report = await pack(project, signing, { keySeed: undefined, force: true });
    expect([report.key.origin, report.key.fingerprint]).toEqual([
      `the key file ${join(project.path, "project/own.key")}`,
      made.key.fingerprint,
    ]);
    const seed = await pack(project, signing, { keySeed: "test123", force: true });
    expect(seed.key.fingerprint).toBe(keyFingerprint(signerFromSeed("test123").publicKey));
    expect(
      await problem(() => pack(project, signing, { key, keySeed: "x", force: true })),
    ).toContain("KEY_CHOICE");
    expect(
      await problem(() =>
        pack(project, signing, {
          key: join(project.path, "none"),
          keySeed: undefined,
          force: true,
        }),
      ),
    ).toContain("FILE_MISSING");
  });

  test("--key-seed env reads SEALIFT_KEY_SEED, then FLAVOR_KEY_SEED", async () => {
    using project = folder();
    const expected = keyFingerprint(signerFromSeed("test123").publicKey);
    expect(await problem(() => pack(project, HEAD + SCRIPT, { keySeed: "env" }))).toContain(
      "KEY_SEED",
    );
    project.ctx.env.FLAVOR_KEY_SEED = "test123";
    expect((await pack(project, HEAD + SCRIPT, { keySeed: "env" })).key.fingerprint).toBe(expected);
    project.ctx.env.SEALIFT_KEY_SEED = "other";
    expect(
      (await pack(project, HEAD + SCRIPT, { keySeed: "env", force: true })).key.fingerprint,
    ).not.toBe(expected);
  });
});

describe("proof before the signature", () => {
  test("--validate-before-sign gives the same package", async () => {
    using project = folder();
    const plain = readFileSync(only(await pack(project, HEAD + SCRIPT)));
    const path = only(
      await pack(project, HEAD + SCRIPT, { validateBeforeSign: true, force: true }),
    );
    expect(readFileSync(path).equals(plain)).toBe(true);
    expect(readdirSync(join(project.ctx.cacheDir, "tmp"))).toEqual([]);
  });

  test("--test-command runs in the extracted environment, with setup done and steering variables gone", async () => {
    using project = folder();
    const manifest = `${HEAD}${SCRIPT}[[setup]]\ntype = "write_file"\npath = "{workenv}/etc/conf"\ncontent = "x"\n`;
    project.ctx.env.SEALIFT_ENTRY = "none";
    const ok = `/bin/sh -c 'test "$(cat "$SEALIFT_WORKENV/etc/conf")" = x && "$SEALIFT_WORKENV/bin/run.sh"'`;
    const path = only(await pack(project, manifest, { testCommand: ok }));
    const verdict = await verifyPackage(path);
    expect([verdict.ok, verdict.signers]).toEqual([
      true,
      [keyFingerprint(signerFromSeed("test123").publicKey)],
    ]);
    const pkg = await openPackage(path);
    await pkg.close();
    expect(pkg.metadata.execution.argv).toEqual(["/bin/sh", "{workenv}/bin/run.sh"]);
    // Nothing of the trial stays.
    expect(readdirSync(project.ctx.cacheDir)).toEqual(["tmp"]);
    expect(readdirSync(join(project.ctx.cacheDir, "tmp"))).toEqual([]);
  });

  test("a test that fails leaves no package, and shows its last lines", async () => {
    using project = folder();
    const message = await problem(() =>
      pack(project, HEAD + SCRIPT, { testCommand: "/bin/sh -c 'echo broken >&2; exit 3'" }),
    );
    expect(message).toContain("TEST_COMMAND: The test command ended with 3");
    expect(message).toContain("broken");
    expect(readdirSync(join(project.path, "project/dist"))).toEqual([]);
  });

  test("the package's name and entries are words of a test command", async () => {
    using project = folder();
    const manifest =
      HEAD.replace(
        "[execution]\n",
        '[execution]\nentries = { say = ["/bin/sh", "-c", "test \\"$1\\" = x", "sh"] }\n',
      ) + SCRIPT;
    await pack(project, manifest, { testCommand: "demo" });
    await pack(project, manifest, { testCommand: "say x", force: true });
    expect(
      await problem(() => pack(project, manifest, { testCommand: "say y", force: true })),
    ).toContain("TEST_COMMAND");
    expect(
      await problem(() =>
        pack(project, manifest, { testCommand: "demo", force: true, platforms: ["windows_amd64"] }),
      ),
    ).toContain("TEST_PLATFORM");
  });
});

describe("--compat flavorpack", () => {
  const COMPAT =
    '[package]\nname = "demo"\nversion = "1"\n[execution]\nargv = ["{workenv}/bin/run.sh"]\n';
  const TREE = '[[slots]]\nid = "tree"\nsource = "tree/"\ntarget = "bin"\nshare = true\n';

  test("writes the subset that the earlier launchers run, and our stub runs it too", async () => {
    using project = folder();
    const report = await pack(
      project,
      COMPAT + TREE,
      { compat: "flavorpack" },
      { "tree/run.sh": "#!/bin/sh\necho ran\n" },
    );
    expect(report.notes).toEqual([
      "slot tree is not shared: the earlier launchers have no shared slots",
    ]);
    const path = only(report);
    const [slot] = await slotsOf(path);
    expect([slot?.operations, slot?.target]).toEqual([["tar", "gzip"], ""]);
    const { stdout } = await run([path], { env: project.ctx.env });
    expect(new TextDecoder().decode(stdout)).toBe("ran\n");
    await pack(
      project,
      COMPAT + TREE,
      { compat: "flavorpack", validateBeforeSign: true, force: true },
      { "tree/run.sh": "#!/bin/sh\necho ran\n" },
    );
  });

  test("compresses what is too small for them, and refuses what they cannot run", async () => {
    using project = folder();
    const tiny = `${COMPAT}${TREE}[[slots]]\nid = "tiny"\nsource = "tiny"\ncompression = "none"\n`;
    const files = { "tree/run.sh": "#!/bin/sh\n", tiny: "x" };
    const path = only(await pack(project, tiny, { compat: "flavorpack" }, files));
    expect((await slotsOf(path))[1]?.operations).toEqual(["gzip"]);
    const zstd = `${COMPAT}${TREE}compression = "zstd:3"\n`;
    expect(
      await problem(() => pack(project, zstd, { compat: "flavorpack", force: true }, files)),
    ).toContain("COMPAT_OPERATIONS");
    const env = COMPAT.replace("argv", 'env = { A = "{workenv}/x" }\nargv') + TREE;
    expect(
      await problem(() => pack(project, env, { compat: "flavorpack", force: true }, files)),
    ).toContain("COMPAT_ENV");
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
