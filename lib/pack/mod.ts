/** Project → package: manifests, staging, sealing, and what is done with a finished package. The face of the room. */
export { type Demo, DEMOS, makeDemo } from "./demo/demo.ts";
export { detectProject, type Detected, writeManifest } from "./manifest/init.ts";
export { type Judged, judgePackage, type JudgeOptions } from "./seal/judge.ts";
export { loadProject } from "./manifest/load.ts";
export type { PackedOutput, PackedSlot, PackOptions, PackReport } from "./options.ts";
export { packProject } from "./pack.ts";
export type { Project } from "./manifest/project.ts";
export { pyprojectShape } from "./manifest/pyproject.ts";
export { SealiftManifest } from "./manifest/schema.ts";
export { planStart, type StartPlan } from "./start.ts";
