/** What `openPackage` gives back: a package of any dialect, checked, with its file still open. */
import type { IndexBlock, Signature } from "./block.ts";
import type { Layout } from "./derive.ts";
import type { Descriptor } from "./descriptor.ts";
import type { PackageFile } from "./file.ts";
import type { Range } from "./layout.ts";
import type { Metadata, SlotMetadata } from "./metadata.ts";
import type { Operation } from "./operations.ts";
import type { Problem } from "./problem.ts";
import type { FindKey } from "./secret/source.ts";

export interface PackageSlot {
  index: number;
  id: string;
  /** Relative to the work environment, `""` = its root. */
  target: string;
  /** The chain of the descriptor, in packing order. */
  operations: Operation[];
  /** Stored bytes. */
  size: number;
  /** Bytes after every decompression; absent where the writer did not promise it. */
  originalSize?: number;
  lifecycle: string;
  purpose: string;
  platform?: string;
  share: boolean;
  /** Mode bits of a file slot; 0600 where nothing sensible is said. */
  permissions: number;
  /** SHA-256 of the stored bytes from the signed JSON, 64 hex digits. */
  checksum?: string;
  chunks?: Array<[number, number]>;
  /** Where the stored bytes lie. */
  region: Range;
  metadata: SlotMetadata;
  descriptor: Descriptor;
}

export interface Package {
  path: string;
  /** Length of the file. */
  size: number;
  index: IndexBlock;
  /** The signed bytes, as they stand in the file. */
  json: Uint8Array;
  metadata: Metadata;
  slots: PackageSlot[];
  /** Whether it is of the sealed profile. */
  sealed: boolean;
  /** SHA-256 of `json`, 64 hex digits. */
  identity: string;
  /** Raw keys of the signer and the co-signers whose signatures hold. */
  signers: Uint8Array[];
  /** All signatures of the file, the first one at the front. */
  signatures: Signature[];
  /** Where the file's regions lie. */
  layout: Layout;
  /** What a lenient reader let pass, in the order it was found. */
  problems: Problem[];
  file: PackageFile;
  /** Finds the keys of encrypted slots; without it they cannot be decoded. */
  findKey?: FindKey;
  close(): Promise<void>;
}
