/**
 * The signed JSON of a new package (format.md section 3): keys in one fixed order, compact, so equal inputs give
 * equal bytes. It goes through the reader's own schema before it is signed.
 */
import { FormatError, isoTime, quoteWords } from "../base/mod.ts";
import { sha256Hex } from "../codec/mod.ts";
import type { CheckedSlot, Manifest } from "./input.ts";
import type { SealedMetadata, SealedSlot } from "./metadata.ts";
import { checkSealed, FieldFault } from "./normalize.ts";
import { formatOperations } from "./operations.ts";
import type { StagedSlot } from "./stage.ts";

export interface LauncherInput {
  bytes: Uint8Array;
  tool: string;
  toolVersion: string;
}

export interface ComposeInput {
  manifest: Manifest;
  launcher: LauncherInput;
  slots: readonly CheckedSlot[];
  staged: readonly StagedSlot[];
  /** Seconds since 1970. */
  epoch: number;
  platform: { os: string; arch: string };
  builder: { name: string; version: string };
}

/** The document of the sealed profile. Throws `FormatError("PSPF_FIELD")` when a reader would refuse it. */
export function composeSealed(input: ComposeInput): SealedMetadata {
  const { manifest } = input;
  const document = {
    format: "PSPF/2025",
    format_version: "1.0.0",
    package: composePackage(manifest.package),
    slots: input.slots.map((slot, i) => composeSlot(slot, i, input.staged[i] as StagedSlot)),
    execution: composeExecution(manifest.execution),
    ...(manifest.runtime === undefined ? {} : { runtime: manifest.runtime }),
    ...(manifest.workenv === undefined ? {} : { workenv: manifest.workenv }),
    ...(manifest.setup_commands === undefined ? {} : { setup_commands: manifest.setup_commands }),
    verification: {
      integrity_seal: { required: true, algorithm: "ed25519" },
      signed: true,
      require_verification: true,
    },
    build: {
      tool: input.builder.name,
      tool_version: input.builder.version,
      timestamp: isoTime(input.epoch),
      deterministic: true,
      platform: { os: input.platform.os, arch: input.platform.arch, host: "" },
    },
    launcher: {
      tool: input.launcher.tool,
      tool_version: input.launcher.toolVersion,
      size: input.launcher.bytes.length,
      checksum: `sha256:${sha256Hex(input.launcher.bytes)}`,
      capabilities: ["signed"],
    },
    compatibility: { min_format_version: "1.0.0", features: [] },
    seal: { version: 1, index: composeIndex(input) },
  };
  // What is judged and what is signed must be the same: undefined members vanish, names are copied.
  return judge(JSON.parse(JSON.stringify(document)) as Record<string, unknown>);
}

function judge(document: Record<string, unknown>): SealedMetadata {
  try {
    return checkSealed(document);
  } catch (error) {
    if (!(error instanceof FieldFault)) throw error;
    throw new FormatError("PSPF_FIELD", `Metadata field ${error.field}: ${error.message}`, {
      hint: "Correct it in the manifest.",
      details: { field: error.field },
    });
  }
}

function composePackage({ name, version, description }: Manifest["package"]) {
  return { name, version, ...(description === undefined ? {} : { description }) };
}

function composeSlot(slot: CheckedSlot, i: number, staged: StagedSlot): SealedSlot {
  return {
    slot: i,
    id: slot.id,
    source: slot.source,
    target: slot.target,
    size: staged.size,
    original_size: staged.originalSize,
    checksum: `sha256:${staged.checksum}`,
    operations: formatOperations(slot.operations),
    purpose: slot.purpose,
    lifecycle: slot.lifecycle as SealedSlot["lifecycle"],
    resolution: "build",
    permissions: slot.mode,
    platform: slot.platform,
    share: slot.share === true ? true : undefined,
    chunks: staged.chunks,
    encryption: staged.encryption,
  };
}

function composeExecution(execution: Manifest["execution"]): SealedMetadata["execution"] {
  const { argv, entries } = execution;
  const env = execution.env ?? {};
  return {
    primary_slot: execution.primary_slot ?? 0,
    command: execution.command ?? (argv === undefined ? "" : quoteWords(argv)),
    ...(argv === undefined ? {} : { argv }),
    ...(entries === undefined || Object.keys(entries).length === 0 ? {} : { entries }),
    env,
    environment: env,
  };
}

function composeIndex(input: ComposeInput): NonNullable<SealedMetadata["seal"]["index"]> {
  return { build_timestamp: input.epoch, ...input.manifest.sealIndex };
}
