/**
 * The signed JSON of the sealed profile (format.md section 3) as a strict valibot schema, and the shape that every reader
 * gets, whatever the dialect: keys as in the document, defaults filled in.
 *
 * The schema judges a document that was already read strictly (`json.ts`). It is never used to write
 * a document back: what was signed are the bytes.
 */
import * as v from "valibot";

import { LIFECYCLE_NAMES } from "./descriptor.ts";
import { MAX_SLOTS } from "./layout.ts";
import { formatOperations, type Operation, parseOperations } from "./operations.ts";
import { Encryption } from "./secret/parameters.ts";
import { serviceSchema } from "./service.ts";

export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
export const PLATFORM_PATTERN = /^(?:linux|darwin|windows)(?:_(?:amd64|arm64))?$/;
// What a version must not hold: separators, NUL, C0 and C1 controls.
// oxlint-disable-next-line no-control-regex
export const VERSION_PATTERN = /^[^/\\\u0000-\u001f\u007f-\u009f]+$/;

const Length = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Text = v.string();
const TextMap = v.record(Text, Text);
const Digest = v.pipe(Text, v.regex(/^sha256:[0-9a-f]{64}$/, "not sha256: and 64 hex digits"));
const HexDigest = v.pipe(Text, v.regex(/^[0-9a-f]{64}$/, "not 64 hex digits"));
const Argv = v.pipe(v.array(Text), v.minLength(1));

export const SlotId = v.pipe(Text, v.regex(NAME_PATTERN), v.maxLength(255));
export const PackageName = v.pipe(Text, v.regex(NAME_PATTERN), v.maxLength(128));
export const PackageVersion = v.pipe(Text, v.regex(VERSION_PATTERN), v.maxBytes(128));
export const Permissions = v.pipe(Text, v.regex(/^0[0-7]{3}$/, "not an octal mode like 0755"));

const OperationsText = v.pipe(Text, v.check(isCanonical, "not the canonical text of a chain"));

const Slot = v.strictObject({
  slot: Length,
  id: SlotId,
  source: Text,
  target: Text,
  size: Length,
  original_size: Length,
  checksum: Digest,
  operations: OperationsText,
  purpose: Text,
  lifecycle: v.picklist(LIFECYCLE_NAMES),
  resolution: v.optional(Text),
  permissions: Permissions,
  platform: v.optional(v.pipe(Text, v.regex(PLATFORM_PATTERN))),
  share: v.optional(v.boolean()),
  chunks: v.optional(v.array(v.strictTuple([Length, Length]))),
  encryption: v.optional(Encryption),
});

const Execution = v.strictObject({
  primary_slot: v.optional(Length),
  command: v.optional(Text),
  argv: v.optional(Argv),
  entries: v.optional(v.record(Text, Argv)),
  env: v.optional(TextMap),
  environment: v.optional(TextMap),
});

const Runtime = v.strictObject({
  env: v.optional(
    v.strictObject({
      pass: v.optional(v.array(Text)),
      unset: v.optional(v.array(Text)),
      map: v.optional(TextMap),
      set: v.optional(TextMap),
    }),
  ),
  service: v.optional(serviceSchema),
});

const Workenv = v.strictObject({
  directories: v.optional(v.array(v.strictObject({ path: Text, mode: v.optional(Text) }))),
  env: v.optional(TextMap),
});

const SetupCommand = v.looseObject({
  type: v.picklist(["execute", "enumerate_and_execute", "write_file", "chmod"]),
});

const Seal = v.strictObject({
  version: v.literal(1),
  index: v.optional(
    v.strictObject({
      build_timestamp: v.optional(Length),
      source_hash: v.optional(HexDigest),
      dependency_hash: v.optional(HexDigest),
      license_id: v.optional(v.pipe(Text, v.maxBytes(16))),
    }),
  ),
});

/** The signed JSON of a sealed package. */
export const metadataSchema = v.strictObject({
  format: v.literal("PSPF/2025"),
  format_version: Text,
  package: v.strictObject({
    name: PackageName,
    version: PackageVersion,
    description: v.optional(Text),
  }),
  slots: v.pipe(v.array(Slot), v.maxLength(MAX_SLOTS)),
  execution: v.optional(Execution),
  runtime: v.optional(Runtime),
  workenv: v.optional(Workenv),
  setup_commands: v.optional(v.array(SetupCommand)),
  verification: v.optional(
    v.strictObject({
      integrity_seal: v.strictObject({ required: v.boolean(), algorithm: Text }),
      signed: v.boolean(),
      require_verification: v.boolean(),
    }),
  ),
  build: v.optional(
    v.strictObject({
      tool: Text,
      tool_version: Text,
      timestamp: Text,
      deterministic: v.boolean(),
      platform: v.strictObject({ os: Text, arch: Text, host: Text }),
    }),
  ),
  launcher: v.strictObject({
    tool: Text,
    tool_version: Text,
    size: Length,
    checksum: Digest,
    capabilities: v.optional(v.array(Text)),
  }),
  compatibility: v.optional(v.strictObject({ min_format_version: Text, features: v.array(Text) })),
  seal: Seal,
});

export type SealedMetadata = v.InferOutput<typeof metadataSchema>;
export type SealedSlot = SealedMetadata["slots"][number];

/** One slot's metadata, of any dialect. What a writer did not say is absent. */
export interface SlotMetadata {
  slot: number;
  id: string;
  source: string;
  /** Relative to the work environment, a `{workenv}/` prefix dropped, `""` = its root. */
  target: string;
  /** Bytes after every decompression, when the writer says so. */
  original_size?: number;
  /** 64 hex digits of the SHA-256 of the stored bytes. */
  checksum?: string;
  purpose: string;
  lifecycle: string;
  permissions?: string;
  platform?: string;
  share: boolean;
  /** The writer's `$SELF`: a slot without bytes of its own. */
  self_ref: boolean;
  /** `[stored, original]` bytes of each zstd frame. */
  chunks?: Array<[number, number]>;
  /** How its stored bytes are encrypted. */
  encryption?: Encryption;
}

/** The metadata of any dialect, one shape. `environment` of the Go builder stands under `env`. */
export interface Metadata {
  format_version: string;
  package: { name: string; version: string; description?: string };
  slots: SlotMetadata[];
  execution: {
    primary_slot?: number;
    command?: string;
    argv?: string[];
    entries: Record<string, string[]>;
    env: Record<string, string>;
  };
  runtime: {
    env: {
      pass: string[];
      unset: string[];
      map: Record<string, string>;
      set: Record<string, string>;
    };
  };
  workenv: { directories: Array<{ path: string; mode?: string }>; env: Record<string, string> };
  setup_commands: unknown[];
  build?: { tool: string; tool_version: string; timestamp: string; os: string; arch: string };
  /** `checksum`: 64 hex digits. */
  launcher?: { tool: string; tool_version: string; size?: number; checksum?: string };
  /** The document as it was parsed. */
  document: Record<string, unknown>;
}

/** The chain of a canonical text. */
export function canonicalChain(text: string): Operation[] {
  return parseOperations(text);
}

function isCanonical(text: string): boolean {
  try {
    return formatOperations(parseOperations(text)) === text;
  } catch {
    return false;
  }
}
