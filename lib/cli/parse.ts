/**
 * Words of a command line → values. Strict: an unknown, repeated or valueless option is an error that names the nearest
 * one; nothing is guessed. `--` must have been cut off before.
 */
import { quoted, suggest, UsageError } from "../base/mod.ts";
import type { Arg, Args } from "./command.ts";

export interface Parsed {
  /** By the name in the definition; every defined name is present, absent ones hold their default or `undefined`. */
  values: Record<string, unknown>;
  positionals: string[];
}

interface Word {
  /** As typed, for messages: `--out`, `-o`. */
  flag: string;
  name: string;
  arg: Arg;
  negated: boolean;
}

/** Reads `words` by `args`. Throws `UsageError` with codes `OPTION_…`. Positionals are collected, not yet named. */
export function parseOptions(words: readonly string[], args: Args): Parsed {
  const values: Record<string, unknown> = {};
  const positionals: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word);
      continue;
    }
    const { flags, value } = splitWord(word, args);
    for (const [k, flag] of flags.entries()) {
      const option = lookUp(flag, args);
      if (option.arg.type === "boolean") {
        if (value !== undefined && k === flags.length - 1) throw valueRefused(option, value);
        values[option.name] = !option.negated;
      } else {
        const text = value ?? takeValue(words, ++i, option);
        assign(values, option, text);
      }
    }
  }
  return { values: withDefaults(values, args), positionals };
}

/** Gives positionals their names. Throws `UsageError`: `ARGUMENT_MISSING`, `ARGUMENT_EXTRA`, `OPTION_VALUE`. */
export function namePositionals(parsed: Parsed, args: Args): Record<string, unknown> {
  const values = { ...parsed.values };
  const left = [...parsed.positionals];
  for (const [name, arg] of positionalsOf(args)) {
    const label = (arg.valueHint ?? name).toUpperCase();
    if (arg.repeat) {
      if (left.length === 0 && arg.required !== false) throw missing(label);
      values[name] = left.splice(0).map((text) => convert(text, label, arg));
      continue;
    }
    const text = left.shift();
    if (text !== undefined) values[name] = convert(text, label, arg);
    else if (arg.default !== undefined) values[name] = arg.default;
    else if (arg.required !== false) throw missing(label);
  }
  if (left.length > 0) {
    throw new UsageError(
      "ARGUMENT_EXTRA",
      `There is no place for the argument ${quoted(left[0] ?? "")}`,
      {
        hint: "Quote a value that holds spaces; words for another program go after `--`.",
      },
    );
  }
  return values;
}

export function positionalsOf(args: Args): [string, Arg][] {
  return Object.entries(args).filter(([, arg]) => arg.type === "positional");
}

export function optionsOf(args: Args): [string, Arg][] {
  return Object.entries(args).filter(([, arg]) => arg.type !== "positional");
}

export function aliasesOf(arg: Arg): readonly string[] {
  return arg.alias === undefined ? [] : typeof arg.alias === "string" ? [arg.alias] : arg.alias;
}

/** `--out=x` → `--out`, `x`; `-qy` → `-q`, `-y`; `-ofile` → `-o`, `file`. */
function splitWord(word: string, args: Args): { flags: string[]; value?: string } {
  const equals = word.indexOf("=");
  const [head, tail] =
    equals === -1 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)];
  const value = tail === undefined ? {} : { value: tail };
  if (head.startsWith("--") || head.length === 2) return { flags: [head], ...value };
  const flags: string[] = [];
  for (const [k, letter] of [...word.slice(1)].entries()) {
    flags.push(`-${letter}`);
    const rest = word.slice(2 + k);
    if (lookUp(`-${letter}`, args, word).arg.type === "boolean" || rest === "") continue;
    return { flags, value: rest.startsWith("=") ? rest.slice(1) : rest };
  }
  return { flags, ...value };
}

