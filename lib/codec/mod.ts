/** Hashing, deterministic tar, the four compressions, canonical JSON. Everything streams; everything untrusted is bounded. */
export { adler32 } from "./checksum.ts";
export {
  unzstdChunks,
  zstdFileChunks,
  zstdTree,
  type ChunkOptions,
  type ChunkPiece,
} from "./chunks.ts";
export { type Counterpart, describe, type Span } from "./delta/describe.ts";
export { encode, encoderFor, engines, levelsOf } from "./delta/encode.ts";
export { type Encoder, type Op, PlanReader, PlanWriter, type Segment } from "./delta/plan.ts";
export { type DeltaSource, rebuild, type RebuildInput } from "./delta/rebuild.ts";
export { compareNames, parentOf, type EntryType, type TreeEntry } from "./entry.ts";
export { extractTar, type Extracted, type ExtractOptions } from "./extract.ts";
export { Garbage } from "./garbage.ts";
export { gunzipBounded, gzipStored, isGzipStored } from "./gzip.ts";
export {
  Sha256,
  sha256,
  sha256File,
  sha256Hex,
  type ByteRange,
  type HashFileOptions,
} from "./hash.ts";
export { canonicalJson } from "./json.ts";
export { sha256Ranges, type HashRangesOptions } from "./ranges.ts";
export { readTar, type ReadTarOptions, type TarMember } from "./reader.ts";
export { scanTree, type ScanOptions } from "./scan.ts";
export {
  checkLevel,
  compressStream,
  decompressStream,
  LEVELS,
  type Compression,
  type DecompressOptions,
} from "./stream.ts";
export { arrangeTree, tarSize, tarStream } from "./writer.ts";
