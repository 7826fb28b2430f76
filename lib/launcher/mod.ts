export {
  embeddedLauncher,
  launcherVersion,
  listLaunchers,
  type Launcher,
  type LauncherInfo,
} from "./embedded.ts";
export { hostPlatform, parsePlatform, type Platform, PLATFORMS } from "./platform.ts";
export {
  allTargets,
  type BuiltStub,
  buildStub,
  missingFor,
  sourceDigest,
  type StubLanguage,
  stubName,
  type StubTarget,
} from "./recipe.ts";
export { type CaseGroup, caseGroups } from "./conformance/cases.ts";
export { type CaseResult, runCase } from "./conformance/runner.ts";
export {
  starterFor,
  type StubResult,
  type SuiteOptions,
  testLaunchers,
} from "./conformance/suite.ts";
