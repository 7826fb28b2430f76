/**
 * Opens packages of every dialect (format.md sections 8.1 to 8.3 and 9).
 *
 * Order matters for hostile files: lengths before reads, the digest before decompression, the signature before anything in
 * the JSON is believed, and the seal before an offset of the table is used for more than a bound check.
 */
import { FormatError } from "../base/mod.ts";
import { gunzipBounded, isGzipStored, sha256, sha256Hex } from "../codec/mod.ts";
import { isUsableKey, verifyEd25519 } from "../trust/mod.ts";
import {
  type IndexBlock,
  indexChecksum,
  parseIndex,
  type Signature,
  signaturesOf,
} from "./block.ts";
import type { Layout } from "./derive.ts";
import { PackageFile } from "./file.ts";
import { JsonFault, parseJson } from "./json.ts";
import {
  FORMAT_VERSION,
  INDEX_SIZE,
  MAGIC_END,
  MAGIC_START,
  MAX_METADATA,
  sameBytes,
  TRAILER_SIZE,
} from "./layout.ts";
import type { Metadata } from "./metadata.ts";
import {
  checkSealed,
  FieldFault,
  isObject,
  isSealedDocument,
  normalize,
  sealVersion,
} from "./normalize.ts";
import type { Package } from "./package.ts";
import { Problems, type Tolerance } from "./problem.ts";
import { gapsOf, headRegions, RegionFault, slotRegions } from "./regions.ts";
import { compareWithSeal } from "./seal.ts";
import type { FindKey } from "./secret/source.ts";
import { describeSlots } from "./slots.ts";

export interface OpenOptions {
  /** Also open packages that fail checks, or are damaged but readable; what was found stands in `problems`. */
  lenient?: boolean;
  /** Finds the keys of encrypted slots when their content is read. */
  findKey?: FindKey;
}

/**
 * A package, its trailer, index, metadata, signatures and seal checked; slot contents are not read. Close it after use.
 * Throws `FormatError` (`PSPF_…`), `CheckError` (`SEAL_…`) or `EnvironmentError`.
 */
export async function openPackage(path: string, options: OpenOptions = {}): Promise<Package> {
  const pkg = await openTolerant(path, options.lenient === true ? "damage" : "none");
  return options.findKey === undefined ? pkg : { ...pkg, findKey: options.findKey };
}

