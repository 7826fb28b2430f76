/**
 * JSON manifests of the earlier Go and Rust builders. Their union is accepted; what either of them dropped without a word is
 * kept, and what would have made a broken package is an error. Slot numbers that do not match, `$SELF` and shapes that
 * do not fit were the builders' quiet failures.
 */
import { dirname, join } from "node:path";

import * as v from "valibot";

import { checkArchivePath, FormatError } from "../../base/mod.ts";
import {
  isEncrypted,
  type Lifecycle,
  LIFECYCLE_NAMES,
  parseJson,
  parseOperations,
} from "../../pspf/mod.ts";
import { checkManifest, manifestError, type ManifestText } from "./_issues.ts";
import { checkTarget, withNamedSlots } from "./program.ts";
import type { Project, SlotSpec } from "./project.ts";
import { PackageName, PackageVersion, SetupStep, WorkenvTable } from "./schema.ts";

const Strings = v.record(v.string(), v.string());
/** The Go builder writes `null` for what is not there. */
const maybe = <S extends v.GenericSchema>(schema: S) => v.optional(v.nullable(schema));

const LegacySlot = v.looseObject({
  slot: v.optional(v.number()),
  id: v.pipe(v.string(), v.nonEmpty("must not be empty")),
  source: v.pipe(v.string(), v.nonEmpty("must not be empty")),
  target: v.pipe(v.string(), v.nonEmpty("must not be empty")),
  operations: maybe(v.string()),
  purpose: maybe(v.string()),
  lifecycle: maybe(v.string()),
  permissions: maybe(v.string()),
});

const LegacyManifest = v.looseObject({
  format: v.optional(v.literal("PSPF/2025")),
  package: v.looseObject({
    name: PackageName,
    version: PackageVersion,
    description: maybe(v.string()),
  }),
  execution: v.looseObject({
    command: v.pipe(v.string(), v.nonEmpty("must not be empty")),
    env: maybe(Strings),
    environment: maybe(Strings),
  }),
  slots: maybe(v.array(LegacySlot)),
  setup_commands: maybe(v.array(v.unknown())),
  runtime: maybe(
    v.looseObject({
      env: maybe(
        v.strictObject({
          pass: maybe(v.array(v.string())),
          unset: maybe(v.array(v.string())),
          map: maybe(Strings),
          set: maybe(Strings),
        }),
      ),
    }),
  ),
  workenv: maybe(v.looseObject({ directories: maybe(v.array(v.unknown())), env: maybe(Strings) })),
});
type LegacyManifest = v.InferOutput<typeof LegacyManifest>;
type LegacySlot = v.InferOutput<typeof LegacySlot>;

const KNOWN = ["format", "package", "execution", "slots", "setup_commands", "runtime", "workenv"];
const WITHOUT_EFFECT = ["cache_validation", "launcher"];

/** Reads a JSON manifest. `FLAVOR_WORKENV_BASE` moves the folder that `{workenv}` means in a slot's source. */
export function loadLegacy(
  bytes: Uint8Array,
  file: string,
  env: Record<string, string | undefined>,
): Project {
  const where: ManifestText = { file };
  const manifest = checkManifest(LegacyManifest, parse(bytes, file), where);
  const base = dirname(file);
  const slots = (manifest.slots ?? []).map((slot, i) =>
    slotSpec(slot, i, { where, base, workenv: env.FLAVOR_WORKENV_BASE ?? base }),
  );
  checkUnique(slots, where);
  const ids = slots.map((slot) => slot.id);
  const runtimeEnv = present(manifest.runtime?.env ?? {});
  const workenv = workenvTable(manifest, where);
  const description = manifest.package.description ?? undefined;
  return {
    kind: "legacy",
    manifest: file,
    root: base,
    package: {
      name: manifest.package.name,
      version: manifest.package.version,
      ...(description !== undefined && { description }),
    },
    execution: {
      command: withNamedSlots(manifest.execution.command, ids),
      env: { ...manifest.execution.environment, ...manifest.execution.env },
    },
    ...(Object.keys(runtimeEnv).length > 0 && { runtime: { env: runtimeEnv } }),
    ...(workenv && { workenv }),
    setup: (manifest.setup_commands ?? []).map((step, i) =>
      withNamedSlots(setupStep(step, i, where), ids),
    ),
    slots,
    notes: notesOf(manifest),
  };
}

function parse(bytes: Uint8Array, file: string): unknown {
  try {
    return parseJson(bytes);
  } catch (error) {
    throw new FormatError("MANIFEST_JSON", `${file}: ${(error as Error).message}`, {
      hint: "Correct the file; a JSON manifest has no comments and no trailing commas.",
    });
  }
}

function notesOf(manifest: LegacyManifest): string[] {
  return Object.keys(manifest)
    .filter((key) => !KNOWN.includes(key))
    .map((key) =>
      WITHOUT_EFFECT.includes(key)
        ? `${key} has no effect: the launcher checks the whole work environment itself`
        : `${key} is not a key of this manifest and was ignored`,
    );
}

interface Place {
  where: ManifestText;
  base: string;
  workenv: string;
}

