import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";

import { ed25519 } from "@noble/curves/ed25519.js";

import {
  isUsableKey,
  keyFingerprint,
  signerFromSeed,
  signerFromSeedBytes,
  verifyEd25519,
} from "../../lib/trust/mod.ts";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const SMALL_ORDER_Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
/** Each with and without the sign bit: the 14 encodings of the eight points. */
const SMALL_ORDER = SMALL_ORDER_Y.flatMap((hex) => {
  const signed = Uint8Array.fromHex(hex);
  signed[31] = (signed[31] as number) | 0x80;
  return [Uint8Array.fromHex(hex), signed];
});

const message = new TextEncoder().encode("the signed text");
const signer = signerFromSeed("test123");

function little(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toReversed().toHex()}`);
}

function encode(n: bigint): Uint8Array {
  return Uint8Array.fromHex(n.toString(16).padStart(64, "0")).toReversed();
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function challenge(r: Uint8Array, key: Uint8Array, text: Uint8Array): bigint {
  return little(createHash("sha512").update(r).update(key).update(text).digest()) % L;
}

/** S for a chosen R whose discrete logarithm is 0, made with the private key. */
function signatureWithR(r: Uint8Array, text: Uint8Array): Uint8Array {
  const seed = createHash("sha256").update("test123").digest();
  const { scalar } = ed25519.utils.getExtendedPublicKey(seed);
  return concat(r, encode((challenge(r, signer.publicKey, text) * scalar) % L));
}

function oracle(key: Uint8Array, text: Uint8Array, signature: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, text, key, { zip215: false });
  } catch {
    return false;
  }
}

test("signerFromSeed() derives the key of the reference's vector", () => {
  expect(createHash("sha256").update("test123").digest("hex")).toBe(
    "ecd71870d1963316a97e3ac3408c9835ad8cf0f3c1bc703527c30265534f75ae",
  );
  expect(signer.publicKey.toHex()).toBe(
    "d27367ba3d436463c468ecc68cfd2735b4d33b6be611355d72ac03666b47335d",
  );
  expect(signerFromSeed("pretaster-0.0.1029").publicKey.toHex()).toStartWith("3811c6de");
});

test("keyFingerprint() is the key itself in hex", () => {
  expect(keyFingerprint(signer.publicKey)).toBe(
    "ed25519:d27367ba3d436463c468ecc68cfd2735b4d33b6be611355d72ac03666b47335d",
  );
});

test("signerFromSeedBytes() refuses other lengths", () => {
  expect(() => signerFromSeedBytes(new Uint8Array(31))).toThrow("32 bytes, not 31");
});

test("sign() gives the signature of RFC 8032, section 7.1, test 2", () => {
  const rfc = signerFromSeedBytes(
    Uint8Array.fromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
  );
  expect(rfc.publicKey.toHex()).toBe(
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  );
  expect(rfc.sign(Uint8Array.of(0x72)).toHex()).toBe(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
});

describe("verifyEd25519()", () => {
  const signature = signer.sign(message);

  test("accepts what sign() made, also over nothing", () => {
    expect(verifyEd25519(signer.publicKey, message, signature)).toBe(true);
    const nothing = new Uint8Array(0);
    expect(verifyEd25519(signer.publicKey, nothing, signer.sign(nothing))).toBe(true);
  });

  test.each([0, 1, 63, 65, 128])("refuses a signature of %i bytes", (length) => {
    expect(verifyEd25519(signer.publicKey, message, new Uint8Array(length))).toBe(false);
  });

  test.each([0, 31, 33, 64])("refuses a key of %i bytes", (length) => {
    expect(verifyEd25519(new Uint8Array(length).fill(9), message, signature)).toBe(false);
  });

  test("refuses S + L and every other S that is not reduced", () => {
    const s = little(signature.subarray(32));
    for (let k = 1n; s + k * L < 2n ** 256n; k++) {
      const forged = concat(signature.subarray(0, 32), encode(s + k * L));
      expect(verifyEd25519(signer.publicKey, message, forged)).toBe(false);
    }
  });

  test("refuses every key of small order, for which anyone can forge", () => {
    for (const key of SMALL_ORDER) {
      expect(isUsableKey(key)).toBe(false);
      let forged = 0;
      for (let i = 0; i < 64; i++) {
        // S = 0 and R = a small-order point satisfy the equation for some messages.
        const text = Uint8Array.of(i);
        for (const r of SMALL_ORDER) {
          if (verifyEd25519(key, text, concat(r, new Uint8Array(32)))) forged += 1;
        }
      }
      expect(forged).toBe(0);
    }
  });

  test("refuses every R of small order, which native verification accepts", () => {
    for (const r of SMALL_ORDER) {
      expect(verifyEd25519(signer.publicKey, message, signatureWithR(r, message))).toBe(false);
    }
    const identity = SMALL_ORDER[2] as Uint8Array;
    expect(oracle(signer.publicKey, message, signatureWithR(identity, message))).toBe(true);
  });

  test("refuses keys whose y coordinate is not reduced", () => {
    for (let k = 0n; k < 19n; k++) {
      const key = encode(P + k);
      expect(isUsableKey(key)).toBe(false);
      expect(verifyEd25519(key, message, signature)).toBe(false);
    }
    expect(isUsableKey(encode(P - 2n))).toBe(true);
  });

  test("refuses bytes that are no point of the curve", () => {
    const key = encode(2n);
    expect(oracle(key, message, signature)).toBe(false);
    expect(verifyEd25519(key, message, signature)).toBe(false);
  });

  test("agrees with the oracle on 1,000 mutated cases", () => {
    let seed = 20250001;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    let accepted = 0;
    for (let i = 0; i < 1000; i++) {
      const text = Uint8Array.from({ length: random(40) }, () => random(256));
      const parts = [signer.publicKey.slice(), text, signer.sign(text)] as const;
      const target = parts[random(4)];
      if (target !== undefined && target.length > 0) {
        const at = random(target.length);
        target[at] = (target[at] as number) ^ (1 << random(8));
      }
      const [key, changed, signed] = parts;
      const verdict = verifyEd25519(key, changed, signed);
      expect(verdict).toBe(oracle(key, changed, signed));
      accepted += verdict ? 1 : 0;
    }
    expect(accepted).toBeGreaterThan(150);
    expect(accepted).toBeLessThan(500);
  });
});
