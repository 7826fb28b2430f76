/**
 * The subset of the format that the earlier Go and Rust launchers run (`pack --compat flavorpack`).
 *
 * Where those launchers would misread, ignore or crash, the writer says so and names the rule, instead of writing a package that
 * fails elsewhere. The rules are facts about those launchers.
 */
import { posix } from "node:path";

import { FormatError, quoted } from "../base/mod.ts";
import { parentOf, type TreeEntry } from "../codec/mod.ts";
import { type CheckedSlot, type Manifest, wrong } from "./input.ts";
import type { SealedMetadata } from "./metadata.ts";
import { isObject } from "./normalize.ts";
import { formatOperations } from "./operations.ts";

/** Below this a slot's stored bytes make the Go launcher panic. */
export const COMPAT_MIN_SLOT = 16;
/** The Rust launcher gunzips at most this many bytes of metadata to verify it. */
export const COMPAT_MAX_JSON = 1 << 20;

const OPERATIONS = new Set(["none", "tar", "gzip", "tgz"]);
/** What those launchers do at the first start with any label, is right for these. */
const LIFECYCLES = new Set(["runtime", "eager", "cache"]);
const SETUP_TYPES = new Set(["execute", "enumerate_and_execute", "write_file"]);
/** Words are split by one launcher at spaces only, by the other like a shell: they agree on these. */
const PLAIN_WORD = /^[^\s"'\\]+$/;

/** Slots rewritten where that keeps their meaning: trees go to the root under their target, hard links become files. */
export function compatSlots(slots: readonly CheckedSlot[]): CheckedSlot[] {
  return slots.map((slot) => {
    if (slot.content.kind !== "tree") return slot;
    const entries = withoutHardLinks(slot, slot.content.entries).map((entry) =>
      slot.target === "" ? entry : { ...entry, path: `${slot.target}/${entry.path}` },
    );
    return { ...slot, target: "", content: { kind: "tree", entries } };
  });
}

function withoutHardLinks(slot: CheckedSlot, entries: readonly TreeEntry[]): TreeEntry[] {
  const files = new Map(entries.map((entry) => [entry.path, entry]));
  return entries.map((entry) => {
    if (entry.type !== "hardlink") return entry;
    const original = files.get(entry.link ?? "");
    if (original?.type === "file") return { ...original, path: entry.path };
    throw rule("hard-link", slot, `${entry.path} is a hard link to no file of the tree`);
  });
}

/** Throws `FormatError("COMPAT_…")` for the first rule that the package breaks. */
export function checkCompat(manifest: Manifest, slots: readonly CheckedSlot[]): void {
  slots.forEach(checkSlot);
  checkExecution(manifest, slots);
  for (const [i, step] of (manifest.setup_commands ?? []).entries()) checkSetup(step, i);
  if (manifest.runtime?.service !== undefined) {
    throw broken("SERVICE", "runtime.service", "those launchers know no services");
  }
  if (Object.keys(manifest.workenv?.env ?? {}).length > 0) {
    throw broken("WORKENV_ENV", "workenv.env", "the Go launcher ignores it", "Use execution.env.");
  }
}

function checkSlot(slot: CheckedSlot): void {
  if (slot.encryption !== undefined) {
    throw rule("encryption", slot, "those launchers cannot decrypt it");
  }
  const operations = formatOperations(slot.operations);
  if (!OPERATIONS.has(operations)) {
    throw rule("operations", slot, `operations ${operations} are not none, tar, gzip or tgz`);
  }
  if (slot.operations[0] === "tar" && slot.target !== "") {
    throw rule("tar-target", slot, "a tar slot's target must be the root of the work environment");
  }
  if (!LIFECYCLES.has(slot.lifecycle)) {
    throw rule("lifecycle", slot, `lifecycle ${slot.lifecycle} has no effect there`);
  }
  if (slot.platform !== undefined) {
    throw rule("platform", slot, "a slot for one platform is extracted on all of them there");
  }
  if (slot.content.kind === "tree") checkCompatTree(slot, slot.content.entries);
}

/** The Go launcher drops hard links, copies what a symbolic link points to, and fails for folders and for links to nothing. */
export function checkCompatTree(slot: CheckedSlot, entries: readonly TreeEntry[]): void {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const entry of entries) {
    if (entry.type === "hardlink") throw rule("hard-link", slot, `${entry.path} is a hard link`);
    if (entry.type !== "symlink" || resolveLink(entry, byPath)?.type === "file") continue;
    throw rule("symlink", slot, `${entry.path} is a symbolic link to no file of the slot`);
  }
}

