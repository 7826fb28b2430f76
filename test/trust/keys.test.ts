import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";

import { SealiftError } from "../../lib/base/mod.ts";
import { der, derInteger, derOid, Tag } from "../../lib/trust/_der.ts";
import { encryptPkcs8 } from "../../lib/trust/_pbes2.ts";
import { formatPem } from "../../lib/trust/_pem.ts";
import { encodePkcs8, encodeSpki } from "../../lib/trust/_pkcs8.ts";
import { loadPublicKey, loadSigner, parsePublicKey, signerFromSeed } from "../../lib/trust/mod.ts";
import { openSshPrivate, sshPublicLine } from "./openssh.ts";

const SEED = Uint8Array.fromHex("ecd71870d1963316a97e3ac3408c9835ad8cf0f3c1bc703527c30265534f75ae");
const PUBLIC = signerFromSeed("test123").publicKey;
const OTHER = signerFromSeed("other").publicKey;
const ED25519_OID = "2b6570";

let folder: string;
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-keys-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(content: Uint8Array | string): Promise<string> {
  const path = join(folder, `key-${count++}`);
  await Bun.write(path, content);
  return path;
}

function bytes(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** PKCS#8 with any algorithm, version and tail. */
function pkcs8(options: { version?: number; oid?: string; seed?: Uint8Array; tail?: Uint8Array }) {
  return der(
    Tag.sequence,
    derInteger(options.version ?? 0),
    der(Tag.sequence, derOid(options.oid ?? ED25519_OID)),
    der(Tag.octets, der(Tag.octets, options.seed ?? SEED)),
    options.tail ?? new Uint8Array(0),
  );
}

function withPublic(publicKey: Uint8Array): Uint8Array {
  return pkcs8({ version: 1, tail: der(Tag.publicKey, Uint8Array.of(0), publicKey) });
}

async function failure(work: Promise<unknown>): Promise<SealiftError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SealiftError);
  return error as SealiftError;
}

const hex = SEED.toHex();
const attributes = der(Tag.attributes, der(Tag.sequence, derOid("2a864886f70d010914")));

describe("loadSigner() reads", () => {
  const readable: [string, Uint8Array | string][] = [
    ["PKCS#8 v1 PEM", formatPem("PRIVATE KEY", encodePkcs8(SEED))],
    ["PKCS#8 v1 DER", encodePkcs8(SEED)],
    ["PKCS#8 v2 PEM with its public key", formatPem("PRIVATE KEY", withPublic(PUBLIC))],
    ["PKCS#8 v2 without a public key", pkcs8({ version: 1 })],
    ["PKCS#8 with attributes", pkcs8({ tail: attributes })],
    [
      "PEM with CRLF and white space around",
      `\r\n ${formatPem("PRIVATE KEY", encodePkcs8(SEED)).replaceAll("\n", "\r\n")}\r\n`,
    ],
    ["PEM behind a byte order mark", `\uFEFF${formatPem("PRIVATE KEY", encodePkcs8(SEED))}`],
    ["PEM with the bare seed, as earlier builders wrote it", formatPem("PRIVATE KEY", SEED)],
    ["PEM with seed and public key", formatPem("ED25519 PRIVATE KEY", bytes(SEED, PUBLIC))],
    ["32 raw bytes", SEED],
    ["64 raw bytes", bytes(SEED, PUBLIC)],
    ["64 hex digits", `${hex}\n`],
    ["128 hex digits, upper case", `${hex}${PUBLIC.toHex()}`.toUpperCase()],
    ["an OpenSSH private key", openSshPrivate(SEED, PUBLIC)],
  ];
  test.each(readable)("%s", async (_, content) => {
    const signer = await loadSigner(await file(content));
    expect(signer.publicKey).toEqual(PUBLIC);
  });

  test.skipIf(!Bun.which("ssh-keygen"))("what ssh-keygen writes", async () => {
    const path = join(folder, "id");
    const made = Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]);
    expect(made.exitCode).toBe(0);
    expect((await loadSigner(path)).publicKey).toEqual(await loadPublicKey(`${path}.pub`));
  });

  test.skipIf(!Bun.which("openssl"))("what openssl writes, also under a passphrase", async () => {
    const [plain, locked, open] = ["plain", "locked", "open"].map((name) => join(folder, name));
    const openssl = (...args: string[]) => {
      const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
      expect(`${exitCode} ${stderr}`).toStartWith("0 ");
    };
    openssl("genpkey", "-algorithm", "ed25519", "-out", plain as string);
    openssl("pkey", "-in", plain as string, "-pubout", "-out", open as string);
    const publicKey = await loadPublicKey(open as string);
    expect((await loadSigner(plain as string)).publicKey).toEqual(publicKey);
    for (const scheme of [
      ["-v2", "aes-256-cbc"],
      ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
      ["-scrypt"],
    ]) {
      openssl(
        "pkcs8",
        "-topk8",
        "-in",
        plain as string,
        "-out",
        locked as string,
        ...scheme,
        "-passout",
        "pass:secret",
      );
      const signer = await loadSigner(locked as string, { passphrase: "secret" });
      expect(signer.publicKey).toEqual(publicKey);
    }
  });
});

