import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { formatPem } from "../../lib/trust/_pem.ts";
import { encodeSpki } from "../../lib/trust/_pkcs8.ts";
import {
  judge,
  keyFingerprint,
  openTrustStore,
  passphraseFrom,
  pinAdd,
  pinRemove,
  publicKeyPem,
  readStore,
  safeKeyName,
  signerFromSeed,
  systemTrustFolder,
  trustAdd,
  trustRemove,
  trustRevoke,
  type TrustStore,
} from "../../lib/trust/mod.ts";
import { testIf } from "../support/need.ts";

const A = signerFromSeed("a").publicKey;
const B = signerFromSeed("b").publicKey;
const C = signerFromSeed("c").publicKey;
const root = process.getuid?.() === 0;

let folder: string;
let store: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-store-"));
  store = join(folder, "trust.d");
});
afterEach(() => rm(folder, { recursive: true }));

function put(name: string, content: string | Uint8Array): Promise<number> {
  return Bun.write(join(store, name), content);
}

function memory(keys: Uint8Array[], revoked: Uint8Array[] = [], pins: [string, Uint8Array][] = []) {
  const stored = (list: Uint8Array[]) =>
    list.map((publicKey) => ({ name: "", path: "", publicKey }));
  return {
    dir: "store",
    keys: stored(keys),
    revoked: stored(revoked),
    pins: pins.map(([name, publicKey]) => ({ package: name, publicKey })),
  } satisfies TrustStore;
}

describe("openTrustStore()", () => {
  const home = () => ({ HOME: folder, XDG_CONFIG_HOME: join(folder, "config") });

  test.skipIf(existsSync(systemTrustFolder({})))(
    "finds no store where there is none, and ignores an empty folder",
    async () => {
      expect(await openTrustStore({ env: home() })).toBeUndefined();
      mkdirSync(join(folder, "config", "sealift", "trust.d"), { recursive: true });
      expect(await openTrustStore({ env: home() })).toBeUndefined();
      expect(await openTrustStore({ env: {} })).toBeUndefined();
    },
  );

  test("reads the user's store", async () => {
    const dir = join(folder, "config", "sealift", "trust.d");
    await trustAdd(dir, "a", A);
    const found = await openTrustStore({ env: home() });
    expect(found).toMatchObject({
      dir,
      keys: [{ name: "a", publicKey: A }],
      revoked: [],
      pins: [],
    });
  });

  test("a named folder is the store, also when it is empty, and it must exist", async () => {
    const env = { ...home(), SEALIFT_TRUST_DIR: store };
    await expect(openTrustStore({ env })).rejects.toMatchObject({ code: "TRUST_STORE", exit: 4 });
    mkdirSync(store);
    expect((await openTrustStore({ env }))?.keys).toEqual([]);
    expect((await openTrustStore({ dir: store, env: home() }))?.dir).toBe(store);
  });

  test("the variable must be an absolute path, the option need not", async () => {
    const env = { ...home(), SEALIFT_TRUST_DIR: "trust.d" };
    await expect(openTrustStore({ env })).rejects.toMatchObject({
      code: "CACHE_RELATIVE",
      exit: 4,
    });
  });

  test("a revocation or pins alone make a store", async () => {
    const dir = join(folder, "config", "sealift", "trust.d");
    await Bun.write(join(dir, "pins"), "# nothing yet\n");
    expect(await openTrustStore({ env: home() })).toMatchObject({ dir, pins: [] });
  });

  test("ignores other files, and text around a key", async () => {
    await put("a.pub", `The key of A:\n${publicKeyPem(A)}Ask us before you trust it.\n`);
    await put(".a.pub.1234.tmp", "unfinished");
    await put("README", "words");
    expect((await readStore(store)).keys).toHaveLength(1);
  });

  const malformed: [string, string, string | Uint8Array, string][] = [
    ["an empty key", "x.pub", "", "x.pub"],
    ["a truncated key", "x.pub", publicKeyPem(A).slice(0, 50), "truncated"],
    ["a private key", "x.pub", formatPem("PRIVATE KEY", encodeSpki(A)), "PRIVATE KEY"],
    ["a key in another format", "x.pub", A.toHex(), "x.pub"],
    ["a weak key", "x.revoked", formatPem("PUBLIC KEY", encodeSpki(new Uint8Array(32))), "anyone"],
    ["a key that is not UTF-8", "x.pub", new Uint8Array(80).fill(0xfe), "not UTF-8"],
    ["two keys in a file", "x.pub", publicKeyPem(A) + publicKeyPem(B), "x.pub"],
    ["pins with a word too many", "pins", `app ${A.toHex()} extra\n`, "line 1 of pins"],
    ["pins with a short key", "pins", `# ok\napp ${A.toHex().slice(1)}\n`, "line 2 of pins"],
    ["pins that are not UTF-8", "pins", new Uint8Array(9).fill(0xfe), "not UTF-8"],
    ["a huge file", "x.pub", new Uint8Array((1 << 20) + 1), "larger than"],
  ];
  test.each(malformed)("refuses %s and names it", async (_, name, content, message) => {
    await put("good.pub", publicKeyPem(B));
    await put(name, content);
    const error = await readStore(store).catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: "TRUST_STORE" });
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain(store);
  });

  test("refuses a folder and a dead link in the place of a key", async () => {
    mkdirSync(join(store, "x.pub"), { recursive: true });
    await expect(readStore(store)).rejects.toMatchObject({ code: "TRUST_STORE" });
    await rm(join(store, "x.pub"), { recursive: true });
    symlinkSync("nowhere", join(store, "y.revoked"));
    await expect(readStore(store)).rejects.toMatchObject({ code: "TRUST_STORE" });
  });

  test.skipIf(!Bun.which("mkfifo"))("refuses a pipe, and does not wait for it", async () => {
    mkdirSync(store);
    expect(Bun.spawnSync(["mkfifo", join(store, "x.pub")]).exitCode).toBe(0);
    await expect(readStore(store)).rejects.toMatchObject({ code: "TRUST_STORE" });
  });

  test("refuses a store that is a file", async () => {
    await Bun.write(store, "");
    await expect(readStore(store)).rejects.toMatchObject({ code: "TRUST_STORE", exit: 4 });
  });

  testIf(root ? "root reads everything" : true)("refuses a store that cannot be read", async () => {
    await put("a.pub", publicKeyPem(A));
    chmodSync(store, 0);
    await expect(readStore(store)).rejects.toMatchObject({ code: "TRUST_STORE", exit: 4 });
    chmodSync(store, 0o700);
  });
});

