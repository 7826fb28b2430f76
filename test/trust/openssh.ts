/** Builds OpenSSH key texts, right and wrong, for the tests. */
import { formatPem } from "../../lib/trust/_pem.ts";

function field(content: Uint8Array | string): Buffer {
  const body = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function blob(publicKey: Uint8Array, type = "ssh-ed25519"): Buffer {
  return Buffer.concat([field(type), field(publicKey)]);
}

/** `type` stands inside the blob only. */
export function sshPublicLine(publicKey: Uint8Array, type?: string): string {
  return `ssh-ed25519 ${blob(publicKey, type).toString("base64")} someone@example.org`;
}

export function openSshPrivate(
  seed: Uint8Array,
  publicKey: Uint8Array,
  faults: { cut?: number; padding?: number[]; check?: number; cipher?: string; kdf?: string } = {},
): string {
  const secret = Buffer.concat([
    number(1234),
    number(faults.check ?? 1234),
    blob(publicKey),
    field(Buffer.concat([seed, publicKey])),
    field("someone@example.org"),
    Buffer.from(faults.padding ?? [1, 2, 3]),
  ]);
  const body = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field(faults.cipher ?? "none"),
    field(faults.kdf ?? "none"),
    field(""),
    number(1),
    field(blob(publicKey)),
    field(secret),
  ]);
  return formatPem("OPENSSH PRIVATE KEY", body.subarray(0, body.length - (faults.cut ?? 0)));
}