describe("loadSigner() with a passphrase", () => {
  const locked = formatPem("ENCRYPTED PRIVATE KEY", encryptPkcs8(encodePkcs8(SEED), "pässword"));

  test("opens the key, and asks only when it is needed", async () => {
    let asked = 0;
    const passphrase = async () => {
      asked += 1;
      return "pässword";
    };
    expect((await loadSigner(await file(locked), { passphrase })).publicKey).toEqual(PUBLIC);
    expect((await loadSigner(await file(SEED), { passphrase })).publicKey).toEqual(PUBLIC);
    expect(asked).toBe(1);
  });

  test("refuses a wrong one and a missing one", async () => {
    const path = await file(locked);
    expect((await failure(loadSigner(path, { passphrase: "password" }))).code).toBe(
      "KEY_PASSPHRASE",
    );
    const missing = await failure(loadSigner(path));
    expect(missing.code).toBe("KEY_ENCRYPTED");
    expect(missing.hint).toContain("--passphrase-file");
  });

  test.skipIf(!Bun.which("openssl"))("writes what openssl opens", async () => {
    const path = await file(locked);
    const run = Bun.spawnSync([
      "openssl",
      "pkey",
      "-in",
      path,
      "-passin",
      "pass:pässword",
      "-outform",
      "DER",
    ]);
    expect(run.stdout.toString("hex")).toBe(encodePkcs8(SEED).toHex());
  });

  test("refuses work factors that would take the machine away", async () => {
    const scheme = (derivation: Uint8Array) =>
      der(
        Tag.sequence,
        der(
          Tag.sequence,
          derOid("2a864886f70d01050d"),
          der(
            Tag.sequence,
            derivation,
            der(Tag.sequence, derOid("60864801650304012a"), der(Tag.octets, new Uint8Array(16))),
          ),
        ),
        der(Tag.octets, new Uint8Array(64)),
      );
    const salt = der(Tag.octets, new Uint8Array(8));
    const pbkdf2 = der(
      Tag.sequence,
      derOid("2a864886f70d01050c"),
      der(Tag.sequence, salt, derInteger(2 ** 31 - 1)),
    );
    const scrypt = (...n: number[]) =>
      der(
        Tag.sequence,
        derOid("2b06010401da47040b"),
        der(Tag.sequence, salt, ...n.map(derInteger)),
      );
    for (const derivation of [
      pbkdf2,
      scrypt(2 ** 30, 8, 1),
      scrypt(1000, 8, 1),
      scrypt(1024, 8, 1000),
    ]) {
      const path = await file(formatPem("ENCRYPTED PRIVATE KEY", scheme(derivation)));
      const error = await failure(loadSigner(path, { passphrase: "x" }));
      expect(error.code).toBe("KEY_FORMAT");
      expect(error.message).toMatch(/rounds|out of range/);
    }
  });
});

