/**
 * OpenSSH's own key texts: `ssh-ed25519 AAAA… comment` lines (RFC 8709) and unencrypted
 * `openssh-key-v1` private keys (PROTOCOL.key in its sources). Encrypted ones use bcrypt, which is
 * not here; `loadSigner` says how to get around it.
 */
import { KeyFormatError } from "./_der.ts";
import { decodeBase64 } from "./_pem.ts";
import type { PrivateKeyBytes } from "./_pkcs8.ts";

/** Thrown for keys under a passphrase. */
export class EncryptedOpenSsh extends Error {}

const MAGIC = new TextEncoder().encode("openssh-key-v1\0");
const TYPE = "ssh-ed25519";

/** Length-prefixed fields, big-endian (RFC 4251, section 5). */
class Fields {
  #at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly what: string,
  ) {}

  number(): number {
    const field = this.#take(4);
    return Buffer.from(field.buffer, field.byteOffset, 4).readUInt32BE();
  }

  string(): Uint8Array {
    return this.#take(this.number());
  }

  text(): string {
    return Buffer.from(this.string()).toString("latin1");
  }

  rest(): Uint8Array {
    return this.#take(this.bytes.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.bytes.length)
      throw new KeyFormatError(`${this.what} has bytes after its end`);
  }

  #take(length: number): Uint8Array {
    if (length > this.bytes.length - this.#at)
      throw new KeyFormatError(`${this.what} is truncated`);
    const field = this.bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return field;
  }
}

export function looksLikeSshLine(text: string): boolean {
  return /^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+[ \t]/.test(text);
}

/**
 * The raw key of one `ssh-ed25519 AAAA… comment` line.
 * @throws KeyFormatError
 */
export function parseSshLine(text: string): { publicKey: Uint8Array; comment: string } {
  const line = text.trim();
  if (/[\r\n]/.test(line)) throw new KeyFormatError("the file holds more than one SSH key");
  const [type = "", base64 = "", ...comment] = line.split(/[ \t]+/);
  if (type !== TYPE) throw new KeyFormatError(`the key is an SSH key of type ${type}, not ${TYPE}`);
  const publicKey = publicBlob(decodeBase64(base64, "the SSH key"));
  return { publicKey, comment: comment.join(" ") };
}

function publicBlob(bytes: Uint8Array): Uint8Array {
  const fields = new Fields(bytes, "the SSH key");
  const type = fields.text();
  if (type !== TYPE) throw new KeyFormatError(`the key is not of type ${TYPE}`);
  const publicKey = fields.string();
  fields.end();
  if (publicKey.length !== 32) throw new KeyFormatError("the public key does not have 32 bytes");
  return publicKey.slice();
}

/**
 * Body of an `OPENSSH PRIVATE KEY` block.
 * @throws KeyFormatError, EncryptedOpenSsh
 */
export function parseOpenSshPrivate(bytes: Uint8Array): PrivateKeyBytes {
  const what = "the OpenSSH key";
  if (!MAGIC.every((byte, i) => bytes[i] === byte))
    throw new KeyFormatError(`${what} has no magic`);
  const outer = new Fields(bytes.subarray(MAGIC.length), what);
  const [cipher, kdf] = [outer.text(), outer.text()];
  outer.string();
  if (outer.number() !== 1) throw new KeyFormatError(`${what} does not hold exactly one key`);
  const publicKey = publicBlob(outer.string());
  const secret = outer.string();
  outer.end();
  if (cipher !== "none" || kdf !== "none") throw new EncryptedOpenSsh();

  const inner = new Fields(secret, what);
  if (inner.number() !== inner.number()) throw new KeyFormatError(`${what} is damaged`);
  if (inner.text() !== TYPE) throw new KeyFormatError(`the key is not of type ${TYPE}`);
  const again = inner.string();
  const pair = inner.string();
  inner.string();
  const padding = inner.rest();
  if (pair.length !== 64) throw new KeyFormatError(`${what} does not have 64 bytes`);
  if (padding.length > 255 || padding.some((byte, i) => byte !== i + 1)) {
    throw new KeyFormatError(`${what} has bytes after its end`);
  }
  return { seed: pair.slice(0, 32), stated: [publicKey, again, pair.subarray(32)] };
}
