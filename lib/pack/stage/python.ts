/** The parts of a Python application beside what the project itself says: its slots, commands and preparation. */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";

import { type Context, FormatError } from "../../base/mod.ts";
import type { SlotInput } from "../../pspf/mod.ts";
import type { PackedPython, PythonOptions, StagedPython } from "../../python/mod.ts";
import type { Project } from "../manifest/project.ts";
import { isIdentifier, withUnset } from "../manifest/pyproject.ts";
import { addNotes, type PackReport } from "../options.ts";
import type { CompressionChoice } from "./compression.ts";
import { stagedInput, type StagedSlot } from "./stage.ts";

export interface PythonScope {
  options: Omit<PythonOptions, "scratch" | "hasProgram">;
  scratch: string;
  compression: CompressionChoice;
  interpreterCompression: CompressionChoice;
  /** Learns the version, and what was resolved. */
  report: PackReport;
}

/** The project and its slots as they are, or with everything that Python adds. */
export async function addPython(
  ctx: Context,
  project: Project,
  own: StagedSlot[],
  scope: PythonScope,
): Promise<{ project: Project; slots: StagedSlot[]; python?: PackedPython }> {
  if (project.python === undefined) return { project, slots: own };
  const { stagePython } = await import("../../python/mod.ts");
  const { checkBase } = await import("../../workenv/mod.ts");
  // What lies in the cache is run and packed, so nobody else may have put it there.
  checkBase(ctx.cacheDir);
  const scratch = await mkdtemp(join(scope.scratch, "python-"));
  const staged = await stagePython(ctx, project.python, {
    ...scope.options,
    scratch,
    hasProgram: project.execution?.argv !== undefined || project.execution?.command !== undefined,
  });
  refuseTwins(staged, own);
  addNotes(scope.report, staged.report.notes);
  scope.report.version = staged.version;
  // Of several packages the first one stands for all: they differ in their interpreters, which each output names.
  scope.report.python ??= staged.report;
  const added = staged.slots.map((slot) =>
    stagedInput(
      compressed(
        slot,
        slot.purpose === "runtime" ? scope.interpreterCompression : scope.compression,
      ),
    ),
  );
  const { python: packed } = staged.report;
  return { project: merged(project, staged), slots: [...added, ...own], python: packed };
}

function refuseTwins(staged: StagedPython, own: StagedSlot[]): void {
  const taken = staged.slots.map((slot) => slot.id as string);
  const twin = own.find(({ input }) => taken.includes(input.id.toLowerCase()));
  if (!twin) return;
  throw new FormatError(
    "SLOT_ID",
    `Slot ${twin.input.id}: a Python application has a slot of this name already`,
    {
      hint: `Choose another id than ${taken.join(", ")}.`,
    },
  );
}

type Described = Omit<SlotInput, "operations" | "level">;

function compressed(slot: Described, { algorithm, level }: CompressionChoice): SlotInput {
  return {
    ...slot,
    operations: algorithm === "none" ? ["tar"] : ["tar", algorithm],
    ...(level !== undefined && { level }),
  };
}

/** What the project says itself comes before what was found. */
function merged(project: Project, staged: StagedPython): Project {
  const { argv, command, entries, env } = project.execution ?? {};
  const main = argv ? { argv } : command ? { command } : { argv: staged.execution.argv };
  return {
    ...project,
    package: {
      ...(isIdentifier(staged.license) && { license: staged.license }),
      ...project.package,
      version: staged.version,
    },
    execution: {
      ...main,
      entries: { ...staged.execution.entries, ...entries },
      ...(env && { env }),
    },
    runtime: withUnset(project.runtime, staged.runtime.env.unset),
    setup: [...staged.setup, ...project.setup],
    dependencyHash: staged.report.dependencyHash,
    ...(staged.report.sourceHash !== undefined && { sourceHash: staged.report.sourceHash }),
  };
}
