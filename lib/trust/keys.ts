/**
 * Key files, whatever tool made them: PKCS#8 and SPKI in PEM or DER, PKCS#8 under a passphrase,
 * OpenSSH, raw bytes, hex. A file that states a public key must state the right one. No message
 * ever holds a byte of a private key.
 */
import { FormatError, readFileBounded, UsageError } from "../base/mod.ts";
import { KeyFormatError } from "./_der.ts";
import {
  EncryptedOpenSsh,
  looksLikeSshLine,
  parseOpenSshPrivate,
  parseSshLine,
} from "./_openssh.ts";
import { decryptPkcs8, WrongPassphrase } from "./_pbes2.ts";
import { looksLikePem, parsePem } from "./_pem.ts";
import { parsePkcs8, parseSpki, type PrivateKeyBytes } from "./_pkcs8.ts";
import { isUsableKey, type Signer, signerFromSeedBytes } from "./ed25519.ts";

/** No key file is larger; a larger one is something else. */
const MAX_KEY_FILE = 64 << 10;

const FORMATS = "Ed25519 in PEM (PKCS#8 or SPKI), OpenSSH, 32 or 64 raw bytes, or hex";

export interface LoadOptions {
  /** The passphrase, or a function that is asked only when the key needs one. */
  passphrase?: string | (() => Promise<string | undefined>) | undefined;
  /** Public key that the private key must belong to. */
  publicKey?: Uint8Array | undefined;
}

/**
 * The signer of a private key file.
 * @throws FormatError `KEY_FORMAT`, `KEY_MISMATCH`, `KEY_WEAK`, `KEY_PASSPHRASE`
 * @throws UsageError `KEY_ENCRYPTED` when a passphrase is needed and none is given
 * @throws EnvironmentError when the file cannot be read
 */
export async function loadSigner(path: string, options: LoadOptions = {}): Promise<Signer> {
  const bytes = await readFileBounded(path, MAX_KEY_FILE);
  try {
    const key = await parsePrivate(bytes, path, options.passphrase);
    const signer = signerFromSeedBytes(key.seed);
    key.seed.fill(0);
    expectPublic(signer, [...key.stated, ...(options.publicKey ? [options.publicKey] : [])], path);
    return signer;
  } catch (error) {
    throw named(error, path);
  } finally {
    bytes.fill(0);
  }
}

function expectPublic(signer: Signer, stated: Uint8Array[], name: string): void {
  if (stated.every((key) => Buffer.compare(key, signer.publicKey) === 0)) return;
  throw new FormatError(
    "KEY_MISMATCH",
    `${name}: the public key does not belong to the private key`,
    {
      hint: "The two halves come from different pairs; use the file as its tool wrote it.",
    },
  );
}

async function parsePrivate(
  bytes: Uint8Array,
  name: string,
  passphrase: LoadOptions["passphrase"],
): Promise<PrivateKeyBytes> {
  const text = asText(bytes);
  if (text !== undefined && looksLikePem(text)) {
    const { label, body } = parsePem(text);
    if (label !== "ENCRYPTED PRIVATE KEY") return privateBlock(label, body);
    return parsePkcs8(await decrypt(body, name, passphrase));
  }
  const hex = text?.trim() ?? "";
  if (/^([0-9a-fA-F]{64}){1,2}$/.test(hex)) return seedAndPublic(Uint8Array.fromHex(hex));
  if (text !== undefined && looksLikeSshLine(text)) throw new KeyFormatError("it is a public key");
  if (bytes.length === 32 || bytes.length === 64) return seedAndPublic(bytes);
  if (bytes[0] === 0x30) return parsePkcs8(bytes);
  throw unknownFormat(bytes);
}

function privateBlock(label: string, body: Uint8Array): PrivateKeyBytes {
  if (label === "OPENSSH PRIVATE KEY") return parseOpenSshPrivate(body);
  if (label.endsWith("PUBLIC KEY")) throw new KeyFormatError("it is a public key");
  if (label !== "PRIVATE KEY" && label !== "ED25519 PRIVATE KEY") throw wrongLabel(label);
  return body.length === 32 || body.length === 64 ? seedAndPublic(body) : parsePkcs8(body);
}

/** 32 bytes: a seed. 64 bytes: a seed and its public key, as Go and libsodium keep them. */
function seedAndPublic(bytes: Uint8Array): PrivateKeyBytes {
  const stated = bytes.length === 64 ? [bytes.slice(32)] : [];
  return { seed: bytes.slice(0, 32), stated };
}

