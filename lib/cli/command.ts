/**
 * How a command is written: one file `lib/cli/commands/<name>.ts` that only wires arguments to one domain call.
 *
 * ```ts
 * export default command({
 *   name: "verify",                                   // "trust add" for a noun with verbs
 *   args: {
 *     file: { type: "positional", description: "The package" },
 *     key: { type: "string", valueHint: "FILE", repeat: true, group: "Trust", description: "Accept this public key" },
 *     strict: { type: "boolean", description: "Warnings are failures" },
 *   },
 *   examples: [
 *     ["sealift verify app.psp", "Check every byte"],
 *     ["sealift verify app.psp --json", "The same for a program"],
 *   ],
 *   data: v.strictObject({ ok: v.boolean(), identity: v.string() }),
 *   run: async (context, args) => await verify(context, args.file, args.key),   // throws SealiftError, prints nothing
 *   render: (data, view) => view.style.green(`${data.identity}: sealed`),       // text for people, without a final newline
 *   exit: (data) => (data.ok ? 0 : 1),                                          // optional; default 0
 * });
 * ```
 *
 * Then one row in `commands.ts`: `verify: { summary: "…", load: () => import("./commands/verify.ts") }`.
 * Global flags, help, `--json` envelope, errors and exit codes come from `run.ts`.
 */
import { type ArgsDef, type CommandDef, defineCommand } from "citty";
import type { GenericSchema, InferOutput } from "valibot";

import type { Context } from "../base/mod.ts";
import type { View } from "./view.ts";

/**
 * citty's definition of one argument, plus `repeat`, `number` and `group`.
 *
 * A positional is required unless `required: false` or `default`; with `repeat` it must be the last and takes the rest.
 * A boolean is false unless `default: true`, which also allows `--no-NAME`.
 */
export interface Arg {
  type: "positional" | "string" | "boolean" | "enum";
  description: string;
  /** Name of the value in `--help`, such as `FILE`. */
  valueHint?: string;
  /** One letter for `-x`, or another long name. */
  alias?: string | readonly string[];
  default?: string | number | boolean;
  required?: boolean;
  /** The allowed values of an `enum` or a positional. */
  options?: readonly string[];
  /** May be given several times; the value is an array, empty when absent (unless `required`). */
  repeat?: boolean;
  /** A whole number ≥ 0; the value is a number. */
  number?: boolean;
  /** Heading in `--help`; default "Options". */
  group?: string;
}
export type Args = Record<string, Arg>;

type One<A extends Arg> = A extends { number: true }
  ? number
  : A extends { options: infer O extends readonly string[] }
    ? O[number]
    : string;

type Present<A extends Arg> = A extends { default: string | number }
  ? true
  : A extends { required: infer R extends boolean }
    ? R
    : A extends { type: "positional" }
      ? true
      : false;

type Value<A extends Arg> = A extends { type: "boolean" }
  ? boolean
  : A extends { repeat: true }
    ? One<A>[]
    : Present<A> extends true
      ? One<A>
      : One<A> | undefined;

/** The parsed values, by the names in the definition (`args["test-command"]`). */
export type Values<A extends Args> = { readonly [K in keyof A]: Value<A[K]> };

/** What a command is given beside its arguments. */
export interface CommandContext extends Context {
  /** `--dry-run`: change no byte. */
  dryRun: boolean;
  /** `--yes`: do not ask. */
  yes: boolean;
  verbose: boolean;
  /** The result goes out as JSON: nothing else may be written to stdout, no program may inherit it. */
  json: boolean;
  /** What follows `--`, as it was typed. */
  rest: string[];
  /** A warning for people, one line on stderr. */
  warn(text: string): void;
  /**
   * Asks before something is lost. `--yes` answers yes; without a terminal it is `UsageError("CONFIRM")`.
   * @returns whether the user agreed
   */
  confirm(question: string): Promise<boolean>;
  /** Asks for a line of text; `--yes` or no terminal takes `fallback`, and without one it is `UsageError("CONFIRM")`. */
  ask(question: string, fallback?: string): Promise<string>;
  /** Asks for a secret that is not shown while it is typed; undefined where there is no terminal to ask. */
  askSecret(question: string): Promise<string | undefined>;
  /** Writes raw bytes to stdout (`-o -`). Refused on a terminal and with `--json`; `render` must then return "". */
  writeOutput(bytes: AsyncIterable<Uint8Array>): Promise<void>;
}

export interface CommandSpec<A extends Args, S extends GenericSchema> {
  /** As it is typed, without `sealift`. */
  name: string;
  /** What `--help` says below the summary: limits, formats, defaults. */
  description?: string;
  args: A;
  /** Command lines that run as printed, each with what it does. At least two. */
  examples: readonly (readonly [commandLine: string, explanation: string])[];
  /** Whether words after `--` are wanted; without it they are an error. */
  passThrough?: boolean;
  /** Shape of the data object; also what `sealift schema NAME` prints. */
  data: S;
  run(context: CommandContext, args: Values<A>): Promise<InferOutput<S>>;
  render(data: InferOutput<S>, view: View): string;
  /** Exit code of a finished command; default 0. Anything else makes the envelope `"ok": false`. */
  exit?(data: InferOutput<S>): number;
}

/** A command with its types erased, as `run.ts` handles it. */
export type Command = Omit<CommandSpec<Args, GenericSchema>, "run" | "render" | "exit"> & {
  /** The same declaration for anything that understands citty. */
  definition: CommandDef;
  run(context: CommandContext, args: Record<string, unknown>): Promise<unknown>;
  render(data: unknown, view: View): string;
  exit(data: unknown): number;
};

/** Declares a command; see the top of this file. */
export function command<const A extends Args, S extends GenericSchema>(
  spec: CommandSpec<A, S>,
): Command {
  return {
    ...spec,
    definition: defineCommand({
      meta: { name: spec.name, ...(spec.description && { description: spec.description }) },
      args: spec.args as unknown as ArgsDef,
    }),
    // The parser produces exactly `Values<A>` from `spec.args`, and only `run` produces the data that `render` and `exit` see.
    run: (context, args) => spec.run(context, args as Values<A>),
    render: (data, view) => spec.render(data as InferOutput<S>, view),
    exit: (data) => spec.exit?.(data as InferOutput<S>) ?? 0,
  };
}

/** `sealift.verify/1`, `sealift.trust.add/1`: what stands in `schema` of a command's JSON. */
export function schemaName(name: string): string {
  return `sealift.${name.replaceAll(" ", ".")}/1`;
}