describe("loadSigner() refuses", () => {
  const pem = formatPem("PRIVATE KEY", encodePkcs8(SEED));
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const hostile: [string, Uint8Array | string, string | RegExp][] = [
    ["an empty file", "", "it is empty"],
    ["31 bytes", SEED.subarray(1), "not in a known key format"],
    ["a raw seed with a byte more", bytes(SEED, Uint8Array.of(10)), "not in a known key format"],
    ["63 hex digits", hex.slice(1), "not in a known key format"],
    ["bytes that are not UTF-8", new Uint8Array(100).fill(0xff), "not in a known key format"],
    ["UTF-16 text", Buffer.from(`\uFEFF${pem}`, "utf16le"), "not in a known key format"],
    ["a PEM that ends early", pem.slice(0, 60), "truncated"],
    ["a PEM without its last line", pem.slice(0, pem.indexOf("-----END")), "truncated"],
    ["a PEM with other labels", pem.replace("END PRIVATE", "END PUBLIC"), "other labels"],
    ["a PEM with text behind it", `${pem}# my key\n`, "truncated or something surrounds it"],
    ["two PEM blocks", pem + pem, /base64|surrounds/],
    ["a PEM with damaged base64", pem.replace("MC4C", "MC4*"), "base64"],
    ["a PEM without content", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "base64"],
    ["a truncated DER", encodePkcs8(SEED).subarray(0, 40), "truncated"],
    ["bytes behind the DER", bytes(encodePkcs8(SEED), Uint8Array.of(0)), "bytes after its end"],
    ["bytes behind the seed inside", pkcs8({ tail: Uint8Array.of(5, 0) }), "bytes after its end"],
    ["a seed of 31 bytes inside", pkcs8({ seed: SEED.subarray(1) }), "31 bytes instead of 32"],
    ["PKCS#8 of a later version", pkcs8({ version: 2 }), "unknown version"],
    ["an X25519 key", pkcs8({ oid: "2b656e" }), "X25519"],
    ["a key of no known algorithm", pkcs8({ oid: "2a0304" }), "another algorithm"],
    ["an RSA key in PKCS#8", rsa.export({ format: "pem", type: "pkcs8" }), "RSA"],
    ["an RSA key in PKCS#1", rsa.export({ format: "pem", type: "pkcs1" }), "RSA PRIVATE KEY"],
    ["an EC key in PKCS#8", ec.export({ format: "der", type: "pkcs8" }), "elliptic curve"],
    ["an EC key in SEC 1", ec.export({ format: "pem", type: "sec1" }), "EC PRIVATE KEY"],
    ["a public key", formatPem("PUBLIC KEY", encodeSpki(PUBLIC)), "it is a public key"],
    ["a public SSH key", sshPublicLine(PUBLIC), "it is a public key"],
    [
      "a length that is not the shortest",
      bytes(Uint8Array.of(0x30, 0x81, 0x2e), encodePkcs8(SEED).subarray(2)),
      "structure",
    ],
    [
      "an indefinite length",
      bytes(Uint8Array.of(0x30, 0x80), encodePkcs8(SEED).subarray(2)),
      "structure",
    ],
    [
      "a length of 4 GiB",
      bytes(Uint8Array.of(0x30, 0x84, 255, 255, 255, 255), encodePkcs8(SEED).subarray(2)),
      "structure",
    ],
    ["an OpenSSH key with a cut body", openSshPrivate(SEED, PUBLIC, { cut: 20 }), "truncated"],
    [
      "an OpenSSH key with wrong padding",
      openSshPrivate(SEED, PUBLIC, { padding: [1, 2, 4] }),
      "bytes after its end",
    ],
    [
      "an OpenSSH key with differing check numbers",
      openSshPrivate(SEED, PUBLIC, { check: 7 }),
      "damaged",
    ],
  ];
  test.each(hostile)("%s", async (_, content, message) => {
    const path = await file(content);
    const error = await failure(loadSigner(path, { passphrase: "x" }));
    expect(error.code).toBe("KEY_FORMAT");
    expect(error.message).toStartWith(`${path}: `);
    expect(error.message).toMatch(message);
    expect(error.hint).toBeString();
  });

  const mismatched: [string, Uint8Array | string][] = [
    ["PKCS#8 v2", withPublic(OTHER)],
    ["64 raw bytes", bytes(SEED, OTHER)],
    ["128 hex digits", hex + OTHER.toHex()],
    ["OpenSSH", openSshPrivate(SEED, OTHER)],
  ];
  test.each(mismatched)("%s with the public key of another pair", async (_, content) => {
    expect((await failure(loadSigner(await file(content)))).code).toBe("KEY_MISMATCH");
  });

  test("a private key that is not the one of the given public key", async () => {
    const path = await file(SEED);
    expect((await loadSigner(path, { publicKey: PUBLIC })).publicKey).toEqual(PUBLIC);
    expect((await failure(loadSigner(path, { publicKey: OTHER }))).code).toBe("KEY_MISMATCH");
  });

  test("an OpenSSH key under a passphrase, and says how to get around it", async () => {
    const path = await file(openSshPrivate(SEED, PUBLIC, { cipher: "aes256-ctr", kdf: "bcrypt" }));
    const error = await failure(loadSigner(path));
    expect(error.message).toContain("passphrase");
    expect(error.hint).toContain("ssh-keygen -p");
  });

  test("a huge file, an endless one, a folder and nothing at all", async () => {
    const path = await file(new Uint8Array(65 * 1024));
    expect((await failure(loadSigner(path))).code).toBe("FILE_TOO_LARGE");
    expect((await failure(loadSigner("/dev/zero"))).code).toBe("FILE_TOO_LARGE");
    expect((await failure(loadSigner(folder))).exit).toBe(4);
    expect((await failure(loadSigner(join(folder, "absent")))).exit).toBe(4);
  });

  test("any bytes at all with an error of ours that shows none of them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (content) => {
        if (content.length === 32) return;
        const error = await failure(loadSigner(await file(content)));
        expect(error.exit).toBe(3);
      }),
      { numRuns: 200 },
    );
  });

  test("every truncation and every flipped bit of a key without showing the seed", async () => {
    const body = withPublic(PUBLIC);
    for (let i = 0; i < body.length * 8; i += 5) {
      const changed = body.slice();
      changed[i >> 3] = (changed[i >> 3] as number) ^ (1 << (i & 7));
      const error = await failure(loadSigner(await file(changed)));
      expect(error.message + error.hint).not.toContain(hex.slice(0, 8));
    }
    for (let length = 0; length < body.length; length++) {
      if (length === 32 || length === 64) continue;
      await failure(loadSigner(await file(body.subarray(0, length))));
    }
  });
});

