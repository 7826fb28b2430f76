/** Project → package: manifests, staging, sealing, and what is done with a finished package. The face of the room. */
export { type Comparison, comparePackages, GROUPS as COMPARED_GROUPS } from "./compare/compare.ts";
export { type AppliedDelta, applyDelta, type ApplyOptions } from "./delta/apply.ts";
export { createDelta, type CreatedDelta, type CreateOptions } from "./delta/create.ts";
export { type DeltaInfo, inspectDelta } from "./delta/inspect.ts";
export { type Demo, DEMOS, makeDemo } from "./demo/demo.ts";
export { detectProject, type Detected, writeManifest } from "./manifest/init.ts";
export { type JudgedRelease, judgeRelease } from "./release/judge.ts";
export { readRelease, RELEASE_ENDING } from "./release/manifest.ts";
export { type Judged, judgePackage, type JudgeOptions } from "./seal/judge.ts";
export { loadProject } from "./manifest/load.ts";
export type { PackedOutput, PackedSlot, PackOptions, PackReport } from "./options.ts";
export { packProject } from "./pack.ts";
export type * from "./report/report.ts";
export type { Project } from "./manifest/project.ts";
export { pyprojectShape } from "./manifest/pyproject.ts";
export { SealiftManifest } from "./manifest/schema.ts";
export { planStart, type StartPlan } from "./start.ts";

/** Reports about finished packages; see `report/report.ts`. */
export const loadReports = () => import("./report/report.ts");