/** `openPackage` with the choice of what is let pass. */
export async function openTolerant(path: string, tolerance: Tolerance): Promise<Package> {
  const file = await PackageFile.open(path);
  try {
    return await read(file, new Problems(path, tolerance));
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function read(file: PackageFile, problems: Problems): Promise<Package> {
  const index = await readIndex(file, problems);
  const head = faulty(problems, () => headRegions(index, file.size));
  const stored = await file.read(head.metadata);
  if (!sameBytes(sha256(stored), index.metadataChecksum)) problems.report("SEAL_METADATA");
  const json = expand(stored, problems);
  const signatures = signaturesOf(index);
  const document = parseDocument(json, problems);
  const sealed = isSealedDocument(document);
  const signers = checkSignatures(json, signatures, problems);

  const table = await file.read(head.table);
  const metadata = readMetadata(document, { index, stored, json, table }, problems);
  const placed = faulty(problems, () =>
    slotRegions(table, index.slotCount, head.table.end, head.trailer.start),
  );
  const regions = { ...head, slots: placed.slots };
  const layout: Layout = { ...regions, padding: gapsOf(regions) };
  return {
    path: file.path,
    size: file.size,
    index,
    json,
    metadata,
    slots: describeSlots(metadata, placed.descriptors, layout, sealed, problems),
    sealed,
    identity: sha256Hex(json),
    signers,
    signatures,
    layout,
    problems: problems.found,
    file,
    close: () => file.close(),
  };
}

async function readIndex(file: PackageFile, problems: Problems): Promise<IndexBlock> {
  if (file.size < TRAILER_SIZE) problems.fatal("PSPF_TRAILER");
  const trailer = await file.read({ start: file.size - TRAILER_SIZE, end: file.size });
  const end = MAGIC_START.length + INDEX_SIZE;
  if (
    !sameBytes(trailer.subarray(0, MAGIC_START.length), MAGIC_START) ||
    !sameBytes(trailer.subarray(end), MAGIC_END)
  ) {
    problems.fatal("PSPF_TRAILER");
  }
  const index = parseIndex(trailer.subarray(MAGIC_START.length, end));
  if (index.formatVersion !== FORMAT_VERSION) {
    problems.fatal("PSPF_VERSION", {
      actual: `0x${index.formatVersion.toString(16).padStart(8, "0")}`,
    });
  }
  if (indexChecksum(index.bytes) !== index.checksum) problems.report("PSPF_CHECKSUM");
  if (index.packageSize !== BigInt(file.size)) {
    problems.report("PSPF_SIZE", { expected: String(index.packageSize), actual: file.size });
  }
  return index;
}

function expand(stored: Uint8Array, problems: Problems): Uint8Array {
  try {
    return gunzipBounded(stored, MAX_METADATA);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    problems.fatal("PSPF_METADATA", { detail: error.message });
  }
}

function parseDocument(json: Uint8Array, problems: Problems): Record<string, unknown> {
  try {
    const document = parseJson(json);
    if (isObject(document)) return document;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    problems.fatal("PSPF_METADATA", { detail: error.message });
  }
  problems.fatal("PSPF_METADATA", { detail: "it is not an object" });
}

/** @returns the keys whose signatures hold, the first signer at the front */
function checkSignatures(
  json: Uint8Array,
  signatures: Signature[],
  problems: Problems,
): Uint8Array[] {
  if (signatures[0]?.signature.every((byte) => byte === 0)) {
    problems.report("SEAL_UNSIGNED");
    return [];
  }
  const signers: Uint8Array[] = [];
  for (const { publicKey, signature } of signatures) {
    if (!isUsableKey(publicKey)) problems.report("SEAL_KEY");
    else if (signers.some((key) => sameBytes(key, publicKey))) problems.report("SEAL_SIGNATURE");
    else if (!verifyEd25519(publicKey, json, signature)) problems.report("SEAL_SIGNATURE");
    else signers.push(publicKey);
  }
  return signers;
}

interface Received {
  index: IndexBlock;
  stored: Uint8Array;
  json: Uint8Array;
  table: Uint8Array;
}

/** The metadata of either kind; of a sealed package also the comparison with its seal. */
function readMetadata(
  document: Record<string, unknown>,
  received: Received,
  problems: Problems,
): Metadata {
  const version = sealVersion(document);
  if (Number.isSafeInteger(version) && version !== 1) {
    problems.fatal("PSPF_SEAL_VERSION", { actual: String(version) });
  }
  const sealed = isSealedDocument(document)
    ? faulty(problems, () => checkSealed(document))
    : undefined;
  const metadata = faulty(problems, () => normalize(document));
  const { slotCount } = received.index;
  if (metadata.slots.length !== slotCount) {
    const detail = `has ${metadata.slots.length} entries, the slot table ${slotCount}`;
    problems.fatal("PSPF_FIELD", { field: "slots", detail });
  }
  if (sealed === undefined) return metadata;
  if (!isGzipStored(received.stored, received.json)) {
    problems.fatal("PSPF_METADATA", { detail: "it is not in the stored form of a sealed package" });
  }
  compareWithSeal(sealed, { ...received, metadataSize: received.stored.length }, problems);
  return metadata;
}

/** Runs a check that names a region or a field, and adds the file's name to what it throws. */
function faulty<T>(problems: Problems, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof RegionFault) problems.fatal("PSPF_REGION", { field: error.field });
    if (error instanceof FieldFault) {
      problems.fatal("PSPF_FIELD", { field: error.field, detail: error.message });
    }
    throw error;
  }
}