describe("loadPublicKey()", () => {
  const readable: [string, Uint8Array | string][] = [
    ["SPKI PEM", formatPem("PUBLIC KEY", encodeSpki(PUBLIC))],
    ["SPKI DER", encodeSpki(PUBLIC)],
    ["PEM with the bare key", formatPem("ED25519 PUBLIC KEY", PUBLIC)],
    ["32 raw bytes", PUBLIC],
    ["hex", `${PUBLIC.toHex()}\n`],
    ["a fingerprint", `ed25519:${PUBLIC.toHex()}`],
    ["an SSH line", sshPublicLine(PUBLIC)],
  ];
  test.each(readable)("reads %s from a file", async (_, content) => {
    expect(await loadPublicKey(await file(content))).toEqual(PUBLIC);
  });

  test("reads texts without a file", async () => {
    const texts = [PUBLIC.toHex(), `ed25519:${PUBLIC.toHex()}`, sshPublicLine(PUBLIC)];
    texts.push(formatPem("PUBLIC KEY", encodeSpki(PUBLIC)));
    for (const text of texts) expect(await loadPublicKey(text)).toEqual(PUBLIC);
  });

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  const hostile: [string, Uint8Array | string, string][] = [
    ["a private PEM", formatPem("PRIVATE KEY", encodePkcs8(SEED)), "private key where"],
    ["seed and public key, raw", bytes(SEED, PUBLIC), "private key where"],
    ["seed and public key, hex", hex + PUBLIC.toHex(), "private key where"],
    ["an EC key", ec.export({ format: "pem", type: "spki" }), "elliptic curve"],
    ["a certificate", formatPem("CERTIFICATE", encodeSpki(PUBLIC)), "CERTIFICATE"],
    ["bytes behind the DER", bytes(encodeSpki(PUBLIC), Uint8Array.of(0)), "after its end"],
    ["unused bits", encodeSpki(PUBLIC).with(11, 1), "whole bytes"],
    ["an SSH key of another type", "ssh-rsa AAAAB3NzaC1yc2E= me", "ssh-rsa"],
    ["a security-key SSH key", "sk-ssh-ed25519@openssh.com AAAA me", "sk-ssh-ed25519"],
    ["an SSH line with damaged base64", "ssh-ed25519 AAAA*", "base64"],
    ["an SSH line that lies about its type", sshPublicLine(PUBLIC, "ssh-dss"), "not of type"],
    ["two SSH lines", `${sshPublicLine(PUBLIC)}\n${sshPublicLine(OTHER)}`, "more than one"],
    ["an empty file", "", "it is empty"],
  ];
  test.each(hostile)("refuses %s", async (_, content, message) => {
    const error = await failure(loadPublicKey(await file(content)));
    expect(error.code).toBe("KEY_FORMAT");
    expect(error.message).toContain(message);
  });

  test("refuses keys that anyone can sign for", () => {
    const weak = new Uint8Array(32);
    for (const content of [weak, encodeSpki(weak)]) {
      expect(() => parsePublicKey(content, "weak.pub")).toThrow(
        "weak.pub: the public key is a point",
      );
    }
  });
});
