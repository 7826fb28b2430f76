/** The installer against a release page on loopback, a mirror folder and a plain folder; and against everything that can be wrong. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram } from "../../lib/base/mod.ts";

const ROOT = join(import.meta.dir, "..", "..");
const work = mkdtempSync(join(tmpdir(), "sealift-install-"));
const page = join(work, "page");
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
};
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const path = join(page, new URL(request.url).pathname);
    return existsSync(path)
      ? new Response(Bun.file(path))
      : new Response("not found", { status: 404 });
  },
});
const url = `http://127.0.0.1:${server.port}`;

beforeAll(async () => {
  const sealift = join(ROOT, "dist", "sealift");
  expect(existsSync(sealift)).toBe(true);
  await must([sealift, "keygen", "--out-dir", work, "--name", "publisher"]);
  await must([
    process.execPath,
    join(ROOT, "scripts/release.ts"),
    "--host-only",
    "--key",
    join(work, "publisher.key"),
    "--url",
    url,
    "--out",
    page,
  ]);
}, 120_000);
afterAll(() => {
  server.stop(true);
  rmSync(work, { recursive: true, force: true });
});

describe("install.sh", () => {
  test("installs the latest version from the page with curl", async () => {
    const { code, err } = await install("curl", []);
    expect({ code, err }).toEqual({
      code: 0,
      err: expect.stringContaining(`installed sealift ${version} as`),
    });
    expect(statSync(join(work, "curl", "bin", "sealift")).mode & 0o777).toBe(0o755);
  });

  test.skipIf(findProgram("wget") === undefined)(
    "installs with wget where there is no curl",
    async () => {
      const tools = join(work, "wget-tools");
      mkdirSync(tools);
      for (const name of [
        "sh",
        "wget",
        "uname",
        "id",
        "ls",
        "mktemp",
        "rm",
        "tr",
        "sed",
        "grep",
        "head",
        "openssl",
        "sha256sum",
        "cmp",
        "mkdir",
        "chmod",
        "cp",
        "mv",
        "cat",
      ]) {
        const path = findProgram(name);
        if (path !== undefined) await must(["ln", "-s", path, join(tools, name)]);
      }
      const { code, err } = await install("wget", [], { PATH: tools });
      expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("installed") });
    },
  );

  test("installs from a mirror folder and from the folder of one release", async () => {
    expect((await install("mirror", ["--from", page])).code).toBe(0);
    expect((await install("flat", ["--from", join(page, `v${version}`)])).code).toBe(0);
    expect(
      (await install("named", ["--from", join(page, `v${version}`), "--version", version])).code,
    ).toBe(0);
  });

  test("an installed program runs", async () => {
    await install("runs", ["--from", page]);
    const { code, out } = await shell([join(work, "runs", "bin", "sealift"), "--version"]);
    expect({ code, out }).toEqual({ code: 0, out: `sealift ${version}\n` });
  });

  test("keeps another version unless --force is given", async () => {
    const target = join(work, "keep", "bin", "sealift");
    mkdirSync(join(work, "keep", "bin"), { recursive: true });
    writeFileSync(target, "#!/bin/sh\necho old\n", { mode: 0o755 });
    const refused = await install("keep", ["--from", page]);
    expect(refused).toEqual({ code: 1, out: "", err: expect.stringContaining("--force") });
    expect(readFileSync(target, "utf8")).toContain("echo old");
    expect((await install("keep", ["--from", page, "--force"])).code).toBe(0);
  });

  const damages: [string, (folder: string) => void, string][] = [
    [
      "a changed binary",
      (folder) => append(join(folder, binaryName())),
      "does not match its SHA-256",
    ],
    ["a changed list", (folder) => append(join(folder, "SHA256SUMS")), "signature of SHA256SUMS"],
    ["a missing signature", (folder) => rmSync(join(folder, "SHA256SUMS.sig")), "SHA256SUMS.sig"],
    ["a list signed by another key", resign, "signature of SHA256SUMS"],
    ["a missing binary", (folder) => rmSync(join(folder, binaryName())), binaryName()],
  ];
  test.each(damages)("refuses %s and leaves nothing", async (name, damage, message) => {
    const copy = join(work, `bad-${name.replaceAll(" ", "-")}`);
    cpSync(page, copy, { recursive: true });
    damage(join(copy, `v${version}`));
    const prefix = `prefix-${name.replaceAll(" ", "-")}`;
    const { code, err } = await install(prefix, ["--from", copy]);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(message) });
    expect(existsSync(join(work, prefix))).toBe(false);
  });

  test("an old release cannot be served as a new one", async () => {
    const copy = join(work, "rollback");
    cpSync(page, copy, { recursive: true });
    cpSync(join(copy, `v${version}`), join(copy, "v99.0.0"), { recursive: true });
    writeFileSync(join(copy, "latest"), "99.0.0\n");
    expect(await install("rollback", ["--from", copy])).toEqual({
      code: 1,
      out: "",
      err: expect.stringContaining("99.0.0"),
    });
  });

  test.each([
    [["--frobnicate"], "unknown option"],
    [["--from"], "needs a value"],
    [["--from", "/nowhere"], "does not exist"],
    [["--version", "../../etc"], "is not a version"],
  ])("says what is wrong with %p", async (words, message) => {
    expect(await install("usage", words)).toEqual({
      code: 1,
      out: "",
      err: expect.stringContaining(message),
    });
  });

  test("without a built-in key it asks for one", async () => {
    const words = [
      "sh",
      join(ROOT, "scripts/install.sh"),
      "--from",
      page,
      "--prefix",
      join(work, "nokey"),
    ];
    expect((await shell(words)).err).toContain("--key");
    expect((await shell([...words, "--key", join(work, "publisher.pub")])).code).toBe(0);
  });
});

test("the release names the licences of what is inside", () => {
  const notices = readFileSync(join(page, `v${version}`, "THIRD-PARTY-NOTICES.txt"), "utf8");
  for (const part of [
    "valibot",
    "citty",
    "zstd",
    "ed25519-dalek",
    "klauspost/compress",
    "JavaScriptCore",
  ])
    expect(notices).toContain(part);
});

function binaryName(): string {
  return `sealift-${version}-linux-${process.arch}`;
}

function append(path: string): void {
  writeFileSync(path, "x", { flag: "a" });
}

function resign(folder: string): void {
  const pair = Bun.spawnSync([
    join(ROOT, "dist/sealift"),
    "keygen",
    "--out-dir",
    folder,
    "--name",
    "evil",
  ]);
  expect(pair.exitCode).toBe(0);
  const { exitCode } = Bun.spawnSync([
    "openssl",
    "pkeyutl",
    "-sign",
    "-rawin",
    "-inkey",
    join(folder, "evil.key"),
    "-in",
    join(folder, "SHA256SUMS"),
    "-out",
    join(folder, "SHA256SUMS.sig"),
  ]);
  expect(exitCode).toBe(0);
  copyFileSync(join(folder, "evil.pub"), join(folder, "release.pub"));
  chmodSync(join(folder, "release.pub"), 0o644);
}

function install(prefix: string, words: string[], env: Record<string, string> = {}) {
  return shell(
    [findProgram("sh") ?? "sh", join(page, "install.sh"), "--prefix", join(work, prefix), ...words],
    env,
  );
}

async function shell(command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { code, out, err };
}

async function must(command: string[]): Promise<void> {
  const { code, out, err } = await shell(command);
  if (code !== 0) throw new Error(`\`${command.join(" ")}\` exited with ${code}: ${out}${err}`);
}
