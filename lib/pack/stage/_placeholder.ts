/**
 * Words in braces that the launcher replaces (contract section 7). `{slot:N}` counts the slots of the manifest; since a
 * package for one platform may leave some out, it is turned into `{slot:ID}`, which means the same everywhere.
 */

const SLOT = /\{slot:([^{}]*)\}/g;

/** What every `{slot:…}` in `text` names. */
export function slotNames(text: string): string[] {
  return [...text.matchAll(SLOT)].map((match) => match[1] ?? "");
}

/** `{slot:0}` → `{slot:<id of the first slot>}`; a number without a slot stays, to be reported where it stands. */
export function namedSlots(text: string, ids: readonly string[]): string {
  return text.replace(SLOT, (whole, name: string) => {
    const id = /^\d+$/.test(name) ? ids[Number(name)] : undefined;
    return id === undefined ? whole : `{slot:${id}}`;
  });
}

/** The path below `{workenv}` that a text means: `{workenv}/a` and `a` are both `a`, `{workenv}` is the root. */
export function withoutWorkenv(text: string): string {
  if (text === "{workenv}") return "";
  return text.startsWith("{workenv}/") ? text.slice("{workenv}/".length) : text;
}
