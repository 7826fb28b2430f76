import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  generateKeyPair,
  loadPublicKey,
  loadSigner,
  verifyEd25519,
  writeKeyPair,
} from "../../lib/trust/mod.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-pair-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("writeKeyPair() writes a pair that signs and verifies, 0600 and 0644", async () => {
  const pair = generateKeyPair();
  const paths = await writeKeyPair(join(folder, "keys"), "release", pair);
  expect(paths.privatePath).toEndWith("release.key");
  expect(statSync(paths.privatePath).mode & 0o777).toBe(0o600);
  expect(statSync(paths.publicPath).mode & 0o777).toBe(0o644);
  const message = new TextEncoder().encode("text");
  const signature = (await loadSigner(paths.privatePath)).sign(message);
  expect(verifyEd25519(await loadPublicKey(paths.publicPath), message, signature)).toBe(true);
});

test("generateKeyPair() never gives one pair twice", () => {
  expect(generateKeyPair().privatePem).not.toBe(generateKeyPair().privatePem);
});

test("generateKeyPair() puts the key under a passphrase", async () => {
  const pair = generateKeyPair({ passphrase: "secret" });
  expect(pair.privatePem).toStartWith("-----BEGIN ENCRYPTED PRIVATE KEY-----");
  const { privatePath } = await writeKeyPair(folder, "locked", pair);
  const signer = await loadSigner(privatePath, { passphrase: "secret" });
  expect(signer.publicKey).toEqual(pair.signer.publicKey);
});

test.each(["one.key", "one.pub"])(
  "writeKeyPair() leaves all as it was when %s exists",
  async (name) => {
    await Bun.write(join(folder, name), "precious");
    await expect(writeKeyPair(folder, "one", generateKeyPair())).rejects.toMatchObject({
      code: "FILE_EXISTS",
      exit: 4,
    });
    expect(await readdir(folder)).toEqual([name]);
    expect(await Bun.file(join(folder, name)).text()).toBe("precious");
  },
);

test("writeKeyPair() does not write through a link that leads nowhere", async () => {
  const { symlinkSync } = await import("node:fs");
  symlinkSync(join(folder, "elsewhere"), join(folder, "one.key"));
  await expect(writeKeyPair(folder, "one", generateKeyPair())).rejects.toMatchObject({
    code: "FILE_EXISTS",
  });
  expect(existsSync(join(folder, "elsewhere"))).toBe(false);
});

test.each(["", "../x", "a/b", ".hidden", "a\0b", "-o"])(
  "writeKeyPair() refuses the name %j",
  async (name) => {
    await expect(writeKeyPair(folder, name, generateKeyPair())).rejects.toMatchObject({ exit: 2 });
  },
);
