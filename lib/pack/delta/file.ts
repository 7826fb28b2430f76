/**
 * The file of a delta (docs/reference/delta.md): magic, version, a small JSON header that names both packages, four sections, and the SHA-256
 * of everything before. The digest finds damage; what is true is decided by the signature of the package that comes out.
 */
import * as v from "valibot";

import { AtomicFile, FormatError, SealiftError } from "../../base/mod.ts";
import { compressStream, decompressStream, Sha256, sha256File } from "../../codec/mod.ts";
import {
  NAME_PATTERN,
  PackageFile,
  parseJson,
  type Range,
  VERSION_PATTERN,
} from "../../pspf/mod.ts";
import type { Spool } from "./spool.ts";

/** Like PNG's: says at once when a transfer changed line ends or dropped the eighth bit. */
const MAGIC = Uint8Array.of(0x89, 0x50, 0x53, 0x44, 0x0d, 0x0a, 0x1a, 0x0a);
const VERSION = 1;
const PREAMBLE = MAGIC.length + 8;
const DIGEST = 32;
const MAX_HEADER = 64 << 10;
/** A plan of this size describes some million changed files. */
const MAX_PLAN = 32 << 20;
const LITERAL_LEVEL = 12;

const Length = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const Packed = v.strictTuple([Length, Length]);
const Name = v.pipe(v.string(), v.regex(NAME_PATTERN), v.maxLength(128));
const Version = v.pipe(v.string(), v.regex(VERSION_PATTERN), v.maxBytes(128));

export const DeltaHeader = v.strictObject({
  from: v.strictObject({ name: Name, version: Version, identity: Digest }),
  to: v.strictObject({
    name: Name,
    version: Version,
    identity: Digest,
    size: Length,
    sha256: Digest,
  }),
  /** What made it; the libraries matter where something is compressed again. */
  made_by: v.strictObject({ sealift: v.string(), zstd: v.string(), zlib: v.string() }),
  portable: v.boolean(),
  /** Bytes in the file; of the first two also after decompression. */
  sections: v.strictObject({ plan: Packed, literals: Packed, diffs: Length, stored: Length }),
});
export type DeltaHeader = v.InferOutput<typeof DeltaHeader>;

