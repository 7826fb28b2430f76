/**
 * Encrypted slots of the second writer: what format.md section 11 says, by other means than `pspf/`, and chunks in any order, as
 * only a hostile writer would store and sign them.
 */

import { hkdf } from "@noble/hashes/hkdf.js";
import { scrypt } from "@noble/hashes/scrypt.js";
import { sha256 } from "@noble/hashes/sha2.js";

import type { CaseEncryption } from "./case.ts";

const CHUNK = 1 << 20;
const encoder = new TextEncoder();

export interface RawEncrypted {
  stored: Uint8Array;
  encryption: Record<string, unknown>;
}

export async function encryptRaw(
  plain: Uint8Array,
  id: string,
  how: CaseEncryption,
): Promise<RawEncrypted> {
  const salt = sha256(encoder.encode(`salt of ${id}`));
  const cost = { salt: sha256(salt), n: 1 << 14, r: 8, p: 1 };
  const isKey = /^[0-9a-f]{64}$/.test(how.key);
  const master = isKey
    ? Uint8Array.fromHex(how.key)
    : scrypt(how.key, cost.salt, { N: cost.n, r: cost.r, p: cost.p, dkLen: 32 });
  const secret = hkdf(sha256, master, salt, encoder.encode(`sealift slot 1 ${id}`), 32);
  const chunks = await seal(new Uint8Array(secret), plain);
  const order = how.chunks ?? chunks.map((_, i) => i);
  return {
    stored: Buffer.concat(order.map((i) => chunks[i] as Uint8Array)),
    encryption: {
      algorithm: "AES-256-GCM",
      chunk: CHUNK,
      kdf: isKey ? "HKDF-SHA256" : "scrypt",
      salt: salt.toHex(),
      ...(isKey ? {} : { scrypt: { ...cost, salt: cost.salt.toHex() } }),
      key_source: how.source,
    },
  };
}

async function seal(secret: Uint8Array<ArrayBuffer>, plain: Uint8Array): Promise<Uint8Array[]> {
  const key = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt"]);
  const count = Math.max(1, Math.ceil(plain.length / CHUNK));
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(7, i);
    iv[11] = i + 1 === count ? 1 : 0;
    const content = plain.slice(i * CHUNK, (i + 1) * CHUNK);
    chunks.push(new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, content)));
  }
  return chunks;
}
