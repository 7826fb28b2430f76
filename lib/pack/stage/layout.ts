/**
 * Where the slots of one package land, and whether that works: nothing lies on top of something else, every placeholder
 * names a slot, and every program that a command starts from the package is in it and executable.
 * All of this would otherwise be found by the user at the first start.
 */
import { checkArchivePath, FormatError, splitWords, suggest } from "../../base/mod.ts";
import { parentOf } from "../../codec/mod.ts";
import type { Platform } from "../../launcher/mod.ts";
import type { Project } from "../manifest/project.ts";
import type { SetupStep } from "../manifest/schema.ts";
import { slotNames, withoutWorkenv } from "./_placeholder.ts";
import type { Member, StagedSlot } from "./stage.ts";

/** Where a launcher puts a slot: each place is a folder of its own. */
type Place = "workenv" | "store" | "data" | "run";

function placeOf({ input }: StagedSlot): Place {
  if (input.share) return "store";
  if (input.lifecycle === "config" || input.lifecycle === "persistent") return "data";
  return input.lifecycle === "temp" || input.lifecycle === "temporary" ? "run" : "workenv";
}

/** Paths below a place, with what stands there. */
type Tree = Map<string, { member: Member; slot: string }>;

export interface CheckedLayout {
  /** Programs of the target machine that the commands start, for example `/bin/sh`. */
  hostPrograms: string[];
}

type Commands = Pick<Project, "execution" | "runtime" | "workenv" | "setup">;

/** @throws FormatError `SLOT_COLLISION`, `SERVICE_ENTRY`, `PLACEHOLDER`, `PROGRAM_MISSING`, `PROGRAM_MODE`, `SETUP_PATH` */
export function checkLayout(
  project: Commands,
  slots: StagedSlot[],
  platform: Platform,
): CheckedLayout {
  const places = new Map<Place, Tree>();
  const windows = platform.startsWith("windows");
  if (windows) for (const slot of slots) checkWindowsNames(slot);
  for (const slot of slots) if (placeOf(slot) !== "store") addToPlace(places, slot);
  checkPlaceholders(project, slots);
  checkServiceEntries(project);
  for (const step of project.setup) checkSetup(step);
  const hostPrograms = new Set<string>();
  const scope: Scope = {
    slots,
    workenv: places.get("workenv") ?? new Map(),
    setup: project.setup,
    windows,
  };
  for (const words of commandsOf(project)) {
    const host = checkProgram(words[0] as string, scope);
    if (host) hostPrograms.add(host);
  }
  return { hostPrograms: [...hostPrograms].sort() };
}

/** The launcher refuses names that Windows reserves; a file slot without a target goes by its id. */
function checkWindowsNames({ input, members }: StagedSlot): void {
  for (const { path, type } of members) {
    const name = [input.target, path].filter((part) => part !== "").join("/");
    if (name !== "" || type === "file") checkArchivePath(name || input.id, { windows: true });
  }
}

/** Every command of the program, split into words. */
export function commandsOf({ execution }: Commands): string[][] {
  if (!execution) return [];
  const main = execution.argv ?? splitWords(execution.command ?? "");
  if (main.length === 0 || main[0] === "") {
    throw new FormatError("COMMAND_EMPTY", "execution names no program", {
      hint: "Give `argv` or `command`.",
    });
  }
  return [main, ...Object.values(execution.entries ?? {})];
}

function addToPlace(places: Map<Place, Tree>, slot: StagedSlot): void {
  const place = placeOf(slot);
  const tree: Tree = places.get(place) ?? new Map();
  places.set(place, tree);
  for (const member of slot.members) {
    const path = [slot.input.target, member.path].filter((part) => part !== "").join("/");
    for (let up = parentOf(path); up !== ""; up = parentOf(up)) {
      put(tree, up, { path: up, type: "directory", mode: 0o755 }, slot.input.id);
    }
    if (path !== "") put(tree, path, member, slot.input.id);
  }
}

function put(tree: Tree, path: string, member: Member, slot: string): void {
  const key = path.toLowerCase();
  if (key === ".sealift" || key.startsWith(".sealift/")) {
    throw new FormatError(
      "PATH_RESERVED",
      `Slot ${slot}: ${path} lies in .sealift, which belongs to the launcher`,
      {
        hint: "Choose another target, or leave that folder out with `exclude`.",
      },
    );
  }
  const there = tree.get(key);
  if (there === undefined) {
    tree.set(key, { member: { ...member, path }, slot });
    return;
  }
  const bothFolders = there.member.type === "directory" && member.type === "directory";
  if (bothFolders && there.member.path === path) return;
  // Within one slot the archive's own rules speak.
  if (there.slot === slot) return;
  throw new FormatError("SLOT_COLLISION", `Slots ${there.slot} and ${slot} both bring ${path}`, {
    hint: "Give one of them another target; names that differ only in case count as equal.",
    details: { path, slots: [there.slot, slot] },
  });
}

function checkPlaceholders(project: Commands, slots: StagedSlot[]): void {
  const ids = slots.map(({ input }) => input.id);
  const { execution, runtime, workenv, setup } = project;
  for (const [key, part] of Object.entries({ execution, runtime, workenv, setup })) {
    for (const name of allTexts(part).flatMap(slotNames)) {
      if (ids.includes(name)) continue;
      const meant = suggest(name, ids);
      throw new FormatError("PLACEHOLDER", `${key}: {slot:${name}} names no slot of this package`, {
        hint: meant ? `Did you mean {slot:${meant}}?` : `Slots: ${ids.join(", ") || "none"}.`,
        details: { placeholder: `{slot:${name}}` },
      });
    }
  }
}

