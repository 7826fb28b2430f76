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
export { type Marker } from "./ready.ts";
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
export { measure } from "./tree.ts";
export { type Difference, type Verification, verifyEnvironment } from "./verify.ts";
export { cleanToolFolders, type ToolFolder } from "./tool.ts";