describe("judge()", () => {
  const cases: [string, TrustStore, Uint8Array[], string, Uint8Array][] = [
    ["trusts a key of the store", memory([A]), [A], "ok", A],
    ["does not know another key", memory([A]), [B], "TRUST_UNKNOWN", B],
    ["trusts a co-signer", memory([B]), [A, B], "ok", B],
    ["refuses a revoked key that is trusted too", memory([A], [A]), [A], "TRUST_REVOKED", A],
    ["refuses a revoked co-signer", memory([A], [B]), [A, B], "TRUST_REVOKED", B],
    [
      "refuses a pinned package by another key",
      memory([A, B], [], [["app", B]]),
      [A],
      "TRUST_PIN",
      A,
    ],
    ["trusts a pinned package by its key", memory([A, B], [], [["app", B]]), [B], "ok", B],
    [
      "accepts any of several pins",
      memory(
        [A, B],
        [],
        [
          ["app", C],
          ["app", B],
        ],
      ),
      [B],
      "ok",
      B,
    ],
    ["does not apply pins of other packages", memory([A], [], [["App", B]]), [A], "ok", A],
    ["a pin alone trusts nobody", memory([], [], [["app", A]]), [A], "TRUST_UNKNOWN", A],
    [
      "a pinned co-signer and a trusted signer are enough",
      memory([A], [], [["app", B]]),
      [A, B],
      "ok",
      A,
    ],
    [
      "refuses a pinned key that is revoked",
      memory([], [A], [["app", A]]),
      [A],
      "TRUST_REVOKED",
      A,
    ],
    ["an empty store trusts nobody", memory([]), [A], "TRUST_UNKNOWN", A],
  ];
  test.each(cases)("%s", (_, trust, signers, reason, key) => {
    const verdict = judge(trust, "app", signers);
    expect(verdict).toEqual({
      trusted: reason === "ok",
      reason: reason as typeof verdict.reason,
      key: keyFingerprint(key),
    });
  });

  test("trusts nothing that nobody signed", () => {
    expect(judge(memory([A]), "app", []).trusted).toBe(false);
  });
});

