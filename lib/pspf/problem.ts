/**
 * What can be wrong with a package: the codes and sentences that the launchers use too
 * (`test/conformance/messages.json`), and how a reader deals with them.
 *
 * A format problem means the file cannot be understood (exit 3); a check problem means it was understood and is not
 * what was signed (exit 1). `verify` and `inspect` collect problems, everything else stops at the first.
 */
import { CheckError, FormatError } from "../base/mod.ts";

const DAMAGED = "The file was damaged or is not a valid package.";
const CHANGED = "The file was damaged or changed after it was sealed.";
const TRUNCATED =
  "The file is truncated or something was appended to it; copy it again in binary mode.";
const NEWER = "The package needs a newer sealift.";

interface Entry {
  kind: "format" | "check";
  message: string;
  hint: string;
}

const format = (message: string, hint: string): Entry => ({ kind: "format", message, hint });
const check = (message: string, hint: string): Entry => ({ kind: "check", message, hint });

/** Every problem of a package file. `{file}` and the other names are filled in. */
export const PROBLEMS = {
  PSPF_TRAILER: format("{file}: the last 8,200 bytes are not a PSPF trailer", TRUNCATED),
  PSPF_VERSION: format(
    "{file}: format version {actual} is not 0x20250001",
    "sealift reads PSPF/2025 only.",
  ),
  PSPF_CHECKSUM: format(
    "{file}: the index checksum does not match",
    "The file was damaged; copy it again and compare its SHA-256.",
  ),
  PSPF_SIZE: format("{file}: the index says {expected} bytes, the file has {actual}", TRUNCATED),
  PSPF_REGION: format("{file}: {field} lies outside the file or overlaps another region", DAMAGED),
  PSPF_METADATA: format("{file}: the metadata cannot be read: {detail}", DAMAGED),
  PSPF_FIELD: format(
    "{file}: metadata field {field}: {detail}",
    "The package is not valid; ask its publisher for a new one.",
  ),
  PSPF_OPERATION: format("{file}: slot {slot}: operation {detail} is not supported", NEWER),
  PSPF_SEAL_VERSION: format("{file}: seal version {actual} is not supported", NEWER),
  SEAL_METADATA: check("{file}: the metadata does not match its SHA-256", CHANGED),
  SEAL_UNSIGNED: check(
    "{file}: the package is not signed",
    "Sign it with `sealift sign`, or ask its publisher for a signed one.",
  ),
  SEAL_SIGNATURE: check("{file}: the signature does not match the metadata", CHANGED),
  SEAL_KEY: check(
    "{file}: the public key is not a valid Ed25519 key",
    "The file was damaged or forged.",
  ),
  SEAL_INDEX: check(
    "{file}: the index block differs from what the signed metadata says at offset {offset}",
    CHANGED,
  ),
  SEAL_TABLE: check(
    "{file}: slot {slot}: table field {field} differs from the signed metadata",
    CHANGED,
  ),
  SEAL_PADDING: check("{file}: the padding at offset {offset} is not zero", CHANGED),
  SEAL_LAUNCHER: check("{file}: the launcher does not match its signed SHA-256", CHANGED),
  SEAL_SLOT: check("{file}: slot {slot}: the stored bytes do not match their SHA-256", CHANGED),
} as const satisfies Record<string, Entry>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface Problem {
  code: ProblemCode;
  kind: "format" | "check";
  /** One sentence that names the file and the field. */
  message: string;
  hint: string;
  details: Record<string, string | number>;
}

export function problem(
  code: ProblemCode,
  details: Record<string, string | number> & { file: string },
): Problem {
  const { kind, message, hint } = PROBLEMS[code];
  const text = message.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name] ?? ""));
  return { code, kind, message: text, hint, details };
}

export function problemError(found: Problem): CheckError | FormatError {
  const { code, message, hint, details } = found;
  return found.kind === "format"
    ? new FormatError(code, message, { hint, details })
    : new CheckError(code, message, { hint, details });
}

/** How much a reader lets pass: nothing, failed checks, or also damage that leaves the file readable. */
export type Tolerance = "none" | "checks" | "damage";

/** Collects the problems of one file, and throws those that the tolerance does not cover. */
export class Problems {
  readonly found: Problem[] = [];

  constructor(
    readonly file: string,
    readonly tolerance: Tolerance,
  ) {}

  /** Something that reading can go on after. */
  report(code: ProblemCode, details: Record<string, string | number> = {}): void {
    const entry = problem(code, { file: this.file, ...details });
    const kept =
      this.tolerance === "damage" || (this.tolerance === "checks" && entry.kind === "check");
    if (!kept) throw problemError(entry);
    this.found.push(entry);
  }

  /** Something that nothing can be read after. An earlier problem is its cause and is named instead. */
  fatal(code: ProblemCode, details: Record<string, string | number> = {}): never {
    throw problemError(this.found[0] ?? problem(code, { file: this.file, ...details }));
  }
}
