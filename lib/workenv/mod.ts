/** The cache that the launchers fill: work environments and shared slots. */
export {
  type Cache,
  findEnvironment,
  readCache,
  type SharedSlot,
  type State,
  type WorkEnvironment,
} from "./cache.ts";
export { compareContents, type Comparison } from "./compare.ts";
export { type Lock, takeLock } from "./lock.ts";
export { type Marker, type Ready, type ReadyFile } from "./ready.ts";
export {
  type Candidate,
  cleanCache,
  type CleanOptions,
  type Kept,
  type Outcome,
  type Reason,
  removeEnvironment,
} from "./remove.ts";
export { checkBase } from "./safety.ts";
export { measure, removeTree } from "./tree.ts";
export { type Difference, type Verification, verifyEnvironment } from "./verify.ts";
export { cleanToolFolders, readToolFolders, type ToolFolder } from "./tool.ts";
