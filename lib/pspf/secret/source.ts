/** Where the key of an encrypted slot comes from on this machine: a variable, a file, or a person. */
import { join, resolve } from "node:path";

import {
  EnvironmentError,
  quoted,
  readFileBounded,
  SealiftError,
  UsageError,
} from "../../base/mod.ts";
import { MAX_KEY_TEXT } from "./key.ts";
import { isKeySource } from "./parameters.ts";

/** Gives what the source of a slot's key holds, as it is. Throws `EnvironmentError("KEY_MISSING")`. */
export type FindKey = (slot: { id: string; keySource: string }) => Promise<Uint8Array>;

export interface KeyPlaces {
  env: Record<string, string | undefined>;
  /** What a relative `file:PATH` is relative to: the folder of the package, or of the manifest when it is packed. */
  folder: string;
  /** Asks for a passphrase; undefined where nobody can be asked. */
  prompt?: ((question: string) => Promise<string | undefined>) | undefined;
  /** `SOURCE` for every slot or `SLOT=SOURCE` for one, instead of what the package says; paths are relative to the current folder. */
  instead?: readonly string[] | undefined;
}

interface Source {
  text: string;
  folder: string;
}

/** Throws `UsageError("KEY_SOURCE")` for one of `instead` that is no source, or names a slot that `slots` does not have. */
export function keyFinder(places: KeyPlaces, slots: readonly string[]): FindKey {
  const instead = new Map((places.instead ?? []).map((option) => readOption(option, slots)));
  return async ({ id, keySource }) => {
    const given = instead.get(id) ?? instead.get("");
    const source: Source =
      given === undefined
        ? { text: keySource, folder: places.folder }
        : { text: given, folder: process.cwd() };
    const bytes = await contentOf(source, id, places);
    if (bytes.length === 0) throw missing(id, source.text, "it is empty or not set");
    return bytes;
  };
}

/** The slot, or "" for all of them, and the source. */
function readOption(option: string, slots: readonly string[]): [string, string] {
  const [, slot = "", source = ""] = /^(?:([A-Za-z0-9][\w.-]*)=)?(.*)$/s.exec(option) ?? [];
  if (!isKeySource(source)) {
    throw new UsageError("KEY_SOURCE", `${quoted(option)} names no source of a key`, {
      hint: "Write env:NAME, file:PATH or prompt, with SLOT= in front for one slot.",
    });
  }
  if (slot !== "" && !slots.includes(slot)) {
    throw new UsageError("KEY_SOURCE", `There is no encrypted slot ${quoted(slot)}`, {
      hint: `Encrypted slots: ${slots.join(", ") || "none"}.`,
    });
  }
  return [slot, source];
}

async function contentOf(source: Source, id: string, places: KeyPlaces): Promise<Uint8Array> {
  const [kind, rest] = [source.text.split(":", 1)[0], source.text.replace(/^\w+:/, "")];
  if (kind === "env") return new TextEncoder().encode(places.env[rest] ?? "");
  if (kind === "file") return await fileContent(rest, source, id, places.env);
  const typed = await places.prompt?.(`Passphrase of slot ${id}`);
  if (typed === undefined) throw missing(id, source.text, "there is no terminal to ask for it");
  return new TextEncoder().encode(typed);
}

async function fileContent(
  path: string,
  source: Source,
  id: string,
  env: KeyPlaces["env"],
): Promise<Uint8Array> {
  try {
    return await readFileBounded(keyFile(path, source.folder, env), MAX_KEY_TEXT);
  } catch (error) {
    if (!(error instanceof SealiftError)) throw error;
    throw missing(id, source.text, error.message);
  }
}

/** The file that `file:PATH` means. */
function keyFile(path: string, folder: string, env: KeyPlaces["env"]): string {
  const home = env.HOME || env.USERPROFILE || "";
  return path.startsWith("~/") ? join(home, path.slice(2)) : resolve(folder, path);
}

/** The files that key sources name, by absolute path. */
export function keyFiles(sources: readonly string[], places: KeyPlaces): string[] {
  const { env, folder, instead = [] } = places;
  const given = instead.map((option) => option.replace(/^[A-Za-z0-9][\w.-]*=/, ""));
  return [
    ...sources.map((source) => ({ source, folder })),
    ...given.map((source) => ({ source, folder: process.cwd() })),
  ]
    .filter(({ source }) => source.startsWith("file:"))
    .map(({ source, folder: base }) => keyFile(source.slice("file:".length), base, env));
}

function missing(slot: string, source: string, detail: string): EnvironmentError {
  return new EnvironmentError(
    "KEY_MISSING",
    `Slot ${slot} is encrypted and its key (${source}) is missing: ${detail}`,
    {
      hint: "Give the key there, or name another place with --key-source.",
      details: { slot, key_source: source },
    },
  );
}
