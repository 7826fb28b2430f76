/**
 * Ed25519 as RFC 8032 means it, on the native implementation: canonical S (native), canonical R
 * (native), and what native accepts but must not: keys and R of small order, and keys whose y
 * coordinate is not reduced. A small-order key verifies forged signatures of any message.
 *
 * `@noble/curves` with `zip215: false` is the oracle in the tests. The two differ only where a key
 * owner builds a point with a torsion part on purpose; that is no forgery.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  sign,
  verify,
} from "node:crypto";

import { FormatError } from "../base/mod.ts";

/** Something that signs with one Ed25519 key. The private half stays inside. */
export interface Signer {
  /** Raw public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** @returns the signature, 64 bytes */
  sign(message: Uint8Array): Uint8Array;
}

/** DER before the 32 bytes of a seed (PKCS#8 v1) and of a public key (SPKI), RFC 8410. */
export const PKCS8_PREFIX = Uint8Array.fromHex("302e020100300506032b657004220420");
export const SPKI_PREFIX = Uint8Array.fromHex("302a300506032b6570032100");

/** The y coordinates of the eight points of small order, with the encodings that are not reduced. */
const SMALL_ORDER = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** Whether 32 bytes encode a point of small order, whatever the sign bit says. */
function isSmallOrder(point: Uint8Array): boolean {
  const y = point.slice(0, 32);
  y[31] = (y[31] as number) & 0x7f;
  return SMALL_ORDER.has(y.toHex());
}

/** Whether the y coordinate is 2^255 - 19 or more. */
function isNotReduced(point: Uint8Array): boolean {
  if (((point[31] as number) & 0x7f) !== 0x7f || (point[0] as number) < 0xed) return false;
  return point.subarray(1, 31).every((byte) => byte === 0xff);
}

/** Whether 32 bytes can stand as a public key at all; says nothing of who holds the private one. */
export function isUsableKey(publicKey: Uint8Array): boolean {
  return publicKey.length === 32 && !isSmallOrder(publicKey) && !isNotReduced(publicKey);
}

/**
 * Whether `signature` (64 bytes) is the signature of `message` by `publicKey` (32 bytes).
 * Wrong lengths are "no", never an exception.
 */
export function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== 64 || !isUsableKey(publicKey)) return false;
  if (isSmallOrder(signature.subarray(0, 32))) return false;
  const der = Buffer.concat([SPKI_PREFIX, publicKey]);
  try {
    const key = createPublicKey({ key: der, format: "der", type: "spki" });
    return verify(null, message, key, signature);
  } catch {
    return false; // The bytes are no point of the curve.
  }
}

/**
 * A signer from the 32 bytes of an RFC 8032 private key.
 * @throws FormatError `KEY_LENGTH`
 */
export function signerFromSeedBytes(seed: Uint8Array): Signer {
  if (seed.length !== 32) {
    throw new FormatError("KEY_LENGTH", `An Ed25519 seed has 32 bytes, not ${seed.length}`);
  }
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const publicKey = new Uint8Array(spki.subarray(SPKI_PREFIX.length));
  return { publicKey, sign: (message) => new Uint8Array(sign(null, message, key)) };
}

/**
 * The signer that every PSPF/2025 builder derives from a text: seed = SHA-256 of its UTF-8 bytes.
 * Whoever knows the text has the key, so this is for tests and demonstrations.
 */
export function signerFromSeed(text: string): Signer {
  return signerFromSeedBytes(createHash("sha256").update(text, "utf8").digest());
}

/** 32 fresh bytes from the system's generator. */
export function randomSeed(): Uint8Array {
  return new Uint8Array(randomBytes(32));
}

/** `ed25519:` and the 64 hex digits of the raw key: the key itself, so nothing can collide. */
export function keyFingerprint(publicKey: Uint8Array): string {
  return `ed25519:${publicKey.toHex()}`;
}
