/** The conformance cases that travel inside the program. */

import cli from "../../../test/conformance/cases/cli.json";
import dialect from "../../../test/conformance/cases/dialect.json";
import encryption from "../../../test/conformance/cases/encryption.json";
import environment from "../../../test/conformance/cases/environment.json";
import hostile from "../../../test/conformance/cases/hostile.json";
import lifecycle from "../../../test/conformance/cases/lifecycle.json";
import place from "../../../test/conformance/cases/place.json";
import program from "../../../test/conformance/cases/program.json";
import seal from "../../../test/conformance/cases/seal.json";
import service from "../../../test/conformance/cases/service.json";
import setup from "../../../test/conformance/cases/setup.json";
import trust from "../../../test/conformance/cases/trust.json";
import unpack from "../../../test/conformance/cases/unpack.json";
import type { Case } from "./case.ts";
import { readCases } from "./runner.ts";

const FILES = {
  cli,
  dialect,
  encryption,
  environment,
  hostile,
  lifecycle,
  place,
  program,
  seal,
  service,
  setup,
  trust,
  unpack,
};

export interface CaseGroup {
  name: string;
  about: string;
  cases: Case[];
}

/** Every group of cases, by the name of its file. */
export function caseGroups(): CaseGroup[] {
  return Object.entries(FILES).map(([name, document]) => ({ name, ...readCases(document) }));
}
