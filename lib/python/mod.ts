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
export { findTool } from "./resolve/tools.ts";
export { type Interpreter, probePython } from "./runtime/interpreter.ts";
export { markerEnvironment, type MarkerEnvironment } from "./pep/marker.ts";
export { parseRecord } from "./pep/metadata.ts";
export { normaliseName } from "./pep/names.ts";
