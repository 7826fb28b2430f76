/**
 * Ed25519 keys in PKCS#8 (RFC 5958, versions 1 and 2) and SubjectPublicKeyInfo (RFC 8410), read
 * element by element: the system's parser would take keys of other algorithms and skip the rest.
 */
import { DerReader, KeyFormatError, Tag } from "./_der.ts";
import { PKCS8_PREFIX, SPKI_PREFIX } from "./ed25519.ts";

const ED25519 = "2b6570"; // 1.3.101.112

/** What people hand over by mistake, by the hex of its algorithm identifier. */
const OTHER_ALGORITHMS: Record<string, string> = {
  "2a864886f70d010101": "RSA",
  "2a864886f70d01010a": "RSA-PSS",
  "2a8648ce3d0201": "elliptic curve (ECDSA)",
  "2a8648ce380401": "DSA",
  "2b656e": "X25519",
  "2b656f": "X448",
  "2b6571": "Ed448",
  "608648016503040311": "ML-DSA-44",
  "608648016503040312": "ML-DSA-65",
  "608648016503040313": "ML-DSA-87",
};

/** A private key as a file says it: the seed, and every copy of the public key that stands by it. */
export interface PrivateKeyBytes {
  seed: Uint8Array;
  stated: Uint8Array[];
}

/** Reads AlgorithmIdentifier and insists on Ed25519 without parameters. */
function expectEd25519(reader: DerReader): void {
  const algorithm = reader.enter(Tag.sequence);
  const oid = algorithm.read(Tag.oid).toHex();
  if (oid !== ED25519) {
    const name = OTHER_ALGORITHMS[oid];
    throw new KeyFormatError(
      `the key is ${name ? `an ${name} key` : "of another algorithm"}, not Ed25519`,
    );
  }
  algorithm.end();
}

function exactly32(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length !== 32)
    throw new KeyFormatError(`${what} has ${bytes.length} bytes instead of 32`);
  return bytes.slice();
}

/** @throws KeyFormatError */
export function parsePkcs8(bytes: Uint8Array): PrivateKeyBytes {
  const outer = new DerReader(bytes, "the PKCS#8 key");
  const key = outer.enter(Tag.sequence);
  outer.end();
  const version = key.integer();
  if (version > 1)
    throw new KeyFormatError(`the PKCS#8 key has the unknown version ${version + 1}`);
  expectEd25519(key);
  const inner = key.enter(Tag.octets);
  const seed = exactly32(inner.read(Tag.octets), "the private key");
  inner.end();
  if (key.peek() === Tag.attributes) key.read(Tag.attributes);
  if (version === 0 || key.peek() !== Tag.publicKey) {
    key.end();
    return { seed, stated: [] };
  }
  const publicKey = bitString(key.read(Tag.publicKey));
  key.end();
  return { seed, stated: [publicKey] };
}

/** @throws KeyFormatError */
export function parseSpki(bytes: Uint8Array): Uint8Array {
  const outer = new DerReader(bytes, "the public key");
  const key = outer.enter(Tag.sequence);
  outer.end();
  expectEd25519(key);
  const publicKey = bitString(key.read(Tag.bits));
  key.end();
  return publicKey;
}

function bitString(content: Uint8Array): Uint8Array {
  if (content[0] !== 0) throw new KeyFormatError("the public key is not whole bytes");
  return exactly32(content.subarray(1), "the public key");
}

/** PKCS#8 version 1: what every other tool reads. */
export function encodePkcs8(seed: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([PKCS8_PREFIX, seed]));
}

export function encodeSpki(publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([SPKI_PREFIX, publicKey]));
}
