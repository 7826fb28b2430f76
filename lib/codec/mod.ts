/** Hashing, deterministic tar, the four compressions, canonical JSON. Everything streams; everything untrusted is bounded. */
export { adler32 } from "./checksum.ts";
export {
  unzstdChunks,
  zstdFileChunks,
  zstdTree,
  type ChunkOptions,
  type ChunkPiece,
} from "./chunks.ts";
export { compareNames, parentOf, type EntryType, type TreeEntry } from "./entry.ts";
export { extractTar, type Extracted, type ExtractOptions } from "./extract.ts";
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