function resolveLink(from: TreeEntry, entries: Map<string, TreeEntry>): TreeEntry | undefined {
  let entry: TreeEntry | undefined = from;
  for (let hops = 0; entry?.type === "symlink" && hops < 40; hops++) {
    entry = entries.get(posix.join(parentOf(entry.path), entry.link ?? ""));
  }
  return entry;
}

function checkExecution(manifest: Manifest, slots: readonly CheckedSlot[]): void {
  const { entries } = manifest.execution;
  if (Object.keys(entries ?? {}).length > 0) {
    throw broken("ENTRIES", "execution.entries", "those launchers start one command only");
  }
  const words = commandWords(manifest);
  if (words.length === 0) throw broken("COMMAND", "execution.command", "is empty");
  words.forEach((word) => checkWord(word, "execution.command"));
  checkProgram(words[0] as string, manifest, slots);
}

function commandWords({ execution }: Manifest): string[] {
  return execution.argv ?? (execution.command ?? "").split(" ").filter((word) => word !== "");
}

/** The manifest with its command as plain words: one of those launchers takes quotes for characters. */
export function compatManifest(manifest: Manifest): Manifest {
  const command = commandWords(manifest).join(" ");
  return { ...manifest, execution: { ...manifest.execution, command } };
}

function checkWord(word: string, field: string): void {
  if (!PLAIN_WORD.test(word)) {
    throw broken("QUOTES", field, `${quoted(word)} holds a space, a quote or a backslash`);
  }
  if (word.includes("{slot:")) {
    throw broken("PLACEHOLDER", field, `${word}: {slot:…} does not work in those launchers`);
  }
}

/** They look a program up by its base name in PATH, whose first folder is `{workenv}/bin`. */
function checkProgram(program: string, manifest: Manifest, slots: readonly CheckedSlot[]): void {
  const name = /^\{workenv\}\/bin\/([^/{}]+)$/.exec(program)?.[1];
  if (name === undefined) {
    if (!program.includes("{") && (!program.includes("/") || program.startsWith("/"))) return;
    const says = `${program} cannot be found by its base name in {workenv}/bin`;
    throw broken("PROGRAM", "execution.command", says, "Put it there: {workenv}/bin/NAME.");
  }
  const isMadeBySetup = (manifest.setup_commands ?? []).length > 0;
  const isOpaque = slots.some(
    (slot) => slot.operations[0] === "tar" && slot.content.kind !== "tree",
  );
  if (isMadeBySetup || isOpaque || slots.some((slot) => provides(slot, `bin/${name}`))) return;
  throw broken("PROGRAM", "execution.command", `no slot brings ${program}`);
}

function provides(slot: CheckedSlot, path: string): boolean {
  if (slot.content.kind !== "tree") return slot.target === path;
  return slot.content.entries.some((entry) => entry.path === path);
}

function checkSetup(step: unknown, i: number): void {
  const field = `setup_commands.${i}`;
  if (!isObject(step) || !SETUP_TYPES.has(String(step.type))) {
    const says = "must be an object of type execute, enumerate_and_execute or write_file";
    throw broken("SETUP", field, says);
  }
  if (step.type === "write_file") return;
  if (typeof step.command !== "string") {
    throw broken("SETUP", `${field}.command`, "must be one string");
  }
  step.command.split(" ").forEach((word) => word && checkWord(word, `${field}.command`));
}

/** The document without the keys of the sealed profile, as those readers parse it. Throws `FormatError("COMPAT_…")`. */
export function compatDocument(sealed: SealedMetadata): Record<string, unknown> {
  const { seal: _, ...rest } = sealed;
  const document = { ...rest, slots: sealed.slots.map(compatSlot) };
  const size = new TextEncoder().encode(JSON.stringify(document)).length;
  if (size >= COMPAT_MAX_JSON) {
    throw broken(
      "METADATA",
      "the metadata",
      `has ${size} bytes and may have ${COMPAT_MAX_JSON - 1}`,
    );
  }
  return document;
}

function compatSlot(slot: SealedMetadata["slots"][number]): Record<string, unknown> {
  if (slot.size < COMPAT_MIN_SLOT) {
    throw rule("size", slot, `${slot.size} stored bytes are too few for the Go launcher; use gzip`);
  }
  const { original_size: _, share: __, ...rest } = slot;
  return { ...rest, target: slot.target === "" ? "{workenv}" : slot.target };
}

function rule(name: string, slot: { id: string }, detail: string): FormatError {
  const code = `COMPAT_${name.replace("-", "_").toUpperCase()}`;
  return wrong(code, slot, `${detail} (flavorpack compatibility)`);
}

function broken(name: string, field: string, detail: string, hint?: string): FormatError {
  return new FormatError(`COMPAT_${name}`, `${field}: ${detail} (flavorpack compatibility)`, {
    hint: hint ?? "Change the manifest, or pack without `--compat flavorpack`.",
    details: { field },
  });
}
