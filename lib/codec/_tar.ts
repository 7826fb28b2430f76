/**
 * One tar header block: ustar fields, octal and base-256 numbers, the checksum, and pax records (POSIX.1-2024 pax,
 * GNU tar manual "Basic Tar Format"). Reader and writer share the offsets and the errors.
 */
import { FormatError } from "../base/mod.ts";

export const BLOCK = 512;
/** Largest size and time that 11 octal digits hold. */
export const OCTAL_MAX = 0o77777777777;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes that fill the last block of `size` bytes of content. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/**
 * Every refusal of a tar archive: `TAR_PATH`, `TAR_TYPE`, `TAR_DUPLICATE`, `TAR_LINK`, `TAR_CHECKSUM`, `TAR_TRUNCATED`,
 * `TAR_SIZE`, `TAR_HEADER`, `TAR_TRAILING`, `TAR_LIMIT`, `TAR_CHUNK`.
 */
export function tarError(
  code: string,
  message: string,
  details: Record<string, unknown> = {},
  hint = "The archive is not valid; ask its publisher for a new one.",
): FormatError {
  return new FormatError(code, message, { hint, details });
}

export interface RawHeader {
  name: string;
  mode: number;
  size: number;
  mtime: number;
  /** One character; `0` also for the NUL of old archives. */
  type: string;
  link: string;
}

/** The fields of a header block that is not all zero. `FormatError` `TAR_CHECKSUM`, `TAR_HEADER`, `TAR_SIZE`, `TAR_PATH`. */
export function parseHeader(block: Uint8Array, offset: number): RawHeader {
  if (readNumber(block, 148, 8, "checksum", offset) !== checksum(block)) {
    throw tarError("TAR_CHECKSUM", `The tar header at offset ${offset} fails its checksum`, {
      offset,
    });
  }
  const magic = latin1(block, 257, 265);
  const posix = magic.startsWith("ustar\0");
  if (!posix && magic !== "ustar  \0" && !/^\0+$/.test(magic)) {
    throw tarError("TAR_HEADER", `The tar header at offset ${offset} is of an unknown format`, {
      offset,
    });
  }
  const name = readText(block, 0, 100, offset);
  // Only POSIX headers have a prefix; GNU keeps times there.
  const prefix = posix ? readText(block, 345, 155, offset) : "";
  const type = block[156] === 0 ? "0" : String.fromCharCode(block[156] as number);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: readNumber(block, 100, 8, "mode", offset),
    size: readNumber(block, 124, 12, "size", offset),
    mtime: readNumber(block, 136, 12, "mtime", offset),
    type,
    link: readText(block, 157, 100, offset),
  };
}

function checksum(block: Uint8Array): number {
  let sum = 8 * 32;
  for (let i = 0; i < 148; i++) sum += block[i] as number;
  for (let i = 156; i < BLOCK; i++) sum += block[i] as number;
  return sum;
}

function latin1(block: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...block.subarray(start, end));
}

function readText(block: Uint8Array, start: number, length: number, offset: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return utf8(end < 0 ? field : field.subarray(0, end), `The tar header at offset ${offset}`);
}

/** `FormatError("TAR_PATH")` when `bytes` are not UTF-8; `what` begins the sentence. */
export function utf8(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw tarError("TAR_PATH", `${what} holds a name that is not UTF-8`);
  }
}

/** Octal digits between spaces and NULs, or base-256 when the first bit is set. Negative numbers are refused, except times. */
function readNumber(
  block: Uint8Array,
  start: number,
  length: number,
  field: string,
  offset: number,
): number {
  const first = block[start] as number;
  let value: number | undefined;
  if (first === 0x80) value = base256(block.subarray(start + 1, start + length));
  else if (first < 0x80) value = octal(latin1(block, start, start + length));
  else if (first === 0xff && field === "mtime") value = 0;
  if (value === undefined || value > Number.MAX_SAFE_INTEGER) {
    const code = field === "size" ? "TAR_SIZE" : "TAR_HEADER";
    throw tarError(code, `The tar header at offset ${offset}: ${field} is not a usable number`, {
      offset,
      field,
    });
  }
  return value;
}

function base256(bytes: Uint8Array): number {
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value;
}

function octal(text: string): number | undefined {
  const digits = /^ *([0-7]*)[ \0]*$/.exec(text)?.[1];
  if (digits === undefined) return undefined;
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

export interface HeaderFields extends Omit<RawHeader, "name" | "link"> {
  name: Uint8Array;
  prefix: Uint8Array;
  link: Uint8Array;
}

/** A header with everything that is the same in all of ours: owners 0, magic, device numbers 0. */
const TEMPLATE = new Uint8Array(BLOCK);
for (const at of [108, 116, 329, 337]) TEMPLATE.fill(0x30, at, at + 7);
TEMPLATE.set(encoder.encode("ustar\u000000"), 257);
TEMPLATE[155] = 0x20;
/** Its sum as the format wants it: the field of the checksum counts as eight blanks. */
const TEMPLATE_SUM = checksum(TEMPLATE);

/** A ustar header block. Numbers must fit: see `OCTAL_MAX`. The sum is kept while the fields are written, for speed. */
export function formatHeader(fields: HeaderFields): Uint8Array {
  const block = TEMPLATE.slice();
  let sum = TEMPLATE_SUM + writeText(block, 0, fields.name);
  sum += writeOctal(block, 100, 7, fields.mode);
  sum += writeOctal(block, 124, 11, fields.size);
  sum += writeOctal(block, 136, 11, fields.mtime);
  sum += block[156] = fields.type.charCodeAt(0);
  sum += writeText(block, 157, fields.link);
  sum += writeText(block, 345, fields.prefix);
  writeOctal(block, 148, 6, sum);
  return block;
}

/** @returns the sum of what was written */
function writeText(block: Uint8Array, at: number, text: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum += block[at + i] = text[i] as number;
  return sum;
}

/** @returns the sum of what was written */
function writeOctal(block: Uint8Array, at: number, digits: number, value: number): number {
  // By hand: text and its encoding cost more than the rest of packing a small file.
  let rest = value;
  let sum = 0;
  for (let i = at + digits - 1; i >= at; i--) {
    sum += block[i] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  return sum;
}

/** One pax record, `LENGTH KEY=VALUE\n`, where the length counts itself. */
export function paxRecord(key: string, value: string): Uint8Array {
  const rest = encoder.encode(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return Buffer.concat([encoder.encode(String(length)), rest]);
}

/** The records of a pax extended header. A repeated key is refused: readers disagree on which one counts. */
export function parsePax(body: Uint8Array, offset: number): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 || space - at > 7 ? "" : latin1(body, at, space);
    const end = at + (/^[1-9][0-9]*$/.test(digits) ? Number(digits) : 0);
    if (end <= space + 1 || end > body.length || body[end - 1] !== 0x0a) throw badPax(offset);
    const text = utf8(body.subarray(space + 1, end - 1), `The pax header at offset ${offset}`);
    const equals = text.indexOf("=");
    if (equals < 1 || records.has(text.slice(0, equals))) throw badPax(offset);
    records.set(text.slice(0, equals), text.slice(equals + 1));
    at = end;
  }
  return records;
}

export function badPax(offset: number): FormatError {
  return tarError("TAR_HEADER", `The pax header at offset ${offset} is malformed`, { offset });
}
