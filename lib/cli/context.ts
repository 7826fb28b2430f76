/** What a command sees of the world: global flags, settings and the terminal, as one `CommandContext`. */
import { cacheFolder, type Progress, silentProgress, UsageError } from "../base/mod.ts";
import { barProgress, lineProgress } from "./bar.ts";
import type { CommandContext } from "./command.ts";
import type { Globals } from "./globals.ts";
import { note, writeBytes } from "./output.ts";
import { loadSettings } from "./settings.ts";
import { isTerminal } from "./terminal.ts";

export interface Session {
  context: CommandContext;
  /** Takes the progress line off the terminal. */
  erase(): void;
}

type Env = Record<string, string | undefined>;

export async function makeContext(globals: Globals, rest: string[], env: Env): Promise<Session> {
  const settings = await loadSettings(globals.config, env);
  const { progress, erase } = chooseProgress(globals);
  const interactive = () => isTerminal(0) && isTerminal(1);
  const context: CommandContext = {
    offline: globals.offline || isSet(env.SEALIFT_OFFLINE) || settings.offline === true,
    get cacheDir() {
      const chosen = globals["cache-dir"] ?? (env.SEALIFT_CACHE ? undefined : settings.cacheDir);
      return chosen === undefined
        ? cacheFolder(env)
        : cacheFolder({ SEALIFT_CACHE: resolved(chosen) });
    },
    progress,
    env,
    dryRun: globals["dry-run"],
    yes: globals.yes,
    verbose: globals.verbose,
    json: globals.json,
    rest,
    warn(text) {
      erase();
      if (!globals.quiet) note(`sealift: warning: ${text}`);
    },
    async confirm(question) {
      if (globals.yes) return true;
      if (!interactive()) throw needsAnswer(question);
      erase();
      return (await prompt(question, { type: "confirm", initial: false })) === true;
    },
    async ask(question, fallback) {
      if (globals.yes || !interactive()) {
        if (fallback !== undefined) return fallback;
        throw needsAnswer(question);
      }
      erase();
      const options = fallback === undefined ? {} : { default: fallback, placeholder: fallback };
      return String(await prompt(question, { type: "text", ...options }));
    },
    async askSecret(question) {
      if (!isTerminal(0) || !isTerminal(2)) return undefined;
      erase();
      const { readSecret } = await import("./secret.ts");
      return await readSecret(question);
    },
    async writeOutput(bytes) {
      if (globals.json) {
        throw new UsageError(
          "OUTPUT_JSON",
          "Raw bytes and --json cannot both go to standard output",
          {
            hint: "Name a file with `-o`, or leave out `--json`.",
          },
        );
      }
      if (isTerminal(1)) {
        throw new UsageError("OUTPUT_TERMINAL", "Raw bytes are not written to a terminal", {
          hint: "Name a file with `-o`, or redirect standard output.",
        });
      }
      await writeBytes(bytes);
    },
  };
  return { context, erase };
}

function chooseProgress(globals: Globals): { progress: Progress; erase(): void } {
  if (globals.quiet) return { progress: silentProgress, erase() {} };
  if (!isTerminal(2)) return { progress: lineProgress(), erase() {} };
  const writer = Bun.stderr.writer();
  const bar = barProgress((text) => {
    writer.write(text);
    void writer.flush();
  });
  return { progress: bar, erase: bar.erase };
}

/** consola's prompts cost 11 ms to load; only a person who is asked pays for them. */
async function prompt(
  question: string,
  options: { type: "confirm"; initial: boolean } | { type: "text"; default?: string },
): Promise<unknown> {
  const { consola } = await import("consola");
  try {
    return await consola.prompt(question, { ...options, cancel: "reject" });
  } catch (cause) {
    throw new UsageError("CANCELLED", "The question was not answered", {
      hint: "Nothing was changed.",
      cause,
    });
  }
}

function needsAnswer(question: string): UsageError {
  return new UsageError("CONFIRM", `${question} Nobody can be asked here`, {
    hint: "Add `--yes` if that is what you want, or give the value as an option.",
  });
}

/** Anything but empty, `0`, `false` and `no` counts: a safety switch fails closed. */
function isSet(value: string | undefined): boolean {
  return !["", "0", "false", "no"].includes((value ?? "").toLowerCase());
}

function resolved(path: string): string {
  return process.getBuiltinModule("node:path").resolve(path);
}
