/**
 * PEM (RFC 7468, strict form): one block, nothing but white space around it, correct base64. A file
 * with two keys is ambiguous and refused, not half read.
 */
import { KeyFormatError } from "./_der.ts";

export interface PemBlock {
  /** Text between `BEGIN` and the dashes, such as `PRIVATE KEY`. */
  label: string;
  body: Uint8Array;
}

const BLOCK =
  /^-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,63})-----\r?\n([\s\S]*?)-----END ([A-Z0-9 ]{1,64})-----$/;

export function looksLikePem(text: string): boolean {
  return text.trimStart().startsWith("-----BEGIN ");
}

/**
 * The one block of a text that may say something around it, as RFC 7468 allows and the launchers accept in a trust store.
 * @throws KeyFormatError
 */
export function findPem(text: string): PemBlock {
  const [start, end] = [text.indexOf("-----BEGIN "), text.lastIndexOf("-----")];
  if (start < 0 || end < start) throw new KeyFormatError("there is no PEM block in it");
  return parsePem(text.slice(start, end + 5));
}

/** @throws KeyFormatError */
export function parsePem(text: string): PemBlock {
  const match = BLOCK.exec(text.trim());
  if (!match) throw new KeyFormatError("the PEM block is truncated or something surrounds it");
  const [, label, lines, closing] = match as unknown as [string, string, string, string];
  if (label !== closing)
    throw new KeyFormatError("the PEM block begins and ends with other labels");
  return { label, body: decodeBase64(lines.replace(/[\r\n]/g, ""), "the PEM block") };
}

/** Strict base64: alphabet, padding, and zero bits where bits are unused. */
export function decodeBase64(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.toString("base64") !== text) {
    throw new KeyFormatError(`${what} is not valid base64`);
  }
  return new Uint8Array(bytes);
}

export function formatPem(label: string, body: Uint8Array): string {
  const lines =
    Buffer.from(body)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
