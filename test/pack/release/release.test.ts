/** One release of several platforms: the manifest that binds the files, and every way in which it says no. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";

import { judgeRelease, readRelease } from "../../../lib/pack/mod.ts";
import { publicKeyPem, signEnvelope, signerFromSeed } from "../../../lib/trust/mod.ts";
import { FILES, type Folder, folder, HEAD, pack, problem, SCRIPT } from "../fixture.ts";

const PLATFORMS = ["linux_amd64,linux_arm64", "windows_amd64"];
const MANIFEST =
  HEAD.replace('"/bin/sh", "{workenv}/bin/run.sh"', '"{workenv}/bin/run.sh"') + SCRIPT;

async function released(project: Folder): Promise<string> {
  const report = await pack(project, MANIFEST, { platforms: PLATFORMS });
  return report.release as string;
}

const verdict = (project: Folder, path: string, options = {}) =>
  judgeRelease(project.ctx, path, options);

async function failures(project: Folder, path: string, options = {}) {
  const { ok, checks } = await verdict(project, path, options);
  const failed = checks.filter((check) => !check.ok);
  expect(ok).toBe(failed.length === 0);
  return failed.map(({ name, code }) => `${name}: ${code}`);
}

describe("a release", () => {
  test("stands beside its packages, names each, and is verified with them", async () => {
    using project = folder();
    const path = await released(project);
    expect(path).toBe(join(project.path, "project/dist/demo-1.0.release.json"));
    const release = await readRelease(path);
    expect(release.packages.map(({ file, platform }) => [platform, file])).toEqual([
      ["linux_amd64", "demo-linux_amd64.psp"],
      ["linux_arm64", "demo-linux_arm64.psp"],
      ["windows_amd64", "demo-windows_amd64.exe"],
    ]);
    for (const { file, sha256, size } of release.packages) {
      const bytes = readFileSync(join(path, "..", file));
      expect(bytes.length).toBe(size);
      expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256);
    }
    expect(await failures(project, path)).toEqual([]);
  });

  test("is the same twice, and only made for several platforms", async () => {
    using project = folder();
    const first = readFileSync(await released(project), "utf8");
    const again = await pack(project, MANIFEST, {
      platforms: ["windows_amd64,linux_arm64,linux_amd64"],
      output: join(project.path, "again/"),
    });
    expect(readFileSync(again.release as string, "utf8")).toBe(first);
    expect(
      (await pack(project, MANIFEST, { output: join(project.path, "one.psp") })).release,
    ).toBeUndefined();
  });

  test("appears after all packages, and not over another one", async () => {
    using project = folder();
    const path = await released(project);
    const packages = (await readRelease(path)).packages.map(({ file }) => join(path, "..", file));
    for (const file of packages) rmSync(file);
    expect(await problem(() => released(project))).toStartWith(
      `FILE_EXISTS: ${path}: exists already`,
    );
    expect(packages.some((file) => existsSync(file))).toBe(false);
    rmSync(path);
    // The last package cannot be written: a folder has its name.
    mkdirSync(join(path, "..", "demo-windows_amd64.exe"));
    const forced = { platforms: PLATFORMS, force: true };
    expect(await problem(() => pack(project, MANIFEST, forced))).toStartWith("IS_FOLDER: ");
    expect(existsSync(packages[0] as string)).toBe(true);
    expect(existsSync(path)).toBe(false);
  });

  test("a plan names it and writes nothing", async () => {
    using project = folder();
    const report = await pack(project, MANIFEST, { platforms: PLATFORMS, dryRun: true });
    expect(report.release).toEndWith("demo-1.0.release.json");
    expect(existsSync(report.release as string)).toBe(false);
  });
});

describe("the verdict is no", () => {
  test("for a package that is missing, changed or swapped; a subset may be asked for", async () => {
    using project = folder();
    const path = await released(project);
    const at = (name: string) => join(path, "..", name);
    rmSync(at("demo-windows_amd64.exe"));
    expect(await failures(project, path)).toEqual(["file demo-windows_amd64.exe: FILE_MISSING"]);
    expect(await failures(project, path, { platforms: ["linux_amd64", "linux_arm64"] })).toEqual(
      [],
    );
    copyFileSync(at("demo-linux_arm64.psp"), at("demo-linux_amd64.psp"));
    expect(await failures(project, path, { platforms: ["linux_amd64"] })).toEqual([
      "file demo-linux_amd64.psp: RELEASE_FILE",
    ]);
    expect(
      await problem(() => verdict(project, path, { platforms: ["darwin_arm64"] })),
    ).toStartWith(`PLATFORM_MISSING: ${path}: has no package for darwin_arm64`);
  });

  test("for signers that nobody trusts, and keys that did not sign", async () => {
    using project = folder();
    const path = await released(project);
    const mine = signerFromSeed("test123");
    const other = signerFromSeed("other");
    const store = join(project.path, "trust");
    await Bun.write(join(store, "other.pub"), publicKeyPem(other.publicKey));
    expect(await failures(project, path, { trust: store })).toEqual(["trust: TRUST_UNKNOWN"]);
    await Bun.write(join(store, "mine.pub"), publicKeyPem(mine.publicKey));
    expect(await failures(project, path, { trust: store, strict: true })).toEqual([]);
    expect(await failures(project, path, { strict: true })).toEqual(["trust: TRUST_STORE"]);
    const hex = Buffer.from(other.publicKey).toString("hex");
    expect(await failures(project, path, { key: hex })).toEqual(["key: TRUST_KEY"]);
  });

  test("when the release was signed by somebody who did not sign the packages", async () => {
    using project = folder();
    const path = await released(project);
    const { payloadType, payload } = JSON.parse(readFileSync(path, "utf8"));
    const forged = signEnvelope(
      payloadType,
      Uint8Array.fromBase64(payload),
      signerFromSeed("other"),
    );
    writeFileSync(path, JSON.stringify(forged));
    expect(await failures(project, path)).toEqual([
      "file demo-linux_amd64.psp: RELEASE_SIGNER",
      "file demo-linux_arm64.psp: RELEASE_SIGNER",
      "file demo-windows_amd64.exe: RELEASE_SIGNER",
    ]);
  });

  test("when a statement was changed under its signature", async () => {
    using project = folder();
    const path = await released(project);
    const envelope = JSON.parse(readFileSync(path, "utf8"));
    const statement = Buffer.from(envelope.payload, "base64").toString();
    envelope.payload = Buffer.from(
      statement.replace('"version":"1.0"', '"version":"9.0"'),
    ).toString("base64");
    writeFileSync(path, JSON.stringify(envelope));
    expect(await failures(project, path)).toContain("signature: SEAL_SIGNATURE");
  });
});

describe("a manifest is refused", () => {
  const key = signerFromSeed("test123");
  const one = { file: "a.psp", platform: "linux_amd64", size: 1, identity: "0".repeat(64) };
  const subject = { name: "a.psp", digest: { sha256: "0".repeat(64) } };
  const statement = (more: object, packages: object[] = [one], subjects: object[] = [subject]) => ({
    _type: "https://in-toto.io/Statement/v1",
    subject: subjects,
    predicateType: "urn:sealift:release:1",
    predicate: { name: "demo", version: "1.0", packages, ...more },
  });
  const signed = (document: unknown) =>
    JSON.stringify(
      signEnvelope("application/vnd.in-toto+json", Buffer.from(JSON.stringify(document)), key),
    );

  test.each([
    ["that is empty", ""],
    ["that is no JSON", "{"],
    ["that is no envelope", "{}"],
    ["with two meanings", '{"payload":"","payload":""}'],
    ["of nothing", signed(statement({}, [], []))],
    ["with a key that nobody knows", signed(statement({ more: 1 }))],
    [
      "that leaves its folder",
      signed(statement({}, [{ ...one, file: "../a.psp" }], [{ ...subject, name: "../a.psp" }])),
    ],
    [
      "that names an absolute path",
      signed(statement({}, [{ ...one, file: "/a.psp" }], [{ ...subject, name: "/a.psp" }])),
    ],
    [
      "with a file for no platform",
      signed(statement({}, [one], [subject, { ...subject, name: "b.psp" }])),
    ],
    [
      "with one platform twice",
      signed(
        statement({}, [one, { ...one, file: "b.psp" }], [subject, { ...subject, name: "b.psp" }]),
      ),
    ],
    [
      "with a file that has no digest",
      signed(statement({}, [one], [{ ...subject, name: "b.psp" }])),
    ],
    ["of another kind", signed({ ...statement({}), predicateType: "urn:other" })],
  ])("%s", async (_what, text) => {
    using project = folder();
    const path = join(project.put(FILES), "x.release.json");
    writeFileSync(path, text);
    expect(await problem(() => readRelease(path))).toStartWith(
      `RELEASE_FORMAT: ${path}: is no release: `,
    );
  });

  test("whatever byte of it changes, it is never verified as something else", async () => {
    using project = folder();
    const path = await released(project);
    const good = readFileSync(path);
    const said = await readRelease(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), async (at, to) => {
        const bad = Buffer.from(good);
        bad[at] = to;
        writeFileSync(path, bad);
        try {
          const release = await readRelease(path);
          if (release.signers.length > 0) expect(release).toEqual(said);
        } catch (error) {
          expect((error as { code?: string }).code).toBe("RELEASE_FORMAT");
        }
      }),
      { numRuns: 500 },
    );
  });
});
