/**
 * From what a key source holds to the key of one slot (format.md section 11).
 *
 * A text of 64 hex digits or of 44 characters of base64, or a file of 32 bytes that are no text, is a key; every other text is a
 * passphrase and goes through scrypt. Salts are derived, so that equal inputs give equal packages: another content has
 * another salt and another key, and no key ever encrypts two contents.
 */
import { createHash, createHmac, hkdfSync, scryptSync } from "node:crypto";

import { FormatError } from "../../base/mod.ts";
import { CIPHER_CHUNK, type Encryption, type Scrypt, SCRYPT_COST } from "./parameters.ts";

/** No key file and no passphrase is longer. */
export const MAX_KEY_TEXT = 4096;

export type KeyMaterial =
  { kind: "key"; bytes: Uint8Array } | { kind: "passphrase"; bytes: Uint8Array };

/** How a slot is to be encrypted, for the writer. */
export interface SlotEncryption {
  /** What the package asks for at its start: `env:NAME`, `file:PATH` or `prompt`. */
  keySource: string;
  /** Looked for when it is needed; asked any number of times. */
  key(): Promise<KeyMaterial>;
  /** Of bytes that are encrypted already. */
  parameters?: Encryption;
}

/** Tells a key from a passphrase. A prompt always means a passphrase. Throws `FormatError("KEY_FORM")`. */
export function keyMaterial(bytes: Uint8Array, keySource: string): KeyMaterial {
  const spelled = keySource === "prompt" ? undefined : spelledKey(bytes);
  if (spelled !== undefined) return { kind: "key", bytes: spelled };
  const text = withoutLineEnd(bytes);
  if (isText(text) && text.length > 0) return { kind: "passphrase", bytes: text };
  if (bytes.length === 32 && keySource.startsWith("file:")) return { kind: "key", bytes };
  throw new FormatError("KEY_FORM", `${keySource} holds neither a key nor a passphrase`, {
    hint: "A key is 64 hex digits, 44 characters of base64 or a file of 32 bytes; a passphrase is text in UTF-8.",
    details: { key_source: keySource },
  });
}

/** The slot key by the signed parameters; undefined when they ask for a key and `bytes` are none. */
export function slotKey(
  encryption: Encryption,
  id: string,
  bytes: Uint8Array,
): Uint8Array | undefined {
  const { scrypt, salt } = encryption;
  const master =
    scrypt === undefined
      ? (spelledKey(bytes) ?? (bytes.length === 32 ? bytes : undefined))
      : stretched(withoutLineEnd(bytes), scrypt);
  return master && expanded(master, Uint8Array.fromHex(salt), id);
}

export interface NewKey {
  key: Uint8Array;
  parameters: Encryption;
}

/** Key and signed parameters of a slot whose compressed bytes have the SHA-256 `digest`. */
export function newSlotKey(
  material: KeyMaterial,
  keySource: string,
  slot: { id: string; package: { name: string; version: string }; digest: Uint8Array },
): NewKey {
  const scrypt =
    material.kind === "key" ? undefined : { salt: scryptSalt(slot).toHex(), ...SCRYPT_COST };
  const master = scrypt === undefined ? material.bytes : stretched(material.bytes, scrypt);
  // A MAC under the key, so that it tells nobody without the key what the content is.
  const salt = createHmac("sha256", master).update("sealift salt").update(slot.id);
  const parameters: Encryption = {
    algorithm: "AES-256-GCM",
    chunk: CIPHER_CHUNK,
    kdf: scrypt === undefined ? "HKDF-SHA256" : "scrypt",
    salt: salt.update(slot.digest).digest("hex"),
    ...(scrypt === undefined ? {} : { scrypt }),
    key_source: keySource,
  };
  return { key: expanded(master, Uint8Array.fromHex(parameters.salt), slot.id), parameters };
}

/** Public, and another one for each package, version and slot. NUL stands in none of the three. */
function scryptSalt(slot: { id: string; package: { name: string; version: string } }): Uint8Array {
  const { name, version } = slot.package;
  const parts = ["sealift scrypt salt", name, version, slot.id].join("\0");
  return new Uint8Array(createHash("sha256").update(parts).digest());
}

function stretched(passphrase: Uint8Array, { salt, n, r, p }: Scrypt): Uint8Array {
  // OpenSSL counts its working memory beside the 128·n·r bytes.
  const maxmem = 128 * n * r + 128 * r * p + (1 << 20);
  return new Uint8Array(
    scryptSync(passphrase, Uint8Array.fromHex(salt), 32, { N: n, r, p, maxmem }),
  );
}

function expanded(master: Uint8Array, salt: Uint8Array, id: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", master, salt, `sealift slot 1 ${id}`, 32));
}

function spelledKey(bytes: Uint8Array): Uint8Array | undefined {
  const text = Buffer.from(bytes)
    .toString("latin1")
    .replace(/^[ \t\r\n\f]+|[ \t\r\n\f]+$/g, "");
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Uint8Array.fromHex(text);
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return new Uint8Array(Buffer.from(text, "base64"));
  return undefined;
}

/** The line break that an editor puts at the end of a file is not part of a passphrase. */
function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= 1;
  if (bytes[end - 1] === 0x0d) end -= 1;
  return bytes.subarray(0, end);
}

function isText(bytes: Uint8Array): boolean {
  try {
    return !new TextDecoder("utf-8", { fatal: true }).decode(bytes).includes("\0");
  } catch {
    return false;
  }
}
