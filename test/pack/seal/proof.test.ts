/** Which key signs, what is proven before it does, and the profile for the earlier launchers. */
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { run } from "../../../lib/base/mod.ts";
import { openPackage, verifyPackage } from "../../../lib/pspf/mod.ts";
import { keyFingerprint, signerFromSeed } from "../../../lib/trust/mod.ts";
import { folder, HEAD, only, pack, problem, SCRIPT, slotsOf } from "../fixture.ts";

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

describe("what must not go in", () => {
  const ALL = '[[slots]]\nid = "all"\nsource = "./"\ntarget = "all"\n';

  test("the key that signs, also through a link to its folder", async () => {
    using project = folder();
    await pack(project, HEAD + SCRIPT, { keySeed: undefined, output: join(project.path, "a.psp") });
    const key = join(project.path, "project/keys/release.key");
    project.put({
      "keys/release.key": readFileSync(join(project.path, "config/sealift/keys/default.key")),
    });
    symlinkSync(join(project.path, "project"), join(project.path, "linked"));
    const outside = { keySeed: undefined, output: join(project.path, "b.psp") };
    const manifest = HEAD + SCRIPT + ALL;
    expect(await problem(() => pack(project, manifest, { ...outside, key }))).toContain(
      "KEY_PACKED: Slot all",
    );
    const linked = join(project.path, "linked/keys/release.key");
    expect(await problem(() => pack(project, manifest, { ...outside, key: linked }))).toContain(
      "KEY_PACKED",
    );
    const signing = `${manifest}[signing]\nkey = "keys/release.key"\n`;
    expect(await problem(() => pack(project, signing, outside))).toContain("KEY_PACKED");
    expect(existsSync(outside.output)).toBe(false);
    await pack(project, manifest.replace('target = "all"', 'target = "all"\nexclude = ["keys"]'), {
      ...outside,
      key,
    });
  });

  test("the package of an earlier run", async () => {
    using project = folder();
    await pack(project, HEAD + SCRIPT + ALL);
    expect(await problem(() => pack(project, HEAD + SCRIPT + ALL, { force: true }))).toContain(
      "OUTPUT_PACKED: Slot all",
    );
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

  test("says where slots lie, and drops an entry that is the command under a name", async () => {
    using project = folder();
    const text = `[package]
name = "demo"
version = "1"
[execution]
argv = ["{slot:tree}/run.sh"]
entries = { demo = ["{slot:tree}/run.sh"] }
${TREE}[[slots]]
id = "note"
source = "note"
target = "text/"
[[setup]]
type = "execute"
command = ["{slot:tree}/copy.sh", "{slot:note}"]
`;
    const files = {
      "tree/run.sh": '#!/bin/sh\ncat "$FLAVOR_WORKENV/copied"\n',
      "tree/copy.sh": '#!/bin/sh\ncp "$1" "$FLAVOR_WORKENV/copied"\n',
      note: "a note, longer than sixteen bytes\n",
    };
    const path = only(await pack(project, text, { compat: "flavorpack" }, files));
    const { stdout } = await run([path], { env: project.ctx.env });
    expect(new TextDecoder().decode(stdout)).toBe(files.note);
    const other = text.replace('demo = ["{slot:tree}/run.sh"]', 'other = ["/bin/true"]');
    expect(
      await problem(() => pack(project, other, { compat: "flavorpack", force: true }, files)),
    ).toContain("COMPAT_ENTRIES");
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
