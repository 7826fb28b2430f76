/** Help as data and as text: one sentence, usage, grouped options, examples. Needs no command to be loaded for the overview. */
import type { Arg, Args, Command } from "./command.ts";
import { type CommandTable, isNoun, type Leaf, type Noun } from "./commands.ts";
import { globalArgs } from "./globals.ts";
import { aliasesOf, hintOf, optionsOf, positionalsOf } from "./parse.ts";
import type { View } from "./view.ts";

export interface Help {
  usage: string;
  summary: string;
  description?: string;
  /** Heading → rows of name and explanation. */
  groups: { title: string; rows: { name: string; text: string }[] }[];
  examples: { command: string; text: string }[];
}

const PROGRAM =
  "Seal software into one signed file, lift it across any gap, run it where nothing is installed";

/** `sealift --help` */
export function overview(table: CommandTable): Help {
  return {
    usage: "sealift COMMAND [ARGUMENTS] [OPTIONS]",
    summary: PROGRAM,
    groups: [{ title: "Commands", rows: rowsOf(table) }, globalGroup()],
    examples: [
      { command: "sealift COMMAND --help", text: "Help of one command" },
      { command: "sealift --version --json", text: "Versions of everything inside" },
    ],
  };
}

/** `sealift trust --help` */
export function nounHelp(name: string, noun: Noun): Help {
  return {
    usage: `sealift ${name} COMMAND [ARGUMENTS] [OPTIONS]`,
    summary: noun.summary,
    groups: [{ title: "Commands", rows: rowsOf(noun.verbs) }, globalGroup()],
    examples: [{ command: `sealift ${name} COMMAND --help`, text: "Help of one of them" }],
  };
}

/** `sealift verify --help` */
export function commandHelp(command: Command, summary: string): Help {
  const positionals = positionalsOf(command.args).map(([name, arg]) => placeOf(name, arg));
  const usage = ["sealift", command.name, ...positionals, "[OPTIONS]"];
  if (command.passThrough) usage.push("[-- ARGUMENTS]");
  const argumentRows = positionalsOf(command.args).map(([name, arg]) => ({
    name: (arg.valueHint ?? name).toUpperCase(),
    text: describe(arg),
  }));
  return {
    usage: usage.join(" "),
    summary,
    ...(command.description === undefined ? {} : { description: command.description }),
    groups: [
      ...(argumentRows.length > 0 ? [{ title: "Arguments", rows: argumentRows }] : []),
      ...optionGroups(command.args),
      globalGroup(),
    ],
    examples: command.examples.map(([line, text]) => ({ command: line, text })),
  };
}

export function renderHelp(help: Help, view: View): string {
  const { style } = view;
  const width = Math.max(
    0,
    ...help.groups.flatMap((group) => group.rows.map((row) => Bun.stringWidth(row.name))),
  );
  const blocks = [`${help.summary}.`, `${style.bold("Usage:")} ${help.usage}`];
  if (help.description !== undefined) blocks.push(help.description);
  for (const group of help.groups) {
    const rows = group.rows.map(
      ({ name, text }) =>
        `  ${style.cyan(name)}${" ".repeat(width - Bun.stringWidth(name))}  ${text}`,
    );
    blocks.push([style.bold(`${group.title}:`), ...rows].join("\n"));
  }
  const examples = help.examples.map(({ command, text }) => `  ${command}\n    ${style.dim(text)}`);
  blocks.push([style.bold("Examples:"), ...examples].join("\n"));
  return blocks.join("\n\n");
}

function rowsOf(table: Readonly<Record<string, Leaf | Noun>>): { name: string; text: string }[] {
  return Object.entries(table).map(([name, row]) => {
    const verbs = isNoun(row) ? ` (${Object.keys(row.verbs).join(", ")})` : "";
    const alias = row.alias === undefined ? "" : ` [alias: ${row.alias.join(", ")}]`;
    return { name, text: row.summary + verbs + alias };
  });
}

function optionGroups(args: Args): Help["groups"] {
  const groups = new Map<string, { name: string; text: string }[]>();
  for (const [name, arg] of optionsOf(args)) {
    const title = arg.group ?? "Options";
    groups.set(title, [...(groups.get(title) ?? []), optionRow(name, arg)]);
  }
  return [...groups].map(([title, rows]) => ({ title, rows }));
}

function globalGroup(): Help["groups"][number] {
  return {
    title: "Global options",
    rows: optionsOf(globalArgs).map(([name, arg]) => optionRow(name, arg)),
  };
}

function optionRow(name: string, arg: Arg): { name: string; text: string } {
  const aliases = aliasesOf(arg);
  const short = aliases.find((alias) => alias.length === 1);
  const long = [name, ...aliases.filter((alias) => alias.length > 1)].map((one) => `--${one}`);
  if (arg.type === "boolean" && arg.default === true) long.push(`--no-${name}`);
  const value = arg.type === "boolean" ? "" : ` ${hintOf({ name, arg })}`;
  return {
    name: `${short === undefined ? "    " : `-${short}, `}${long.join(", ")}${value}`,
    text: describe(arg),
  };
}

function describe(arg: Arg): string {
  const notes: string[] = [];
  if (arg.required === true) notes.push("required");
  if (arg.repeat) notes.push("may be repeated");
  if (arg.default !== undefined && arg.type !== "boolean") notes.push(`default: ${arg.default}`);
  return notes.length === 0 ? arg.description : `${arg.description} (${notes.join("; ")})`;
}

function placeOf(name: string, arg: Arg): string {
  const label = (arg.valueHint ?? name).toUpperCase() + (arg.repeat ? "…" : "");
  return arg.required === false || arg.default !== undefined ? `[${label}]` : label;
}