describe("trustAdd(), trustRemove(), trustRevoke()", () => {
  test("write what the launchers read, and take it away again", async () => {
    const first = await trustAdd(store, "acme", A);
    expect(first).toEqual({ name: "acme", path: join(store, "acme.pub"), added: true });
    expect(await Bun.file(first.path).text()).toBe(publicKeyPem(A));
    expect(statSync(first.path).mode & 0o777).toBe(0o644);
    expect(await trustAdd(store, "again", A)).toMatchObject({ name: "acme", added: false });
    expect(await trustRemove(store, "acme")).toHaveLength(1);
    expect(await readdir(store)).toEqual([]);
  });

  test("one name is one key", async () => {
    await trustAdd(store, "acme", A);
    await expect(trustAdd(store, "acme", B)).rejects.toMatchObject({ code: "FILE_EXISTS" });
    expect((await readStore(store)).keys[0]?.publicKey).toEqual(A);
  });

  test("remove takes every file of a fingerprint, and says when there is none", async () => {
    await put("one.pub", publicKeyPem(A));
    await put("two.pub", publicKeyPem(A));
    await put("three.pub", publicKeyPem(B));
    expect(await trustRemove(store, keyFingerprint(A))).toHaveLength(2);
    expect(await readdir(store)).toEqual(["three.pub"]);
    await expect(trustRemove(store, "one")).rejects.toMatchObject({
      code: "TRUST_ABSENT",
      exit: 2,
    });
  });

  test("revoke refuses the key and forgets it; only --revoked undoes it", async () => {
    await trustAdd(store, "acme", A);
    const done = await trustRevoke(store, "acme", A);
    expect(done).toMatchObject({ added: true, removed: [{ name: "acme" }] });
    expect(await readdir(store)).toEqual(["acme.revoked"]);
    expect(judge(await readStore(store), "app", [A]).reason).toBe("TRUST_REVOKED");
    expect((await trustRevoke(store, "other", A)).added).toBe(false);
    await expect(trustAdd(store, "acme", A)).rejects.toMatchObject({
      code: "TRUST_REVOKED",
      exit: 1,
    });
    await expect(trustRemove(store, "acme")).rejects.toMatchObject({ code: "TRUST_ABSENT" });
    await trustRemove(store, "acme", { revoked: true });
    expect((await trustAdd(store, "acme", A)).added).toBe(true);
  });

  test.each(["", "..", "a/b", "-x", ".x", "NUL", "com1.x", "x\n"])(
    "refuse the name %j",
    async (name) => {
      await expect(trustAdd(store, name, A)).rejects.toMatchObject({ code: "KEY_NAME" });
      await expect(trustRevoke(store, name, A)).rejects.toMatchObject({ code: "KEY_NAME" });
    },
  );

  test("change nothing in a store with a malformed file", async () => {
    await put("bad.pub", "words");
    await expect(trustAdd(store, "acme", A)).rejects.toMatchObject({ code: "TRUST_STORE" });
    await expect(trustRevoke(store, "acme", A)).rejects.toMatchObject({ code: "TRUST_STORE" });
    expect(await readdir(store)).toEqual(["bad.pub"]);
  });
});

describe("pinAdd(), pinRemove()", () => {
  test("add lines, keep comments, and remove only what was meant", async () => {
    await put("pins", `# ours\nother ${C.toHex()} # note`);
    expect(await pinAdd(store, "app", A)).toBe(true);
    expect(await pinAdd(store, "app", A)).toBe(false);
    expect(await pinAdd(store, "app", B)).toBe(true);
    expect(await Bun.file(join(store, "pins")).text()).toBe(
      `# ours\nother ${C.toHex()} # note\napp ${A.toHex()}\napp ${B.toHex()}\n`,
    );
    expect(await pinRemove(store, "app", A)).toEqual([A]);
    expect(await pinRemove(store, "app")).toEqual([B]);
    expect(await Bun.file(join(store, "pins")).text()).toBe(`# ours\nother ${C.toHex()} # note\n`);
    await expect(pinRemove(store, "app")).rejects.toMatchObject({ code: "TRUST_ABSENT" });
  });

  test("the last pin takes the file with it, so the folder is no store any more", async () => {
    await pinAdd(store, "app", A);
    await pinRemove(store, "app");
    expect((await readStore(store)).present).toBe(false);
  });

  test.each(["", "a b", "#a", "a\nb", "../a"])("refuse the package name %j", async (name) => {
    await expect(pinAdd(store, name, A)).rejects.toMatchObject({ code: "PACKAGE_NAME" });
  });
});

test.each([
  ["Acme Corp <dev@acme.example>", "Acme-Corp-dev-acme.example"],
  ["../../etc/passwd", "etc-passwd"],
  ["", "key"],
  ["日本", "key"],
  ["nul", "key-nul"],
  [".hidden", "hidden"],
  ["x".repeat(300), "x".repeat(64)],
])("safeKeyName(%j) is %j", (text, name) => {
  expect(safeKeyName(text)).toBe(name);
});

describe("passphraseFrom()", () => {
  test("takes the file before the environment before the question", async () => {
    await put("secret", "from file\nsecond line\n");
    const prompt = async () => "typed";
    const env = { SEALIFT_KEY_PASSPHRASE: "from env" };
    expect(await passphraseFrom({ file: join(store, "secret"), env, prompt })()).toBe("from file");
    expect(await passphraseFrom({ env, prompt })()).toBe("from env");
    expect(await passphraseFrom({ env: { SEALIFT_KEY_PASSPHRASE: "" }, prompt })()).toBe("typed");
    expect(await passphraseFrom({ env: {} })()).toBeUndefined();
  });

  test.each([
    ["an empty file", ""],
    ["bytes", new Uint8Array([0xff, 0xfe])],
  ])("refuses %s", async (_, content) => {
    await put("secret", content);
    const ask = passphraseFrom({ file: join(store, "secret"), env: {} });
    await expect(ask()).rejects.toMatchObject({ code: "KEY_PASSPHRASE" });
  });
});
