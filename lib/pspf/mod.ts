/** PSPF/2025: read every dialect, write the sealed profile, verify, extract, sign. The face of the room. */
export type { IndexBlock, Signature } from "./block.ts";
export { COMPAT_MIN_SLOT } from "./compat.ts";
export { type LauncherInput } from "./compose.ts";
export type { Coverage, CoverageRange } from "./coverage.ts";
export { decodedSlot } from "./decode.ts";
export { type Descriptor, type Lifecycle, LIFECYCLE_NAMES } from "./descriptor.ts";
export {
  extractAll,
  extractSlot,
  type Extracted,
  type ExtractOptions,
  placeById,
  placeOf,
} from "./extract.ts";
export { PackageFile } from "./file.ts";
export type { Manifest, SlotContent, SlotInput } from "./input.ts";
export { type Range, TRAILER_SIZE } from "./layout.ts";
export {
  type Metadata,
  metadataSchema,
  NAME_PATTERN,
  PLATFORM_PATTERN,
  type SealedMetadata,
  type SlotMetadata,
  VERSION_PATTERN,
} from "./metadata.ts";
export {
  compressionsOf,
  formatOperations,
  isEncrypted,
  type Operation,
  packChain,
  parseOperations,
  unpackChain,
} from "./operations.ts";
export type { Package, PackageSlot } from "./package.ts";
export type { Problem, ProblemCode } from "./problem.ts";
export { endsLikePackage } from "./probe.ts";
export { openPackage, type OpenOptions } from "./reader.ts";
export { keyMaterial, type KeyMaterial, type SlotEncryption } from "./secret/key.ts";
export { type Encryption, isKeySource } from "./secret/parameters.ts";
export { type FindKey, keyFiles, keyFinder, type KeyPlaces } from "./secret/source.ts";
export { type Service, serviceSchema } from "./service.ts";
export { signPackage, type Signed, type SignOptions } from "./sign.ts";
export { storedSlot } from "./stored.ts";
export { type Check, type Verdict, verifyPackage, type VerifyOptions } from "./verify.ts";
export type { SlotMemory, SlotTree } from "./stage.ts";
export { writePackage, type WriteOptions, type Written } from "./writer.ts";
export { parseJson } from "./json.ts";