function slotSpec(slot: LegacySlot, index: number, { where, base, workenv }: Place): SlotSpec {
  const at = ["slots", index];
  if (slot.slot !== undefined && slot.slot !== index) {
    throw manifestError(
      where,
      [...at, "slot"],
      `is ${slot.slot}, and this is slot ${index}`,
      "Number the slots 0, 1, 2 … in their order.",
    );
  }
  if (slot.source === "$SELF") {
    throw manifestError(
      where,
      [...at, "source"],
      "is $SELF, which no package can hold: its bytes would have to contain themselves",
      "The running program finds its package in SEALIFT_SELF, and `{self}` in a command stands for it.",
    );
  }
  const inWorkenv = slot.source === "{workenv}" || slot.source.startsWith("{workenv}/");
  return {
    id: checkId(slot.id, where, [...at, "id"]),
    source: inWorkenv ? slot.source.slice("{workenv}/".length) || "." : slot.source,
    base: inWorkenv ? workenv : base,
    target: checkTarget(slot.target, where, [...at, "target"]),
    into: false,
    purpose: slot.purpose || "data",
    lifecycle: lifecycleOf(slot.lifecycle || "runtime", where, [...at, "lifecycle"]),
    permissions: modeOf(slot.permissions || "0600", where, [...at, "permissions"]),
    share: false,
    operations: operationsOf(slot.operations ?? "", where, [...at, "operations"]),
  };
}

function checkId(id: string, where: ManifestText, path: (string | number)[]): string {
  const result = v.safeParse(PackageName, id);
  if (result.success) return id;
  throw manifestError(where, path, result.issues[0].message);
}

function checkUnique(slots: SlotSpec[], where: ManifestText): void {
  const seen = new Set<string>();
  for (const [i, { id }] of slots.entries()) {
    if (seen.has(id.toLowerCase())) {
      throw manifestError(
        where,
        ["slots", i, "id"],
        `"${id}" is the id of another slot`,
        "Ids differ, also when case is ignored.",
      );
    }
    seen.add(id.toLowerCase());
  }
}

function lifecycleOf(text: string, where: ManifestText, path: (string | number)[]): Lifecycle {
  if (text === "cached") return "cache";
  const found = LIFECYCLE_NAMES.find((name) => name === text);
  if (found) return found;
  throw manifestError(
    where,
    path,
    `is "${text}", which is no lifecycle`,
    `Lifecycles: ${LIFECYCLE_NAMES.join(", ")}.`,
  );
}

function modeOf(text: string, where: ManifestText, path: (string | number)[]): number {
  const digits = /^(?:0o?)?([0-7]{3})$/.exec(text)?.[1];
  if (digits === undefined)
    throw manifestError(where, path, `is "${text}", not octal text such as "0755"`);
  return Number.parseInt(digits, 8);
}

function operationsOf(text: string, where: ManifestText, path: (string | number)[]) {
  const chain = parsed(text, where, path);
  if (!isEncrypted(chain)) return chain;
  throw manifestError(
    where,
    path,
    "asks for encryption, and this manifest has no place for its key",
    'Write the slot into a sealift.toml with encryption = "aes256" and key_source.',
  );
}

function parsed(text: string, where: ManifestText, path: (string | number)[]) {
  try {
    return parseOperations(text);
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    throw manifestError(where, path, `is wrong: ${message}`, hint);
  }
}

/** Every shape that one of the earlier launchers ran, as the one that ours run. */
function setupStep(step: unknown, index: number, where: ManifestText): SetupStep {
  const at = ["setup_commands", index];
  if (typeof step === "string") return { type: "execute", command: step };
  const shape = { ...(step as Record<string, unknown>) };
  if (shape.type === "enumerate_and_execute" && shape.enumerate === undefined) {
    shape.enumerate = { path: shape.path ?? "{workenv}", pattern: shape.pattern ?? "*" };
    delete shape.path;
    delete shape.pattern;
  }
  // The Go launcher read a JSON number as decimal: 493 is 0755.
  if (typeof shape.mode === "number") shape.mode = `0${shape.mode.toString(8)}`;
  if (shape.type === "chmod" && shape.mode === undefined) shape.mode = "0700";
  return checkManifest(SetupStep, shape, { ...where, at });
}

function workenvTable(manifest: LegacyManifest, where: ManifestText): WorkenvTable | undefined {
  if (!manifest.workenv) return undefined;
  const { directories, env } = present(manifest.workenv);
  const shape = {
    ...(directories !== undefined && { directories }),
    ...(env !== undefined && { env }),
  };
  return checkManifest(WorkenvTable, shape, { ...where, at: ["workenv"] });
}

/** The object without keys that hold null. */
function present<T extends object>(value: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== null && item !== undefined),
  ) as { [K in keyof T]: NonNullable<T[K]> };
}

/** Where the contents of a pre-made archive go: the earlier launchers unpack it into the parent of its target. */
export function archiveTarget(target: string): string {
  const slash = target.lastIndexOf("/");
  return slash < 0 ? "" : checkArchivePath(target.slice(0, slash), { windows: false });
}
