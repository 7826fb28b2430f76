/**
 * Whether the commands of a Python application import. The packed interpreter itself answers, in the environment that the package makes on
 * its first start and without a network: imports.py reads which modules the commands reach, and imports each command as its start does.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

import * as v from "valibot";

import { CheckError, type Context } from "../../base/mod.ts";
import type { Project } from "../manifest/project.ts";
import program from "./imports.py" with { type: "text" };
import { isTimeout, runTrial, type Trial } from "./trial.ts";

const Missing = v.object({
  name: v.string(),
  /** Module that imports it. */
  by: v.string(),
  line: v.number(),
  /** hard: runs when the module is imported; late: in a function; soft: guarded. */
  kind: v.picklist(["hard", "soft", "late"]),
  /** start: importing a command runs it. */
  level: v.picklist(["start", "later"]),
  /** Of the application, not of a dependency. */
  own: v.boolean(),
});
type Missing = v.InferOutput<typeof Missing>;

const Answer = v.object({
  modules: v.number(),
  missing: v.array(Missing),
  errors: v.record(v.string(), v.nullable(v.string())),
});

export interface ImportReport {
  commands: string[];
  /** Modules beyond the standard library that the commands can reach. */
  modules: number;
  /** Top-level modules that something imports when it finds them or when it is used, and that are not in the package. */
  optional: string[];
  notes: string[];
}

/** All commands together: each is given two minutes by imports.py. */
const LIMIT_MS = 900_000;

/**
 * @returns undefined when no command starts a Python of the package
 * @throws CheckError `PACK_ENTRY` for a command that does not import, `PACK_IMPORT` for a module of the application that cannot be imported
 */
export async function checkImports(ctx: Context, trial: Trial): Promise<ImportReport | undefined> {
  const starts = pythonStarts(trial.project);
  if (starts.length === 0) return undefined;
  const report: ImportReport = { commands: [], modules: 0, optional: [], notes: [] };
  for (const { interpreter, targets } of starts) {
    const answer = await ask(ctx, trial, interpreter, [...targets.keys()]);
    judge(answer, targets);
    report.commands.push(...targets.values());
    report.modules += answer.modules;
    report.notes.push(...lateNotes(answer.missing));
    report.optional.push(...answer.missing.map(({ name }) => name.split(".")[0] ?? ""));
  }
  // What begins with an underscore belongs to an interpreter, not to a package.
  report.optional = [...new Set(report.optional)].filter((name) => !name.startsWith("_")).sort();
  return report;
}

/** Commands that one interpreter starts: its words, and script or module → name of the command. */
interface Start {
  interpreter: string[];
  targets: Map<string, string>;
}

function pythonStarts({ package: { name }, execution }: Project): Start[] {
  const commands = new Map<string, string[]>();
  if (execution?.argv !== undefined) commands.set(name, execution.argv);
  for (const [entry, argv] of Object.entries(execution?.entries ?? {})) commands.set(entry, argv);
  const starts = new Map<string, Start>();
  for (const [command, argv] of commands) {
    const parsed = parseStart(argv);
    if (parsed === undefined) continue;
    const key = parsed.interpreter.join("\0");
    const start = starts.get(key) ?? { interpreter: parsed.interpreter, targets: new Map() };
    if (!start.targets.has(parsed.target)) start.targets.set(parsed.target, command);
    starts.set(key, start);
  }
  return [...starts.values()];
}

/** `{workenv}/bin/python3.11 -I -OO {workenv}/libexec/app …`, or with `-m module`. */
function parseStart(argv: string[]): { interpreter: string[]; target: string } | undefined {
  const [program = "", ...rest] = argv;
  const isPython = /^\{.*[\\/]pythonw?[\d.]*(?:\.exe)?$/.test(program);
  if (!isPython) return undefined;
  const flags: string[] = [];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "-m") return withTarget(program, flags, rest[0] && `module:${rest[0]}`);
    if (word === "-c") return undefined;
    if (!word.startsWith("-")) return withTarget(program, flags, word);
    flags.push(word);
    if (/^-[XW]$/.test(word)) flags.push(rest.shift() ?? "");
  }
  return undefined;
}

function withTarget(program: string, flags: string[], target: string | undefined) {
  return target === undefined ? undefined : { interpreter: [program, ...flags], target };
}

async function ask(
  ctx: Context,
  trial: Trial,
  interpreter: string[],
  targets: string[],
): Promise<v.InferOutput<typeof Answer>> {
  const folder = join(trial.folder, "imports");
  const home = join(folder, "home");
  await mkdir(home, { recursive: true });
  const script = join(folder, "imports.py");
  const out = join(folder, "answer.json");
  await writeFile(script, program);
  // Importing may write below the user's home; that of the trial is thrown away.
  const env = {
    HOME: home,
    USERPROFILE: home,
    XDG_CACHE_HOME: join(home, ".cache"),
    XDG_CONFIG_HOME: join(home, ".config"),
  };
  const words = [...interpreter, script, out, ...targets];
  const done = await runTrial(ctx, trial, words, {
    timeoutMs: LIMIT_MS,
    env,
    isolated: true,
  }).catch((error: unknown) => {
    throw isTimeout(error) ? noAnswer("it did not end within 15 minutes") : error;
  });
  if (done.code !== 0)
    throw noAnswer(new TextDecoder().decode(done.stderr).trim().split("\n").at(-1) ?? "");
  // The keys of `errors` are real paths; the placeholders were in the order of the targets.
  const answer = v.parse(Answer, JSON.parse(await readFile(out, "utf8")));
  const errors = Object.values(answer.errors);
  return {
    ...answer,
    errors: Object.fromEntries(targets.map((target, i) => [target, errors[i] ?? null])),
  };
}

function noAnswer(why: string): CheckError {
  return new CheckError("PACK_START", `The interpreter of the package does not start: ${why}`, {
    hint: "Try a command of it with --test-command.",
  });
}

function judge(
  { errors, missing }: v.InferOutput<typeof Answer>,
  targets: Map<string, string>,
): void {
  const failed = Object.entries(errors).filter(
    (pair): pair is [string, string] => pair[1] !== null,
  );
  const lines = failed.map(([target, error]) => `${targets.get(target)}: ${error}`);
  const [first] = failed;
  if (first !== undefined) {
    const [target, error] = first;
    const cause = missing.find(({ kind, name }) => kind === "hard" && error.includes(`'${name}'`));
    const by = cause === undefined ? "" : ` (${cause.by}, line ${cause.line})`;
    throw new CheckError(
      "PACK_ENTRY",
      `The command ${targets.get(target)} does not import: ${error}${by}`,
      {
        hint:
          lines.length > 1
            ? `So do not: ${lines.slice(1).join("; ")}`
            : "Add what it needs to the dependencies, or correct the entry point.",
        details: { entry: targets.get(target), target: basename(target), error, all: lines },
      },
    );
  }
  const broken = missing.find(({ own, kind }) => own && kind === "hard");
  if (broken === undefined) return;
  throw new CheckError(
    "PACK_IMPORT",
    `${broken.by}, line ${broken.line}: imports ${broken.name}, which is not in the package`,
    {
      hint: "Add the package that holds it to the dependencies, or import it where ImportError is caught.",
      details: { ...broken },
    },
  );
}

/** Functions of the application that will fail when they are called. */
function lateNotes(missing: Missing[]): string[] {
  return missing
    .filter(({ own, kind }) => own && kind === "late")
    .map(
      ({ name, by, line }) =>
        `${by}, line ${line}: a function imports ${name}, which is not in the package`,
    );
}
