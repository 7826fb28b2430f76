/** `sealift.toml`: any program. The tables that a `pyproject.toml` shares with it are read here too. */
import { resolve } from "node:path";

import { checkArchivePath, SealiftError } from "../../base/mod.ts";
import { namedSlots, withoutWorkenv } from "../stage/_placeholder.ts";
import { checkManifest, manifestError, type ManifestText } from "./_issues.ts";
import { compressionOf, platformList, type Project, rootOf, type SlotSpec } from "./project.ts";
import { type ExecutionTable, SealiftManifest, type SetupStep, type SlotTable } from "./schema.ts";

export function loadProgram(document: unknown, where: ManifestText): Project {
  const manifest = checkManifest(SealiftManifest, document, where);
  if (!manifest.execution?.argv && !manifest.execution?.command) {
    throw manifestError(where, ["execution"], "names no program", "Give `argv` or `command`.");
  }
  return {
    kind: "program",
    manifest: where.file,
    root: rootOf(where),
    package: manifest.package as Project["package"],
    ...sharedParts(manifest, where),
  };
}

type RuntimeEnv = NonNullable<ExecutionTable["runtime"]>["env"];
type SharedTables = Omit<SealiftManifest, "package">;
type SharedParts = Omit<Project, "kind" | "manifest" | "root" | "package">;

/** The tables that both kinds of project have, as the parts of a project. */
export function sharedParts(tables: SharedTables, where: ManifestText): SharedParts {
  const slots = (tables.slots ?? []).map((slot, i) => slotSpec(slot, where, i));
  checkIds(slots, where);
  const ids = slots.map((slot) => slot.id);
  const { runtime, ...execution } = tables.execution ?? {};
  const { service } = tables;
  checkRenames(runtime?.env, where);
  const platforms = platformList(tables.platforms, where);
  const compression = compressionOf(tables.compression, undefined, where, ["compression"]);
  return {
    slots,
    setup: (tables.setup ?? []).map((step) => withNamedSlots(step, ids)) as SetupStep[],
    notes: [],
    ...(tables.execution && { execution: withNamedSlots(execution, ids) }),
    ...((runtime ?? service) && { runtime: { ...runtime, ...(service && { service }) } }),
    ...(tables.workenv && { workenv: withNamedSlots(tables.workenv, ids) }),
    ...(platforms && { platforms }),
    ...(compression && { compression }),
    ...(tables.launcher && { launcher: tables.launcher }),
    ...(tables.signing && { key: resolve(rootOf(where), tables.signing.key) }),
  };
}

/** The launcher unsets before it renames, and what it passes on it leaves alone: such a rename would never happen. */
function checkRenames(env: RuntimeEnv, where: ManifestText): void {
  const isAmong = (globs: string[] = [], name: string) =>
    globs.some((glob) => new Bun.Glob(glob).match(name));
  for (const name of Object.keys(env?.map ?? {})) {
    const rule = isAmong(env?.pass, name)
      ? "pass"
      : isAmong(env?.unset, name)
        ? "unset"
        : undefined;
    if (rule === undefined) continue;
    throw manifestError(
      where,
      ["execution", "runtime", "env", "map", name],
      rule === "pass"
        ? "is never renamed, because pass keeps it as it is"
        : "is never renamed, because unset takes it away before",
      `Leave it out of ${rule}, or do not rename it; the old name is gone after a rename.`,
    );
  }
}

function slotSpec(slot: SlotTable, where: ManifestText, index: number): SlotSpec {
  const at = ["slots", index];
  if (slot.target !== undefined && slot.extract_to !== undefined) {
    throw manifestError(where, [...at, "extract_to"], "says the same as target; give one of them");
  }
  const target = slot.target ?? slot.extract_to;
  const compression = compressionOf(slot.compression, slot.compression_level, where, [
    ...at,
    "compression",
  ]);
  return {
    id: slot.id,
    source: slot.source,
    base: rootOf(where),
    ...(target !== undefined && { target: checkTarget(target, where, [...at, "target"]) }),
    into: target?.endsWith("/") ?? false,
    purpose: slot.purpose ?? "payload",
    lifecycle: slot.lifecycle ?? "runtime",
    share: slot.share ?? false,
    ...(slot.include && { include: slot.include }),
    ...(slot.exclude && { exclude: slot.exclude }),
    ...(slot.permissions && { permissions: Number.parseInt(slot.permissions, 8) }),
    ...(slot.platform && { platform: slot.platform }),
    ...(compression && { compression }),
    ...keySourceOf(slot, where, at),
  };
}

/** `encryption` and `key_source` go together, and neither goes with `share`. */
function keySourceOf(
  slot: SlotTable,
  where: ManifestText,
  at: (string | number)[],
): Pick<SlotSpec, "keySource"> {
  const { encryption, key_source: keySource } = slot;
  if (encryption === undefined && keySource === undefined) return {};
  if (encryption === undefined) {
    const hint = 'Add encryption = "aes256", or remove key_source.';
    throw manifestError(where, [...at, "key_source"], "needs encryption", hint);
  }
  if (keySource === undefined) {
    const hint = 'Say where the key comes from: key_source = "env:NAME", "file:PATH" or "prompt".';
    throw manifestError(where, [...at, "encryption"], "needs key_source", hint);
  }
  if (slot.share) {
    throw manifestError(
      where,
      [...at, "share"],
      "contradicts encryption: a shared slot lies open to every package",
      "Remove one of the two.",
    );
  }
  return { keySource };
}

/** A target is confined to the work environment, and never the launcher's own folder. */
export function checkTarget(text: string, where: ManifestText, path: (string | number)[]): string {
  const target = withoutWorkenv(text);
  if (target === "" || target === ".") return "";
  try {
    return checkArchivePath(target, { windows: false });
  } catch (error) {
    if (!(error instanceof SealiftError)) throw error;
    throw manifestError(where, path, `is wrong: ${error.message}`, error.hint);
  }
}

/** An id may stand twice only where no package can hold both: for different platforms. */
function checkIds(slots: SlotSpec[], where: ManifestText): void {
  for (const [i, slot] of slots.entries()) {
    const twin = slots
      .slice(0, i)
      .find(
        (other) =>
          other.id.toLowerCase() === slot.id.toLowerCase() &&
          overlaps(other.platform, slot.platform),
      );
    if (!twin) continue;
    throw manifestError(
      where,
      ["slots", i, "id"],
      `"${slot.id}" is the id of another slot`,
      "Ids differ also when case is ignored, or their slots are for different platforms.",
    );
  }
}

/** Whether one machine can be meant by both; absent means every platform, `linux` both of its architectures. */
function overlaps(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return true;
  return a.startsWith(`${b}_`) || b.startsWith(`${a}_`);
}

/** The same value with `{slot:N}` as `{slot:ID}` in every text of it. */
export function withNamedSlots<T>(value: T, ids: string[]): T {
  if (typeof value === "string") return namedSlots(value, ids) as T;
  if (Array.isArray(value)) return value.map((item) => withNamedSlots(item, ids)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withNamedSlots(item, ids)]),
  ) as T;
}
