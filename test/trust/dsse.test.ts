/** DSSE envelopes: the encoding of the specification's example, and nothing accepted that was not signed as it stands. */
import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  keyFingerprint,
  openEnvelope,
  signEnvelope,
  signerFromSeed,
  verifyEd25519,
} from "../../lib/trust/mod.ts";

const signer = signerFromSeed("test123");
const TYPE = "http://example.com/HelloWorld";
const text = (value: string) => new TextEncoder().encode(value);

describe("DSSE", () => {
  test("signs what the specification says", () => {
    const { signatures, payload } = signEnvelope(TYPE, text("hello world"), signer);
    expect(payload).toBe("aGVsbG8gd29ybGQ=");
    const message = text(`DSSEv1 29 ${TYPE} 11 hello world`);
    const signature = Uint8Array.fromBase64(signatures[0]?.sig ?? "");
    expect(verifyEd25519(signer.publicKey, message, signature)).toBe(true);
    expect(signatures[0]?.keyid).toBe(keyFingerprint(signer.publicKey));
  });

  test("any payload comes back with its signer, and not under another type", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (payload, type) => {
        const envelope = JSON.parse(JSON.stringify(signEnvelope(type, payload, signer)));
        const opened = openEnvelope(envelope, type);
        expect(opened.signers).toEqual([signer.publicKey]);
        expect(Buffer.compare(opened.payload, payload)).toBe(0);
        expect(() => openEnvelope(envelope, `${type}+`)).toThrow("another type");
        const moved = { ...envelope, payloadType: `${type}+` };
        expect(openEnvelope(moved, `${type}+`).signers).toEqual([]);
      }),
    );
  });

  test("one signature that does not hold spoils the envelope", () => {
    const good = signEnvelope(TYPE, text("a"), signer);
    const other = signEnvelope(TYPE, text("b"), signerFromSeed("other"));
    const both = { ...good, signatures: [...good.signatures, ...other.signatures] };
    expect(openEnvelope(both, TYPE).signers).toEqual([]);
    expect(openEnvelope({ ...good, payload: "Yg==" }, TYPE).signers).toEqual([]);
    const anyone = [{ keyid: `ed25519:${"00".repeat(32)}`, sig: "A".repeat(86) + "==" }];
    expect(openEnvelope({ ...good, signatures: anyone }, TYPE).signers).toEqual([]);
  });

  test.each([
    ["no envelope", 7],
    ["no signature", { payloadType: TYPE, payload: "", signatures: [] }],
    [
      "a key that is none",
      { payloadType: TYPE, payload: "", signatures: [{ keyid: "x", sig: "" }] },
    ],
    ["payload that is not base64", { payloadType: TYPE, payload: "a b", signatures: [] }],
    ["a key that nobody knows", { ...signEnvelope(TYPE, text("a"), signer), more: 1 }],
  ])("%s is refused", (_what, document) => {
    expect(() => openEnvelope(document, TYPE)).toThrow("The envelope is not what it must be");
  });
});
