/** Python applications: what a project is, and its runtime, dependencies and commands as slots that are ready to run. */
export { type PythonProject, pythonTables, readPyproject } from "./project/project.ts";
export {
  type PythonOptions,
  type PythonReport,
  type StagedPython,
  type StagedPythonSlot,
  stagePython,
} from "./stage.ts";
export type { IndexWishes } from "./project/index-keys.ts";
export { setupAsProject, setupName } from "./project/setup-py.ts";
export { wheelAsProject } from "./project/wheel-file.ts";
export type { PackedPython } from "./application/report.ts";
export type { PythonSource } from "./project/python-table.ts";
export { findTool } from "./resolve/tools.ts";
export { type Interpreter, probePython } from "./runtime/interpreter.ts";
export { markerEnvironment, type MarkerEnvironment } from "./pep/marker.ts";
export { parseRecord } from "./pep/metadata.ts";
export { normaliseName } from "./pep/names.ts";
export { type Distribution, readDistribution } from "./installed/distribution.ts";
export {
  dependencyGraph,
  type Edge,
  type Graph,
  type Installed,
  pathsTo,
} from "./installed/graph.ts";
export { requirementText } from "./pep/requirement.ts";
export { type Elf, isElf, parseElf, readElf } from "./native/elf.ts";
export { isCLibrary } from "./native/libraries.ts";
export { isTargetLibrary } from "./native/native.ts";
