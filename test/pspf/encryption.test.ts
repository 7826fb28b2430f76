/** Encrypted slots: the form of their chunks, where keys come from, and what a package with one gives away. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { scrypt } from "@noble/hashes/scrypt.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";

import {
  decodedSlot,
  extractAll,
  extractSlot,
  keyFinder,
  openPackage,
  type SlotEncryption,
  verifyPackage,
  writePackage,
} from "../../lib/pspf/mod.ts";
import { decryptChunks, Encrypter } from "../../lib/pspf/secret/chunks.ts";
import { keyMaterial, slotKey } from "../../lib/pspf/secret/key.ts";
import { isKeySource, isStoredSize } from "../../lib/pspf/secret/parameters.ts";
import {
  bytesSlot,
  collect,
  options,
  save,
  temporaryFolder,
  text,
  thrown,
  treeSlot,
} from "./fixture.ts";

const folder = temporaryFolder();
const MIB = 1 << 20;
const KEY = new Uint8Array(32).map((_, i) => i * 37);
const HEX = KEY.toHex();

function under(keySource: string, bytes: Uint8Array | string): SlotEncryption {
  const content = typeof bytes === "string" ? text(bytes) : bytes;
  return { keySource, key: async () => keyMaterial(content, keySource) };
}

function encrypted(key: Uint8Array, plain: Uint8Array, cut: number): Uint8Array {
  const encrypter = new Encrypter(key);
  const out: Uint8Array[] = [];
  for (let at = 0; at < plain.length; at += cut) {
    out.push(...encrypter.push(plain.subarray(at, at + cut)));
  }
  out.push(encrypter.end());
  return new Uint8Array(Buffer.concat(out));
}

async function* pieces(bytes: Uint8Array, cut: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += cut) yield bytes.subarray(at, at + cut);
}

const decrypted = (key: Uint8Array, stored: Uint8Array, cut = 70_001) =>
  collect(decryptChunks(key, pieces(stored, cut), stored.length));

describe("chunks", () => {
  const length = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.constantFrom(MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 17),
  );

  test("every length comes back whatever the pieces are, in chunks of 1 MiB and a tag", async () => {
    const property = fc.asyncProperty(
      length,
      fc.integer({ min: 1000, max: 3 * MIB }),
      fc.integer({ min: 1000, max: 3 * MIB }),
      async (size, cut, other) => {
        const plain = new Uint8Array(size).map((_, i) => (i * 2654435761) >>> 13);
        const stored = encrypted(KEY, plain, cut);
        expect(stored.length).toBe(size + 16 * Math.max(1, Math.ceil(size / MIB)));
        expect(isStoredSize(stored.length)).toBe(true);
        expect(Buffer.compare(await decrypted(KEY, stored, other), plain)).toBe(0);
      },
    );
    await fc.assert(property, { numRuns: 15 });
  }, 30_000);

  test("WebCrypto opens a chunk with the nonce that the format names", async () => {
    const plain = new Uint8Array(MIB + 5).fill(9);
    const stored = encrypted(KEY, plain, MIB);
    const key = await crypto.subtle.importKey("raw", KEY, "AES-GCM", false, ["decrypt"]);
    const iv = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1);
    const last = stored.subarray(MIB + 16);
    const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, last.slice());
    expect(new Uint8Array(opened)).toEqual(plain.subarray(MIB));
  });

  test("a chunk that was cut off, moved, repeated, added or changed does not authenticate", async () => {
    const stored = encrypted(KEY, new Uint8Array(3 * MIB + 100), MIB);
    const chunk = (i: number) => stored.subarray(i * (MIB + 16), (i + 1) * (MIB + 16));
    const joined = (...order: number[]) => new Uint8Array(Buffer.concat(order.map(chunk)));
    for (const order of [
      [0, 1, 2],
      [0, 1],
      [0],
      [0, 2, 1, 3],
      [1, 0, 2, 3],
      [0, 1, 1, 2, 3],
      [0, 1, 2, 3, 3],
    ]) {
      const error = await thrown(() => decrypted(KEY, joined(...order)));
      expect([order, error.code, error.exit]).toEqual([order, "CIPHER_DATA", 3]);
    }
    for (const at of [0, MIB + 15, MIB + 16, stored.length - 1]) {
      const changed = stored.slice();
      changed[at] = (changed[at] as number) ^ 1;
      expect((await thrown(() => decrypted(KEY, changed))).code).toBe("CIPHER_DATA");
    }
    expect(
      (
        await thrown(() =>
          decrypted(
            KEY.map((b) => b ^ 1),
            stored,
          ),
        )
      ).code,
    ).toBe("CIPHER_DATA");
  });

  test("sizes that chunks can have", () => {
    for (const size of [16, 17, MIB + 16, MIB + 33, 2 * MIB + 32])
      expect([size, isStoredSize(size)]).toEqual([size, true]);
    for (const size of [0, 1, 15, MIB + 17, MIB + 32])
      expect([size, isStoredSize(size)]).toEqual([size, false]);
  });
});

describe("keys", () => {
  test("texts of a key and passphrases are told apart", () => {
    const base64 = Buffer.from(KEY).toString("base64");
    for (const spelled of [HEX, HEX.toUpperCase(), ` ${HEX}\r\n`, base64, `${base64}\n`]) {
      expect(keyMaterial(text(spelled), "env:K")).toEqual({ kind: "key", bytes: KEY });
    }
    expect(keyMaterial(KEY, "file:k")).toEqual({ kind: "key", bytes: KEY });
    const phrases = [
      HEX.slice(1),
      "correct horse",
      "32 letters that are a passphrase",
      "шестнадцать букв",
    ];
    for (const phrase of phrases) {
      expect(keyMaterial(text(`${phrase}\n`), "file:k")).toEqual({
        kind: "passphrase",
        bytes: text(phrase),
      });
    }
    expect(keyMaterial(text(HEX), "prompt").kind).toBe("passphrase");
  });

  test("what is neither is an error", async () => {
    for (const [bytes, source] of [
      ["", "env:K"],
      ["\n", "file:k"],
      ["a\0b", "env:K"],
    ] as const) {
      expect((await thrown(() => keyMaterial(text(bytes), source))).code).toBe("KEY_FORM");
    }
    expect((await thrown(() => keyMaterial(Uint8Array.of(0xff, 0xfe), "file:k"))).code).toBe(
      "KEY_FORM",
    );
  });

  test("sources", () => {
    for (const good of ["env:A_1", "env:_", "file:~/k", "file:../k", "file:C:\\k", "prompt"]) {
      expect([good, isKeySource(good)]).toEqual([good, true]);
    }
    for (const bad of [
      "",
      "env:",
      "env:1A",
      "env:A=B",
      "file:",
      "file:a\nb",
      `file:${"x".repeat(4097)}`,
      "PROMPT",
    ]) {
      expect([bad, isKeySource(bad)]).toEqual([bad, false]);
    }
  });

  test("a file is looked for beside the package, in the home folder or where it says; other places on request", async () => {
    const home = join(folder, "home");
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "k"), "at home");
    writeFileSync(join(folder, "k"), "beside");
    const places = { env: { HOME: home, K: "variable" }, folder };
    const find = keyFinder(places, ["s"]);
    const found = async (keySource: string) =>
      Buffer.from(await find({ id: "s", keySource })).toString();
    expect(await found("file:k")).toBe("beside");
    expect(await found("file:~/k")).toBe("at home");
    expect(await found(`file:${home}/k`)).toBe("at home");
    expect(await found("env:K")).toBe("variable");
    for (const missing of ["env:L", "file:none", "prompt"]) {
      const error = await thrown(() => found(missing));
      expect([error.code, error.exit]).toEqual(["KEY_MISSING", 4]);
      expect(error.message).toContain(`Slot s is encrypted and its key (${missing})`);
    }
    const other = keyFinder({ ...places, instead: ["env:K", `s=file:${home}/k`] }, ["s", "t"]);
    expect(Buffer.from(await other({ id: "s", keySource: "prompt" })).toString()).toBe("at home");
    expect(Buffer.from(await other({ id: "t", keySource: "prompt" })).toString()).toBe("variable");
    for (const wrong of ["x=env:K", "env", "s=K"]) {
      expect((await thrown(() => keyFinder({ ...places, instead: [wrong] }, ["s"]))).code).toBe(
        "KEY_SOURCE",
      );
    }
    writeFileSync(join(folder, "big"), "x".repeat(4097));
    expect((await thrown(() => found("file:big"))).code).toBe("KEY_MISSING");
  });
});

describe("packages", () => {
  const SECRET = "the secret of the slot ".repeat(10);

  async function pack(name: string, keySource: string, bytes: Uint8Array | string, more = {}) {
    const path = join(folder, name);
    const encryption = under(keySource, bytes);
    const slots = [
      bytesSlot("open", "in the open"),
      treeSlot(
        "tree",
        { "a.txt": SECRET },
        { operations: ["tar", "zstd", "aes256gcm"], encryption },
      ),
      bytesSlot("file", SECRET, { operations: ["aes256gcm"], encryption }),
      bytesSlot("empty", "", { operations: ["aes256gcm"], encryption }),
    ];
    await writePackage(path, options(slots, more));
    return path;
  }

  const withKey = (path: string, env: Record<string, string>, prompt?: () => Promise<string>) =>
    openPackage(path, { findKey: keyFinder({ env, folder, ...(prompt && { prompt }) }, []) });

  test("a key opens what it closed, another one says that it is wrong, and the file shows nothing", async () => {
    const path = await pack("raw.psp", "env:K", HEX);
    await using pkg = disposable(await withKey(path, { K: HEX }));
    expect(await collect(decodedSlot(pkg.value, 2))).toEqual(text(SECRET));
    expect(await collect(decodedSlot(pkg.value, 3))).toEqual(new Uint8Array(0));
    const out = join(folder, "raw-out");
    await extractAll(pkg.value, out);
    expect(readFileSync(join(out, "a.txt"), "utf8")).toBe(SECRET);
    expect(readFileSync(path).includes("the secret")).toBe(false);
    expect(pkg.value.index.capabilities).toBe(192n);

    await using other = disposable(await withKey(path, { K: "f".repeat(64) }));
    const wrong = await thrown(() => extractSlot(other.value, 2, join(folder, "never")));
    expect([wrong.code, wrong.exit]).toEqual(["KEY_WRONG", 3]);
    await using none = disposable(await openPackage(path));
    expect((await thrown(() => collect(decodedSlot(none.value, 2)))).code).toBe("KEY_MISSING");
    expect((await thrown(() => extractAll(none.value, join(folder, "no")))).code).toBe(
      "KEY_MISSING",
    );
  });

  test("key and salt are what the format says, by an independent implementation", async () => {
    const path = await pack("derived.psp", "prompt", "open sesame");
    await using pkg = disposable(await withKey(path, {}, async () => "open sesame"));
    const { encryption } = pkg.value.slots[2]?.metadata ?? {};
    const parameters = encryption as NonNullable<typeof encryption>;
    const salt = sha256(text("sealift scrypt salt\0demo\x001.2.3\0file"));
    expect(parameters.scrypt).toEqual({ salt: salt.toHex(), n: 32768, r: 8, p: 1 });
    const master = scrypt("open sesame", salt, { N: 32768, r: 8, p: 1, dkLen: 32 });
    const mac = hmac
      .create(sha256, master)
      .update(text("sealift saltfile"))
      .update(sha256(text(SECRET)));
    expect(parameters.salt).toBe(mac.digest().toHex());
    const key = hkdf(
      sha256,
      master,
      Uint8Array.fromHex(parameters.salt),
      text("sealift slot 1 file"),
      32,
    );
    expect(slotKey(parameters, "file", text("open sesame"))).toEqual(key);
  });

  test("equal input and key give equal bytes, other content or another slot another salt", async () => {
    const one = readFileSync(await pack("one.psp", "env:K", "a passphrase"));
    const two = readFileSync(await pack("two.psp", "env:K", "a passphrase", { jobs: 1 }));
    expect(Buffer.compare(one, two)).toBe(0);
    await using pkg = disposable(await openPackage(join(folder, "one.psp")));
    const salts = pkg.value.slots.flatMap((slot) => slot.metadata.encryption?.salt ?? []);
    expect(new Set(salts).size).toBe(3);
  });

  test("verify needs no key and says that the content was not checked; with the key it decodes", async () => {
    const path = await pack("verify.psp", "env:K", HEX);
    const verdict = await verifyPackage(path, { contents: true });
    expect(verdict.ok).toBe(true);
    expect(verdict.encrypted.map(({ id }) => id)).toEqual(["tree", "file", "empty"]);
    const slot = verdict.checks.find(({ name }) => name === "slot file");
    expect(slot?.detail).toContain("encrypted (env:K), content not checked without its key");
    expect(verdict.checks.filter(({ name }) => name.startsWith("content ")).length).toBe(1);
  });

  test("damage is told from a wrong key", async () => {
    const path = await pack("damaged.psp", "env:K", HEX);
    const bytes = new Uint8Array(readFileSync(path));
    await using pkg = disposable(await openPackage(path));
    const start = pkg.value.slots[2]?.region.start as number;
    bytes.set([(bytes[start] as number) ^ 1], start);
    await save(path, bytes);
    await using damaged = disposable(await withKey(path, { K: HEX }));
    expect((await thrown(() => collect(decodedSlot(damaged.value, 2)))).code).toBe("SEAL_SLOT");
  });

  test("contradictions are refused", async () => {
    const write = (slot: Parameters<typeof bytesSlot>[2], more = {}) =>
      thrown(() =>
        writePackage(join(folder, "no.psp"), options([bytesSlot("s", "x", slot)], more)),
      );
    const encryption = under("env:K", HEX);
    expect((await write({ operations: ["aes256gcm"] })).code).toBe("SLOT_ENCRYPTION");
    expect((await write({ operations: [], encryption })).code).toBe("SLOT_ENCRYPTION");
    expect((await write({ operations: ["aes256gcm"], encryption, share: true })).code).toBe(
      "SLOT_ENCRYPTION",
    );
    expect((await write({ operations: ["aes256gcm", "zstd"], encryption })).code).toBe(
      "PSPF_OPERATION",
    );
    const compat = { profile: "flavorpack" } as const;
    expect((await write({ operations: ["aes256gcm"], encryption }, compat)).message).toContain(
      "cannot decrypt",
    );
  });
});

/** A package that is closed at the end of its block. */
function disposable<T extends { close(): Promise<void> }>(value: T) {
  return { value, [Symbol.asyncDispose]: () => value.close() };
}