/** A delta that is open for reading. */
export interface Delta {
  path: string;
  size: number;
  header: DeltaHeader;
  plan(): Promise<Uint8Array>;
  literals(): AsyncIterable<Uint8Array>;
  diffs(): AsyncIterable<Uint8Array>;
  stored(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Opens a delta, its digest checked. Throws `FormatError("DELTA_FORMAT" | "DELTA_DAMAGED")`, `EnvironmentError`. */
export async function openDelta(path: string): Promise<Delta> {
  const file = await PackageFile.open(path);
  try {
    return await read(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function read(file: PackageFile): Promise<Delta> {
  if (file.size < PREAMBLE + DIGEST) throw notDelta(file.path);
  const preamble = await file.read({ start: 0, end: PREAMBLE });
  if (Buffer.compare(preamble.subarray(0, MAGIC.length), MAGIC) !== 0) throw notDelta(file.path);
  const view = new DataView(preamble.buffer, preamble.byteOffset);
  const version = view.getUint32(MAGIC.length, true);
  if (version !== VERSION) throw wrong(file.path, `its format version is ${version}`);
  const body = PREAMBLE + view.getUint32(MAGIC.length + 4, true);
  if (body - PREAMBLE > MAX_HEADER || body + DIGEST > file.size) {
    throw wrong(file.path, "its header does not fit");
  }
  await checkDigest(file);
  const header = parseHeader(file.path, await file.read({ start: PREAMBLE, end: body }));
  const [plan, literals, diffs, stored] = place(file, header, body);
  return {
    path: file.path,
    size: file.size,
    header,
    plan: () => expandPlan(file, plan as Range, header.sections.plan[1]),
    literals: () => expand(file.stream(literals as Range), header.sections.literals[1]),
    diffs: () => file.stream(diffs as Range),
    stored: () => file.stream(stored as Range),
    close: () => file.close(),
  };
}

async function checkDigest(file: PackageFile): Promise<void> {
  const end = file.size - DIGEST;
  const said = await file.read({ start: end, end: file.size });
  if (said.toHex() === (await sha256File(file.path, { length: end }))) return;
  throw new FormatError("DELTA_DAMAGED", `${file.path}: the delta is damaged`, {
    hint: "Copy it again and compare its SHA-256.",
    details: { file: file.path },
  });
}

function parseHeader(path: string, bytes: Uint8Array): DeltaHeader {
  let document: unknown;
  try {
    document = parseJson(bytes);
  } catch (error) {
    throw wrong(path, `its header is no JSON (${(error as Error).message})`);
  }
  const checked = v.safeParse(DeltaHeader, document);
  if (checked.success) return checked.output;
  const [issue] = checked.issues;
  throw wrong(path, `header field ${v.getDotPath(issue) ?? "?"} is wrong: ${issue.message}`);
}

/** The sections fill the file exactly. */
function place(file: PackageFile, { sections }: DeltaHeader, body: number): Range[] {
  const { plan, literals, diffs, stored } = sections;
  let at = body;
  const ranges = [plan[0], literals[0], diffs, stored].map((size) => {
    const start = at;
    at += size;
    return { start, end: at };
  });
  if (at !== file.size - DIGEST) throw wrong(file.path, "its sections do not fill it");
  if (plan[1] > MAX_PLAN) throw wrong(file.path, `its plan has more than ${MAX_PLAN} bytes`);
  return ranges;
}

async function expandPlan(file: PackageFile, range: Range, size: number): Promise<Uint8Array> {
  const plan = new Uint8Array(size);
  let at = 0;
  for await (const piece of expand(file.stream(range), size)) {
    plan.set(piece, at);
    at += piece.length;
  }
  if (at === size) return plan;
  throw wrong(file.path, "its plan is shorter than its header says");
}

/** A section of no bytes is empty, not an empty zstd frame. */
async function* expand(stream: AsyncIterable<Uint8Array>, size: number) {
  if (size > 0) yield* decompressStream("zstd", { maxOutput: size })(stream);
}

export interface DeltaContent {
  header: Omit<DeltaHeader, "sections">;
  plan: Uint8Array;
  literals: Spool;
  diffs: Spool;
  stored: Spool;
}

/** Writes a delta into `out`, which the caller commits. Equal contents give equal bytes. */
export async function writeDelta(
  out: AtomicFile,
  packed: Spool,
  content: DeltaContent,
): Promise<void> {
  const plan = await pack(packed, once(content.plan), content.plan.length);
  const literals = await pack(packed, content.literals.stream(), content.literals.size);
  const header: DeltaHeader = {
    ...content.header,
    sections: {
      plan: [plan, content.plan.length],
      literals: [literals, content.literals.size],
      diffs: content.diffs.size,
      stored: content.stored.size,
    },
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const preamble = new Uint8Array(PREAMBLE);
  preamble.set(MAGIC);
  new DataView(preamble.buffer).setUint32(MAGIC.length, VERSION, true);
  new DataView(preamble.buffer).setUint32(MAGIC.length + 4, json.length, true);
  const hash = new Sha256();
  const write = async (piece: Uint8Array) => {
    hash.update(piece);
    await out.write(piece);
  };
  await write(preamble);
  await write(json);
  for (const section of [packed, content.diffs, content.stored]) {
    for await (const piece of section.stream()) await write(piece);
  }
  await out.write(hash.digest());
}

/** @returns bytes that were appended */
async function pack(into: Spool, stream: AsyncIterable<Uint8Array>, size: number): Promise<number> {
  const start = into.size;
  if (size === 0) return 0;
  for await (const piece of compressStream("zstd", LITERAL_LEVEL)(stream)) await into.append(piece);
  return into.size - start;
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

function notDelta(path: string): SealiftError {
  return wrong(path, "it is not a delta");
}

function wrong(path: string, what: string): FormatError {
  return new FormatError("DELTA_FORMAT", `${path}: ${what}`, {
    hint: "Name a file that `sealift delta create` has written.",
    details: { file: path },
  });
}