function checkServiceEntries({ execution, runtime }: Commands): void {
  const known = Object.keys(execution?.entries ?? {});
  const unknown = runtime?.service?.entries?.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const meant = suggest(unknown, known);
  throw new FormatError("SERVICE_ENTRY", `service.entries: there is no entry ${unknown}`, {
    hint: meant ? `Did you mean ${meant}?` : `Entries: ${known.join(", ") || "none"}.`,
    details: { entry: unknown },
  });
}

function allTexts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(allTexts);
}

/** Commands can be split, and files that setup writes or changes are inside the work environment. */
function checkSetup(step: SetupStep): void {
  if (step.type !== "write_file" && step.type !== "chmod") {
    if (typeof step.command === "string") splitWords(step.command);
    return;
  }
  const path = withoutWorkenv(step.path);
  const outside =
    path === "" ||
    path.startsWith("/") ||
    /^[A-Za-z]:/.test(path) ||
    path.split(/[/\\]/).includes("..");
  if (!outside && !path.startsWith(".sealift") && !path.startsWith("{")) return;
  throw new FormatError(
    "SETUP_PATH",
    `setup: ${step.type}: ${step.path} is not a path inside the work environment`,
    {
      hint: "Write {workenv}/… ; the folder .sealift belongs to the launcher.",
    },
  );
}

interface Scope {
  slots: StagedSlot[];
  workenv: Tree;
  setup: SetupStep[];
  /** It asks for no execute bit, and finds programs without their ending. */
  windows: boolean;
}

/** @returns the word, when the program is not part of the package */
function checkProgram(word: string, scope: Scope): string | undefined {
  const { slots, workenv, setup, windows } = scope;
  const shared = /^\{slot:([^{}]*)\}(?:\/(.*))?$/.exec(word);
  if (shared) {
    const slot = slots.find(({ input }) => input.id === shared[1]) as StagedSlot;
    const tree: Tree = new Map(
      slot.members.map((member) => [member.path.toLowerCase(), { member, slot: slot.input.id }]),
    );
    checkExecutable(word, normal(shared[2] ?? ""), tree, windows);
  } else if (word.startsWith("{workenv}")) {
    const path = normal(withoutWorkenv(word));
    // A setup command may make the program; then nothing can be said here.
    const made = setup.some(
      (step) => step.type === "execute" || step.type === "enumerate_and_execute",
    );
    const written = setup.some(
      (step) => "path" in step && normal(withoutWorkenv(step.path)) === path,
    );
    if (!made && !written) checkExecutable(word, path, workenv, windows);
  } else if (word.startsWith("{")) {
    checkFirstPlaceholder(word);
  } else if (!find(workenv, `bin/${word}`, windows)) {
    // A bare name is looked for in {workenv}/bin first.
    return word;
  }
  return undefined;
}

/** Words in braces may be anything in an argument, but a program's path begins with one that the launcher fills in. */
function checkFirstPlaceholder(word: string): void {
  const known = ["workenv", "package_name", "version", "self"];
  const name = /^\{([^{}]*)\}/.exec(word)?.[1];
  if (name !== undefined && (known.includes(name) || name.startsWith("slot:"))) return;
  const meant = suggest(name ?? "", known);
  throw new FormatError("PLACEHOLDER", `${word}: the program begins with an unknown placeholder`, {
    hint: meant
      ? `Did you mean {${meant}}?`
      : "The path of a program in the package begins with {workenv}/ or {slot:ID}.",
    details: { program: word },
  });
}

/** `a//b/./c` → `a/b/c` */
function normal(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

function checkExecutable(word: string, path: string, tree: Tree, windows: boolean): void {
  const found = find(tree, path, windows);
  if (found === "outside") return;
  if (found?.type !== "file" && found?.type !== "hardlink") {
    const names = [...tree.values()].map(({ member }) => member.path);
    const meant =
      suggest(path, names) ??
      names.find((name) => name.split("/").at(-1) === path.split("/").at(-1));
    throw new FormatError("PROGRAM_MISSING", `${word}: no slot brings this program`, {
      hint: meant
        ? `Did you mean ${word.replace(path, meant)}?`
        : "Check the targets of the slots.",
      details: { program: word },
    });
  }
  if (!windows && (found.mode & 0o111) === 0) {
    throw new FormatError(
      "PROGRAM_MODE",
      `${word}: is packed with mode 0${found.mode.toString(8)} and cannot be executed`,
      {
        hint: 'Give its slot permissions = "0755", or make the file executable.',
        details: { program: word },
      },
    );
  }
}

/** As the launcher finds a program: on Windows its ending may be left out. */
function find(tree: Tree, path: string, windows: boolean): Member | "outside" | undefined {
  for (const ending of windows ? ["", ".com", ".exe", ".bat", ".cmd"] : [""]) {
    const found = follow(tree, `${path}${ending}`);
    if (found !== undefined && (found === "outside" || found.type !== "directory")) return found;
  }
  return undefined;
}

/** What a path leads to, through symbolic links; "outside" when a link leaves the tree. */
function follow(tree: Tree, path: string, hops = 0): Member | "outside" | undefined {
  if (hops > 40) return undefined;
  const parts = path.split("/");
  for (let length = 1; length <= parts.length; length++) {
    const at = parts.slice(0, length).join("/");
    const member = tree.get(at.toLowerCase())?.member;
    if (member?.type !== "symlink") continue;
    const target = resolveLink(parentOf(at), member.link ?? "");
    if (target === undefined) return "outside";
    return follow(
      tree,
      [target, ...parts.slice(length)].filter((part) => part !== "").join("/"),
      hops + 1,
    );
  }
  return tree.get(path.toLowerCase())?.member;
}

function resolveLink(folder: string, link: string): string | undefined {
  if (link.startsWith("/")) return undefined;
  const parts = folder === "" ? [] : folder.split("/");
  for (const part of link.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
