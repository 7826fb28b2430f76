/** The keys of the slots that a project wants encrypted: looked for once, before minutes of work. */
import type { Context } from "../../base/mod.ts";
import { keyFinder, type KeyMaterial, keyMaterial, type SlotEncryption } from "../../pspf/mod.ts";
import type { Project, SlotSpec } from "../manifest/project.ts";

export interface SlotKeyOptions {
  /** `SOURCE` or `SLOT=SOURCE`: where a key is now, instead of where the package will ask for it. */
  sources?: readonly string[];
  /** Asks for a new passphrase; undefined where nobody can be asked. */
  prompt?(question: string): Promise<string | undefined>;
}

/** How each slot is encrypted; undefined for one that is not. */
export type SlotKeys = (spec: SlotSpec) => SlotEncryption | undefined;

/** Throws `UsageError("KEY_SOURCE")` for an option that names no encrypted slot. */
export function slotKeys(ctx: Context, project: Project, options: SlotKeyOptions = {}): SlotKeys {
  const { env } = ctx;
  const ids = project.slots.filter((spec) => spec.keySource !== undefined).map(({ id }) => id);
  const places = { env, folder: project.root, prompt: options.prompt, instead: options.sources };
  const find = keyFinder(places, ids);
  const found = new Map<SlotSpec, Promise<KeyMaterial>>();
  const look = async (id: string, keySource: string) =>
    keyMaterial(await find({ id, keySource }), keySource);
  return (spec) => {
    const { id, keySource } = spec;
    if (keySource === undefined) return undefined;
    const key = () => {
      const known = found.get(spec) ?? look(id, keySource);
      found.set(spec, known);
      return known;
    };
    return { keySource, key };
  };
}
