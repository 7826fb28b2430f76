import { printable, type View } from "../view.ts";
import type { Head } from "./head.ts";

/** The commands of a package: what each starts, and how it is chosen. */
export function renderCommands({ execution, name }: Head, view: View): string {
  const { argv, command, entries } = execution;
  const main = argv?.join(" ") ?? command ?? "";
  const rows = Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([entry, words]) => [
      view.style.bold(printable(entry)),
      printable(words.join(" ")),
      entry !== name && words.join(" ") === main ? "the default too" : "",
    ]);
  return [
    view.table([[view.style.bold("(default)"), printable(main), ""], ...rows]),
    ...(rows.length === 0
      ? []
      : ["Choose one with SEALIFT_ENTRY=NAME, or start the package by a link of that name."]),
  ].join("\n");
}
