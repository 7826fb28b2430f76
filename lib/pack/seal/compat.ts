/**
 * `--compat flavorpack`: a project brought into the subset of the format that the earlier Go and Rust launchers run. Here only
 * what can be said otherwise is changed; what cannot is refused by the writer, which knows the rules of that profile.
 */
import { FormatError, quoteWords } from "../../base/mod.ts";
import { COMPAT_MIN_SLOT } from "../../pspf/mod.ts";
import type { Project } from "../manifest/project.ts";
import type { SetupStep } from "../manifest/schema.ts";
import type { StagedSlot } from "../stage/stage.ts";

/** @throws FormatError `COMPAT_ENV` */
export function compatProject(source: Project, slots: StagedSlot[]): Project {
  const project = withoutSlotNames(source, slots);
  for (const [name, value] of Object.entries(project.execution?.env ?? {})) {
    if (!value.includes("{workenv}") && !value.includes("{slot:")) continue;
    throw new FormatError(
      "COMPAT_ENV",
      `execution.env.${name}: the earlier launchers replace nothing in it`,
      {
        hint: "Let the program find its files from FLAVOR_WORKENV, or pack without --compat.",
      },
    );
  }
  return {
    ...project,
    ...(project.execution && { execution: withoutTwin(project.execution) }),
    setup: project.setup.map(compatStep),
  };
}

/** Without sharing every slot lies at its target, and `{workenv}` is what those launchers do replace. */
function withoutSlotNames(project: Project, slots: StagedSlot[]): Project {
  const places = new Map(slots.map(({ input }) => [input.id, input.target]));
  const filled = (text: string) =>
    text.replace(/\{slot:([^{}]*)\}/g, (whole, id: string) => {
      const target = places.get(id);
      return target === undefined ? whole : ["{workenv}", target].filter(Boolean).join("/");
    });
  const { execution, setup } = project;
  const { argv, command, entries } = execution ?? {};
  return {
    ...project,
    ...(execution && {
      execution: {
        ...execution,
        ...(argv && { argv: argv.map(filled) }),
        ...(command && { command: filled(command) }),
        ...(entries && { entries: mapped(entries, (words) => words.map(filled)) }),
      },
    }),
    setup: setup.map((step) => {
      if (!("command" in step)) return step;
      const { command: words } = step;
      return { ...step, command: typeof words === "string" ? filled(words) : words.map(filled) };
    }),
  };
}

function mapped<T>(table: Record<string, T>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, change(value)]));
}

/** Those launchers start one command. An entry that is the same command under a name says nothing more. */
function withoutTwin(
  execution: NonNullable<Project["execution"]>,
): NonNullable<Project["execution"]> {
  const { entries, ...rest } = execution;
  const others = Object.entries(entries ?? {}).filter(
    ([, argv]) => quoteWords(argv) !== quoteWords(rest.argv ?? []),
  );
  return others.length === 0 ? rest : { ...rest, entries: Object.fromEntries(others) };
}

/** Commands are one text for those launchers. */
function compatStep(step: SetupStep): SetupStep {
  if (!("command" in step) || typeof step.command === "string") return step;
  return { ...step, command: quoteWords(step.command) };
}

/** A slot without what those launchers do not know: sharing, platforms, and stored bytes below what one of them reads unasked. */
export function compatSlot(slot: StagedSlot, notes: string[]): StagedSlot {
  const { input } = slot;
  const { share, platform: _, ...kept } = input;
  if (share)
    notes.push(`slot ${input.id} is not shared: the earlier launchers have no shared slots`);
  const isTiny = kept.operations.length === 0 && contentSize(kept.content) < COMPAT_MIN_SLOT;
  return { ...slot, input: isTiny ? { ...kept, operations: ["gzip"] } : kept };
}

function contentSize(content: StagedSlot["input"]["content"]): number {
  switch (content.kind) {
    case "file":
      return Bun.file(content.path).size;
    case "bytes":
      return content.bytes.length;
    default:
      return Number.POSITIVE_INFINITY;
  }
}
