/** Which command a line means: the first words that are neither global options nor their values. */
import { suggest, UsageError } from "../base/mod.ts";
import { type CommandTable, isNoun, type Leaf, type Noun } from "./commands.ts";
import { globalArgs } from "./globals.ts";

export type Found =
  | { kind: "program"; words: string[] }
  | { kind: "noun"; name: string; noun: Noun; words: string[] }
  | { kind: "command"; leaf: Leaf; words: string[] };

/** `words` without the name of the command; `help NAME` is the same as `NAME --help`. Throws `UsageError("COMMAND_UNKNOWN")`. */
export function find(head: readonly string[], table: CommandTable): Found {
  const words = [...head];
  let name = takeName(words);
  if (name === "help") {
    words.push("--help");
    name = takeName(words);
  }
  if (name === undefined) return { kind: "program", words };
  const row = resolve(name, table, "sealift");
  if (!isNoun(row)) return { kind: "command", leaf: row, words };
  const verb = takeName(words);
  if (verb === undefined) return { kind: "noun", name, noun: row, words };
  return { kind: "command", leaf: resolve(verb, row.verbs, `sealift ${name}`), words };
}

/** Removes and returns the first word that is not an option. Options before the command are global ones. */
function takeName(words: string[]): string | undefined {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (!word.startsWith("-")) return words.splice(i, 1)[0];
    if (takesValue(word)) i++;
  }
  return undefined;
}

function takesValue(word: string): boolean {
  const arg = (globalArgs as Record<string, { type: string }>)[word.replace(/^--/, "")];
  return word.startsWith("--") && arg !== undefined && arg.type !== "boolean";
}

function resolve<T extends Leaf | Noun>(
  name: string,
  table: Readonly<Record<string, T>>,
  place: string,
): T {
  if (Object.hasOwn(table, name)) return table[name] as T;
  for (const row of Object.values(table)) {
    if (row.alias?.includes(name)) return row;
  }
  const names = Object.entries(table).flatMap(([one, row]) => [one, ...(row.alias ?? [])]);
  const near = suggest(name, names);
  throw new UsageError("COMMAND_UNKNOWN", `There is no command \`${place} ${name.slice(0, 80)}\``, {
    hint: near === undefined ? `See \`${place} --help\`.` : `Did you mean \`${place} ${near}\`?`,
    details: { command: name.slice(0, 80) },
  });
}
