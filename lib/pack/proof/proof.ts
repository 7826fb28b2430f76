/**
 * Everything that is proven about a package before its key signs. The first check that says no throws its CheckError; what passed
 * is told in words.
 */
import type { Context } from "../../base/mod.ts";
import { CheckError } from "../../base/mod.ts";
import { hostPlatform } from "../../launcher/mod.ts";
import type { Project } from "../manifest/project.ts";
import type { StagedSlot } from "../stage/stage.ts";
import { checkImports } from "./imports.ts";
import type { NativeReport } from "./native.ts";
import { checkStructure } from "./structure.ts";
import type { Trial } from "./trial.ts";

export interface Proven {
  name: "structure" | "libraries" | "imports" | "test";
  detail: string;
}

export interface Proof {
  checks: Proven[];
  /** What the author should know, and no reason not to sign. */
  notes: string[];
}

export interface Subject {
  project: Project;
  slots: StagedSlot[];
  platform: string;
  native: NativeReport | undefined;
}

/** `--validate-before-sign`. @throws CheckError `PACK_…` */
export async function provePackage(ctx: Context, subject: Subject, trial: Trial): Promise<Proof> {
  const { slots, native, project, platform } = subject;
  ctx.progress.step("Validating the package before it is signed");
  await checkStructure(ctx, trial.draft, slots);
  const proof: Proof = {
    checks: [{ name: "structure", detail: `${plural(slots.length, "slot")} as their sources` }],
    notes: [],
  };
  if (native !== undefined) proof.checks.push(checkLibraries(native));
  if (project.kind !== "python") return proof;
  proof.notes.push(...(await unmetRequirements(trial.draft)));
  if (platform !== hostPlatform()) {
    proof.notes.push(
      `${platform}: imports were not tried, because its interpreter does not run here`,
    );
    return proof;
  }
  ctx.progress.step("Importing the commands of the package");
  const imports = await checkImports(ctx, trial);
  if (imports === undefined) return proof;
  const { commands, modules, optional, notes } = imports;
  const absent = optional.length === 0 ? "" : `; optional and absent: ${shortened(optional)}`;
  const detail = `${commands.join(", ")} import; ${plural(modules, "module")} reachable${absent}`;
  proof.checks.push({ name: "imports", detail });
  proof.notes.push(...notes);
  return proof;
}

/** @throws CheckError `PACK_LIBRARY` */
function checkLibraries({ missing, files, fromTarget }: NativeReport): Proven {
  const [first] = missing;
  if (first === undefined) {
    const rest = fromTarget.length === 0 ? "" : `; the target must have ${fromTarget.join(", ")}`;
    return {
      name: "libraries",
      detail: `${plural(files, "native file")} find what they need${rest}`,
    };
  }
  const others = [...new Set(missing.map(({ library }) => library))].filter(
    (name) => name !== first.library,
  );
  throw new CheckError(
    "PACK_LIBRARY",
    `Slot ${first.slot}: ${first.path} needs ${first.library}, which is not in the package`,
    {
      hint: `Pack the library too, or leave the file out with exclude.${others.length > 0 ? ` Missing too: ${shortened(others)}.` : ""}`,
      details: { missing: missing.slice(0, 100) },
    },
  );
}

async function unmetRequirements(draft: string): Promise<string[]> {
  const { dependencyReport } = await import("../report/dependencies.ts");
  return (await dependencyReport(draft)).report.problems;
}

const SHOWN = 12;

function shortened(names: string[]): string {
  const rest = names.length - SHOWN;
  return names.slice(0, SHOWN).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function plural(n: number, one: string): string {
  return `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;
}