function lookUp(flag: string, args: Args, word = flag): Word {
  const long = flag.startsWith("--");
  const key = flag.slice(long ? 2 : 1);
  for (const [name, arg] of optionsOf(args)) {
    const names = [name, ...aliasesOf(arg)].filter((n) => long === n.length > 1);
    if (names.includes(key)) return { flag, name, arg, negated: false };
    if (long && arg.type === "boolean" && arg.default === true && key === `no-${name}`) {
      return { flag, name, arg, negated: true };
    }
  }
  throw unknownOption(word, args);
}

function takeValue(words: readonly string[], index: number, option: Word): string {
  const value = words[index];
  // `-` alone is a value (standard input or output); anything else with a dash is more likely a forgotten value.
  if (value !== undefined && (value === "-" || !value.startsWith("-"))) return value;
  const hint =
    value === undefined
      ? `Write ${option.flag} ${hintOf(option)}.`
      : `If ${quoted(value)} is the value, write ${option.flag}=${value}.`;
  throw new UsageError("OPTION_VALUE", `${option.flag} needs a value`, { hint });
}

function assign(values: Record<string, unknown>, option: Word, text: string): void {
  const value = convert(text, option.flag, option.arg);
  const before = values[option.name];
  if (option.arg.repeat) {
    values[option.name] = [...((before as unknown[] | undefined) ?? []), value];
  } else if (before === undefined) {
    values[option.name] = value;
  } else {
    throw new UsageError("OPTION_REPEATED", `${option.flag} may be given only once`, {
      hint: "Remove one of them.",
    });
  }
}

function convert(text: string, label: string, arg: Arg): string | number {
  if (text === "") {
    throw new UsageError("OPTION_VALUE", `${label} must not be empty`, {
      hint: "Give a value or leave it out.",
    });
  }
  if (arg.options !== undefined && !arg.options.includes(text)) {
    const near = suggest(text, arg.options);
    throw new UsageError("OPTION_VALUE", `${label} cannot be ${quoted(text)}`, {
      hint: `${near === undefined ? "" : `Did you mean ${near}? `}It is one of: ${arg.options.join(", ")}.`,
    });
  }
  if (!arg.number) return text;
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new UsageError("OPTION_VALUE", `${label} cannot be ${quoted(text)}`, {
    hint: "It is a whole number, 0 or more.",
  });
}

function withDefaults(values: Record<string, unknown>, args: Args): Record<string, unknown> {
  for (const [name, arg] of optionsOf(args)) {
    if (values[name] !== undefined) continue;
    if (arg.required) {
      throw new UsageError("OPTION_MISSING", `--${name} is required`, {
        hint: `Write --${name} ${hintOf({ name, arg })}.`,
      });
    }
    values[name] = arg.type === "boolean" ? (arg.default ?? false) : arg.repeat ? [] : arg.default;
  }
  return values;
}

/** The name of an option's value in help and messages. */
export function hintOf({ name, arg }: { name: string; arg: Arg }): string {
  return arg.valueHint ?? arg.options?.join("|") ?? (arg.number ? "N" : name.toUpperCase());
}

function unknownOption(word: string, args: Args): UsageError {
  const typed = word.split("=")[0] ?? word;
  const known = optionsOf(args).flatMap(([name, arg]) => [name, ...aliasesOf(arg)]);
  const near = suggest(
    typed,
    known.filter((name) => name.length > 1).map((name) => `--${name}`),
  );
  return new UsageError("OPTION_UNKNOWN", `There is no option ${typed}`, {
    hint:
      near === undefined
        ? "See `--help`; put words for another program after `--`."
        : `Did you mean ${near}?`,
    details: { option: typed },
  });
}

function valueRefused(option: Word, value: string): UsageError {
  return new UsageError(
    "OPTION_VALUE",
    `${option.flag} takes no value, and ${quoted(value)} was given`,
    {
      hint: `Write ${option.flag} alone.`,
    },
  );
}

function missing(label: string): UsageError {
  return new UsageError("ARGUMENT_MISSING", `The argument ${label} is missing`, {
    hint: "See `--help`.",
  });
}
