/**
 * DSSE (Dead Simple Signing Envelope, v1.0.2) with Ed25519: a payload, its type, and signatures over both as bytes. `keyid` is
 * the fingerprint, which holds the whole key, so an envelope can be checked without a key file; who the key is, a trust store says.
 */
import * as v from "valibot";

import { FormatError } from "../base/mod.ts";
import { isUsableKey, keyFingerprint, type Signer, verifyEd25519 } from "./ed25519.ts";

const MAX_SIGNATURES = 16;

const Base64 = v.pipe(
  v.string(),
  v.regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "not base64"),
);

export const Envelope = v.strictObject({
  payloadType: v.string(),
  payload: Base64,
  signatures: v.pipe(
    v.array(
      v.strictObject({
        keyid: v.pipe(v.string(), v.regex(/^ed25519:[0-9a-f]{64}$/, "not ed25519: and a key")),
        sig: Base64,
      }),
    ),
    v.minLength(1),
    v.maxLength(MAX_SIGNATURES),
  ),
});
export type Envelope = v.InferOutput<typeof Envelope>;

/** Signs `payload` as one of `payloadType`. */
export function signEnvelope(payloadType: string, payload: Uint8Array, signer: Signer): Envelope {
  const sig = signer.sign(preAuthenticationEncoding(payloadType, payload));
  return {
    payloadType,
    payload: payload.toBase64(),
    signatures: [{ keyid: keyFingerprint(signer.publicKey), sig: sig.toBase64() }],
  };
}

export interface Opened {
  payload: Uint8Array;
  /** Raw keys whose signatures hold; empty when one of them does not. */
  signers: Uint8Array[];
}

/**
 * The payload of a parsed envelope, and who has signed it. Every signature must hold.
 * @throws FormatError `DSSE_FORMAT`: no envelope, or one of another type
 */
export function openEnvelope(document: unknown, payloadType: string): Opened {
  const checked = v.safeParse(Envelope, document);
  if (!checked.success) {
    const [issue] = checked.issues;
    throw malformed(`field ${v.getDotPath(issue) ?? "?"}: ${issue.message}`);
  }
  const envelope = checked.output;
  if (envelope.payloadType !== payloadType) throw malformed("field payloadType: another type");
  const payload = Uint8Array.fromBase64(envelope.payload);
  const message = preAuthenticationEncoding(payloadType, payload);
  const signers: Uint8Array[] = [];
  for (const { keyid, sig } of envelope.signatures) {
    const key = Uint8Array.fromHex(keyid.slice("ed25519:".length));
    const isGood = isUsableKey(key) && verifyEd25519(key, message, Uint8Array.fromBase64(sig));
    if (!isGood) return { payload, signers: [] };
    signers.push(key);
  }
  return { payload, signers };
}

/** `DSSEv1`, and length and bytes of type and payload: nothing can be moved from one to the other. */
function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  const head = Buffer.from(`DSSEv1 ${type.length} `);
  return Buffer.concat([head, type, Buffer.from(` ${payload.length} `), payload]);
}

function malformed(what: string): FormatError {
  return new FormatError("DSSE_FORMAT", `The envelope is not what it must be: ${what}`, {
    hint: "The file was damaged or is something else.",
  });
}
