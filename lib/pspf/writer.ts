/**
 * Writes packages: the sealed profile, and the subset of it that the earlier Go and Rust launchers run. The
 * output appears whole or not at all, mode 0755, and equal inputs give equal bytes.
 */
import { gzipSync } from "node:zlib";

import { AtomicFile, FormatError, type Progress, silentProgress, version } from "../base/mod.ts";
import { gzipStored, sha256, sha256Hex } from "../codec/mod.ts";
import type { Signer } from "../trust/mod.ts";
import { encodeSignatures } from "./block.ts";
import {
  checkCompat,
  checkCompatTree,
  compatDocument,
  compatManifest,
  compatSlots,
} from "./compat.ts";
import { composeSealed, type LauncherInput } from "./compose.ts";
import { deriveIndex, deriveLayout, deriveTable, type Layout } from "./derive.ts";
import { type CheckedSlot, checkSlots, type Manifest, type SlotInput } from "./input.ts";
import { MAGIC_END, MAGIC_START, MAX_METADATA_STORED } from "./layout.ts";
import type { SealedMetadata } from "./metadata.ts";
import { expectedSize, type SlotMemory, type StagedSlot, stageSlot } from "./stage.ts";

export interface WriteOptions {
  launcher: LauncherInput;
  manifest: Manifest;
  slots: readonly SlotInput[];
  signer: Signer;
  profile: "sealed" | "flavorpack";
  /** Seconds since 1970, for every time in the package. */
  epoch: number;
  platform: { os: string; arch: string };
  /** Chunks compressed at a time; default one per core. */
  jobs?: number;
  progress?: Progress;
  memory?: SlotMemory;
  /** Replace an existing file. */
  force?: boolean;
  /** What the JSON says under `build`; default sealift and its version. */
  builder?: { name: string; version: string };
}

export interface Written {
  path: string;
  size: number;
  identity: string;
  /** `ratio`: stored over original, 1 for an empty slot. */
  slots: Array<{ id: string; stored: number; original: number; ratio: number }>;
}

/** Writes one package to `out`. Throws `FormatError`, `UsageError` (levels) or `EnvironmentError`. */
export async function writePackage(out: string, options: WriteOptions): Promise<Written> {
  const checked = checkSlots(options.slots, options.platform.os);
  const isCompat = options.profile === "flavorpack";
  const slots = isCompat ? compatSlots(checked) : checked;
  if (isCompat) checkCompat(options.manifest, slots);

  const force = options.force === true;
  await using stage = await AtomicFile.create(out, { force, mode: 0o600 });
  const staged = await stageAll(slots, stage, options);
  const sealed = composeSealed({
    manifest: isCompat ? compatManifest(options.manifest) : options.manifest,
    launcher: options.launcher,
    slots,
    staged,
    epoch: options.epoch,
    platform: options.platform,
    builder: options.builder ?? { name: "sealift", version },
  });
  const document = isCompat ? compatDocument(sealed) : sealed;
  const json = new TextEncoder().encode(JSON.stringify(document));
  const parts = assemble(options, sealed, json);

  await using file = await AtomicFile.create(out, { force, mode: 0o755 });
  await writeParts(file, parts, options.launcher.bytes, staged);
  await file.commit();
  return {
    path: out,
    size: parts.layout.trailer.end,
    identity: sha256Hex(json),
    slots: slots.map((slot, i) => report(slot, staged[i] as StagedSlot)),
  };
}

async function stageAll(
  slots: readonly CheckedSlot[],
  stage: AtomicFile,
  options: WriteOptions,
): Promise<StagedSlot[]> {
  const staged: StagedSlot[] = [];
  const progress = options.progress ?? silentProgress;
  for (const slot of slots) {
    const task = progress.task(`Packing ${slot.id}`, await expectedSize(slot));
    staged.push(
      await stageSlot(slot, stage, {
        epoch: options.epoch,
        package: options.manifest.package,
        ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
        advance: (bytes) => task.advance(bytes),
        chunks: options.profile === "sealed",
        ...(options.memory === undefined ? {} : { memory: options.memory }),
        ...(options.profile === "flavorpack" ? { judgeTree: checkCompatTree } : {}),
      }),
    );
    task.done();
  }
  return staged;
}

interface Parts {
  layout: Layout;
  metadata: Uint8Array;
  table: Uint8Array;
  index: Uint8Array;
}

function assemble(options: WriteOptions, sealed: SealedMetadata, json: Uint8Array): Parts {
  const metadata = options.profile === "sealed" ? gzipStored(json) : gzipOrdinary(json);
  if (metadata.length > MAX_METADATA_STORED) {
    throw new FormatError(
      "METADATA_SIZE",
      `The metadata has ${metadata.length} bytes, more than ${MAX_METADATA_STORED}`,
      { hint: "Use fewer slots: a folder can be one slot, whatever is in it." },
    );
  }
  const layout = deriveLayout(
    options.launcher.bytes.length,
    metadata.length,
    sealed.slots.map((slot) => slot.size),
  );
  const index = deriveIndex(sealed, layout, {
    publicKey: options.signer.publicKey,
    signatures: encodeSignatures(options.signer.sign(json)),
    metadataChecksum: sha256(metadata),
  });
  return { layout, metadata, table: deriveTable(sealed.slots, layout), index };
}

/** One compressed gzip member whose header names no time and no system. */
function gzipOrdinary(json: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(gzipSync(json, { level: 9 }));
  bytes.fill(0, 4, 8);
  bytes[9] = 0xff;
  return bytes;
}

async function writeParts(
  file: AtomicFile,
  parts: Parts,
  launcher: Uint8Array,
  staged: readonly StagedSlot[],
): Promise<void> {
  const { layout } = parts;
  await file.write(launcher);
  await file.write(parts.metadata);
  await padTo(file, layout.table.start);
  await file.write(parts.table);
  for (const [i, slot] of staged.entries()) {
    await padTo(file, layout.slots[i]?.start as number);
    await slot.copy((piece) => file.write(piece));
  }
  await file.write(MAGIC_START);
  await file.write(parts.index);
  await file.write(MAGIC_END);
}

async function padTo(file: AtomicFile, offset: number): Promise<void> {
  if (offset > file.position) await file.write(new Uint8Array(offset - file.position));
}

function report(slot: CheckedSlot, staged: StagedSlot): Written["slots"][number] {
  const { size: stored, originalSize: original } = staged;
  return { id: slot.id, stored, original, ratio: original === 0 ? 1 : stored / original };
}