async function decrypt(body: Uint8Array, name: string, given: LoadOptions["passphrase"]) {
  const passphrase = typeof given === "function" ? await given() : given;
  if (passphrase === undefined) {
    throw new UsageError("KEY_ENCRYPTED", `${name} is protected by a passphrase`, {
      hint: "Give it with --passphrase-file or SEALIFT_KEY_PASSPHRASE.",
    });
  }
  return decryptPkcs8(body, passphrase);
}

/**
 * A public key from a file, or from the text itself: hex, `ed25519:…`, `ssh-ed25519 …`, PEM.
 * @returns 32 raw bytes
 * @throws FormatError `KEY_FORMAT`, `KEY_WEAK`
 * @throws EnvironmentError when the file cannot be read
 */
export async function loadPublicKey(pathOrText: string): Promise<Uint8Array> {
  if (isKeyText(pathOrText)) return parsePublicKey(Buffer.from(pathOrText), "The key");
  return parsePublicKey(await readFileBounded(pathOrText, MAX_KEY_FILE), pathOrText);
}

function isKeyText(text: string): boolean {
  return /^(ed25519:)?[0-9a-fA-F]{64}$/.test(text) || looksLikeSshLine(text) || looksLikePem(text);
}

/**
 * A public key from the bytes of a file. `name` begins the messages.
 * @returns 32 raw bytes
 * @throws FormatError `KEY_FORMAT`, `KEY_WEAK`
 */
export function parsePublicKey(bytes: Uint8Array, name: string): Uint8Array {
  try {
    const publicKey = parsePublic(bytes);
    if (!isUsableKey(publicKey)) {
      throw new FormatError(
        "KEY_WEAK",
        `${name}: the public key is a point of small order or not reduced`,
        {
          hint: "Anyone can forge signatures for such a key; ask its owner for a real one.",
        },
      );
    }
    return publicKey;
  } catch (error) {
    throw named(error, name);
  }
}

function parsePublic(bytes: Uint8Array): Uint8Array {
  const text = asText(bytes);
  if (text !== undefined && looksLikePem(text)) {
    const { label, body } = parsePem(text);
    return publicBlock(label, body);
  }
  const hex = text?.trim().replace(/^ed25519:/, "") ?? "";
  if (/^[0-9a-fA-F]{64}$/.test(hex)) return Uint8Array.fromHex(hex);
  if (text !== undefined && looksLikeSshLine(text)) return parseSshLine(text).publicKey;
  if (bytes.length === 32) return bytes.slice();
  if (bytes.length === 64 || /^[0-9a-fA-F]{128}$/.test(hex)) throw new KeyFormatError(PRIVATE);
  if (bytes[0] === 0x30) return parseSpki(bytes);
  throw unknownFormat(bytes);
}

const PRIVATE = "it is a private key where a public key is needed";

function publicBlock(label: string, body: Uint8Array): Uint8Array {
  if (label.endsWith("PRIVATE KEY")) throw new KeyFormatError(PRIVATE);
  if (label !== "PUBLIC KEY" && label !== "ED25519 PUBLIC KEY") throw wrongLabel(label);
  return body.length === 32 ? body : parseSpki(body);
}

function wrongLabel(label: string): KeyFormatError {
  return new KeyFormatError(`a PEM block labelled "${label}" is not an Ed25519 key`);
}

function unknownFormat(bytes: Uint8Array): KeyFormatError {
  const problem = bytes.length === 0 ? "it is empty" : "it is not in a known key format";
  return new KeyFormatError(problem);
}

/** The bytes as text without a byte order mark; undefined when they are not UTF-8. */
function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Turns the room's own errors into errors that name the file. */
function named(error: unknown, name: string): unknown {
  if (error instanceof KeyFormatError) {
    return new FormatError("KEY_FORMAT", `${name}: ${error.message}`, {
      hint: `Known formats: ${FORMATS}.`,
    });
  }
  if (error instanceof WrongPassphrase) {
    return new FormatError(
      "KEY_PASSPHRASE",
      `${name}: the passphrase is wrong or the file is damaged`,
      {
        hint: "Give the right one with --passphrase-file or SEALIFT_KEY_PASSPHRASE.",
      },
    );
  }
  if (error instanceof EncryptedOpenSsh) {
    return new FormatError(
      "KEY_FORMAT",
      `${name}: OpenSSH keys under a passphrase cannot be read`,
      {
        hint: "Copy the file, run `ssh-keygen -p -N '' -f COPY`, use the copy, and delete it afterwards.",
      },
    );
  }
  return error;
}
