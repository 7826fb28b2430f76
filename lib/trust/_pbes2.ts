/**
 * Private keys under a passphrase: EncryptedPrivateKeyInfo with PBES2 (RFC 8018) and scrypt
 * (RFC 7914). Our own reader, because the work factor comes from the file: it is bounded before
 * anything is computed, and our writer uses 600,000 rounds where the system's uses 2,048.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes, scryptSync } from "node:crypto";

import { der, derInteger, derOid, DerReader, KeyFormatError, Tag } from "./_der.ts";

/** Thrown when the passphrase does not open the key; the loader names the file. */
export class WrongPassphrase extends Error {}

const PBES2 = "2a864886f70d01050d";
const PBKDF2 = "2a864886f70d01050c";
const SCRYPT = "2b06010401da47040b";
const HMAC: Record<string, string> = {
  "2a864886f70d0207": "sha1",
  "2a864886f70d0208": "sha224",
  "2a864886f70d0209": "sha256",
  "2a864886f70d020a": "sha384",
  "2a864886f70d020b": "sha512",
};
const HMAC_SHA256 = "2a864886f70d0209";
const CIPHERS: Record<string, { name: string; keyLength: number }> = {
  "608648016503040102": { name: "aes-128-cbc", keyLength: 16 },
  "608648016503040116": { name: "aes-192-cbc", keyLength: 24 },
  "60864801650304012a": { name: "aes-256-cbc", keyLength: 32 },
};
const AES_256_CBC = "60864801650304012a";

const ROUNDS = 600_000;
const MAX_ROUNDS = 10_000_000;
const MAX_SCRYPT_MEMORY = 256 << 20;

type Derive = (passphrase: string, keyLength: number) => Uint8Array;

/**
 * The PKCS#8 bytes inside an encrypted key.
 * @throws KeyFormatError, WrongPassphrase
 */
export function decryptPkcs8(bytes: Uint8Array, passphrase: string): Uint8Array {
  const outer = new DerReader(bytes, "the encrypted key");
  const info = outer.enter(Tag.sequence);
  outer.end();
  const algorithm = info.enter(Tag.sequence);
  if (algorithm.read(Tag.oid).toHex() !== PBES2) {
    throw new KeyFormatError("the encrypted key uses another scheme than PBES2");
  }
  const parameters = algorithm.enter(Tag.sequence);
  algorithm.end();
  const derive = readDerivation(parameters.enter(Tag.sequence));
  const { cipher, iv } = readCipher(parameters.enter(Tag.sequence));
  parameters.end();
  const data = info.read(Tag.octets);
  info.end();
  const key = derive(passphrase, cipher.keyLength);
  try {
    const decipher = createDecipheriv(cipher.name, key, iv);
    return new Uint8Array(Buffer.concat([decipher.update(data), decipher.final()]));
  } catch {
    throw new WrongPassphrase();
  }
}

function readDerivation(reader: DerReader): Derive {
  const oid = reader.read(Tag.oid).toHex();
  const parameters = reader.enter(Tag.sequence);
  reader.end();
  if (oid === PBKDF2) return readPbkdf2(parameters);
  if (oid === SCRYPT) return readScrypt(parameters);
  throw new KeyFormatError("the encrypted key uses an unknown key derivation");
}

function readPbkdf2(reader: DerReader): Derive {
  const salt = reader.read(Tag.octets);
  const rounds = reader.integer();
  if (rounds < 1 || rounds > MAX_ROUNDS) {
    throw new KeyFormatError(
      `the encrypted key asks for ${rounds} rounds; ${MAX_ROUNDS} are allowed`,
    );
  }
  const length = reader.peek() === Tag.integer ? reader.integer() : undefined;
  const digest = reader.done ? "sha1" : readHmac(reader.enter(Tag.sequence));
  reader.end();
  return (passphrase, keyLength) => {
    expectLength(length, keyLength);
    return pbkdf2Sync(passphrase, salt, rounds, keyLength, digest);
  };
}

function readHmac(reader: DerReader): string {
  const digest = HMAC[reader.read(Tag.oid).toHex()];
  if (digest === undefined) throw new KeyFormatError("the encrypted key uses an unknown HMAC");
  if (!reader.done) reader.read(Tag.null);
  reader.end();
  return digest;
}

function readScrypt(reader: DerReader): Derive {
  const salt = reader.read(Tag.octets);
  const [N, r, p] = [reader.integer(), reader.integer(), reader.integer()];
  const length = reader.done ? undefined : reader.integer();
  reader.end();
  const powerOfTwo = N > 1 && Number.isInteger(Math.log2(N));
  if (!powerOfTwo || r < 1 || p < 1 || p > 16 || 128 * N * r > MAX_SCRYPT_MEMORY) {
    throw new KeyFormatError("the encrypted key asks for scrypt parameters out of range");
  }
  return (passphrase, keyLength) => {
    expectLength(length, keyLength);
    return scryptSync(passphrase, salt, keyLength, {
      N,
      r,
      p,
      maxmem: MAX_SCRYPT_MEMORY + (32 << 20),
    });
  };
}

function expectLength(stated: number | undefined, needed: number): void {
  if (stated !== undefined && stated !== needed) {
    throw new KeyFormatError("the encrypted key states a length that its cipher does not have");
  }
}

function readCipher(reader: DerReader) {
  const cipher = CIPHERS[reader.read(Tag.oid).toHex()];
  if (cipher === undefined) {
    throw new KeyFormatError("the encrypted key uses another cipher than AES in CBC mode");
  }
  const iv = reader.read(Tag.octets);
  reader.end();
  if (iv.length !== 16) throw new KeyFormatError("the encrypted key has an IV of the wrong length");
  return { cipher, iv };
}

/** PBES2: PBKDF2-HMAC-SHA-256 with 600,000 rounds, AES-256-CBC. OpenSSL reads it. */
export function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Uint8Array {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const key = pbkdf2Sync(passphrase, salt, ROUNDS, 32, "sha256");
  const cipher = createCipheriv("aes-256-cbc", key, iv);
  const data = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  const hmac = der(Tag.sequence, derOid(HMAC_SHA256), der(Tag.null));
  const derivation = der(
    Tag.sequence,
    derOid(PBKDF2),
    der(Tag.sequence, der(Tag.octets, salt), derInteger(ROUNDS), hmac),
  );
  const scheme = der(Tag.sequence, derOid(AES_256_CBC), der(Tag.octets, iv));
  const algorithm = der(Tag.sequence, derOid(PBES2), der(Tag.sequence, derivation, scheme));
  return der(Tag.sequence, algorithm, der(Tag.octets, data));
}
