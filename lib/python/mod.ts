/** Python applications: what a project is, and its runtime, dependencies and commands as slots that are ready to run. */
export { PYTHON_KEYS, type PythonProject, readPyproject } from "./project/project.ts";
export {
  type PythonOptions,
  type PythonReport,
  type StagedPython,
  type StagedPythonSlot,
  stagePython,
} from "./stage.ts";
export { findTool } from "./resolve/tools.ts";
export { type Interpreter, probePython } from "./runtime/interpreter.ts";
