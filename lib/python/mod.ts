/** Python applications: what a project is, and its runtime, dependencies and commands as slots that are ready to run. */
export { type Elf, isElf, parseElf, readElf } from "./elf.ts";
export { type MarkerEnvironment, evaluateMarker } from "./marker.ts";
export { isProjectName, normaliseName } from "./names.ts";
export { PYTHON_KEYS, type PythonProject, readPyproject } from "./project.ts";
export {
  type PythonOptions,
  type PythonReport,
  type StagedPython,
  type StagedPythonSlot,
  stagePython,
} from "./stage.ts";
export { chooseWheel, compatibleTags, parseWheelName, platformTags, rankTags } from "./tags.ts";
export { findTool, type Tool, type ToolName } from "./tools.ts";
export { type Interpreter, probePython } from "./interpreter.ts";
