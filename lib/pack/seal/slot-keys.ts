/** The keys of the slots that a project wants encrypted: looked for once, before minutes of work. */
import type { Context } from "../../base/mod.ts";
import {
  keyFiles,
  keyFinder,
  type KeyMaterial,
  keyMaterial,
  type SlotEncryption,
} from "../../pspf/mod.ts";
import type { Project, SlotSpec } from "../manifest/project.ts";

export interface SlotKeyOptions {
  /** `SOURCE` or `SLOT=SOURCE`: where a key is now, instead of where the package will ask for it. */
  sources?: readonly string[];
  /** Asks for a new passphrase; undefined where nobody can be asked. */
  prompt?(question: string): Promise<string | undefined>;
}

export interface SlotKeys {
  /** How a slot is encrypted; undefined for one that is not. */
  of(spec: SlotSpec): SlotEncryption | undefined;
  /** Paths of key files: none of them may go into the package. */
  files: string[];
}

/** Throws `UsageError("KEY_SOURCE")` for an option that names no encrypted slot. */
export function slotKeys(ctx: Context, project: Project, options: SlotKeyOptions = {}): SlotKeys {
  const encrypted = project.slots.filter((spec) => spec.keySource !== undefined);
  const { prompt, sources: instead } = options;
  const places = { env: ctx.env, folder: project.root, prompt, instead };
  const find = keyFinder(
    places,
    encrypted.map(({ id }) => id),
  );
  const found = new Map<SlotSpec, Promise<KeyMaterial>>();
  const look = async (id: string, keySource: string) =>
    keyMaterial(await find({ id, keySource }), keySource);
  const of = (spec: SlotSpec): SlotEncryption | undefined => {
    const { id, keySource } = spec;
    if (keySource === undefined) return undefined;
    const key = () => {
      const known = found.get(spec) ?? look(id, keySource);
      found.set(spec, known);
      return known;
    };
    return { keySource, key };
  };
  const sources = encrypted.map(({ keySource = "" }) => keySource);
  return { of, files: keyFiles(sources, places) };
}
