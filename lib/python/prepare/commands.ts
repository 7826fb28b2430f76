/** Commands of the author that run at pack time, before the dependencies are resolved or before the project is built. */
import { stripVTControlCharacters } from "node:util";

import {
  type Context,
  EnvironmentError,
  FormatError,
  quoted,
  run,
  splitWords,
} from "../../base/mod.ts";

/** Lines of a failed command that its author gets to see. */
const SHOWN_LINES = 20;
const TIME_LIMIT_MS = 1_800_000;

export interface CommandPlace {
  ctx: Context;
  /** Folder that they run in: a copy of the project. */
  cwd: string;
  env: Record<string, string | undefined>;
}

/**
 * Runs `commands` one after another; `key` names them for messages. No shell reads them.
 * @throws FormatError `BUILD_COMMAND` with the exit code and the last lines of the first that fails, `COMMAND_WORDS`;
 *   EnvironmentError `PROGRAM_MISSING`
 */
export async function runCommands(
  key: string,
  commands: (string | string[])[],
  { ctx, cwd, env }: CommandPlace,
): Promise<void> {
  const split = commands.map((command) =>
    typeof command === "string" ? splitWords(command) : command,
  );
  for (const [i, words] of split.entries()) {
    const shown = quoted(words.join(" "));
    ctx.progress.step(`Running ${shown}`);
    const done = await run(words, { cwd, env, timeoutMs: TIME_LIMIT_MS }).catch(
      (error: unknown) => {
        if (!(error instanceof EnvironmentError)) throw error;
        throw new EnvironmentError(error.code, `${key}[${i}]: ${error.message}`, {
          ...(error.hint !== undefined && { hint: error.hint }),
          details: { ...error.details, key: `${key}[${i}]` },
        });
      },
    );
    if (done.code === 0) continue;
    const lines = [...lastLines(done.stdout), ...lastLines(done.stderr)];
    throw new FormatError(
      "BUILD_COMMAND",
      [`${key}[${i}]: ${shown} ended with exit code ${done.code}`, ...lines].join("\n"),
      {
        hint: "It runs in a copy of the project, without a shell; nothing was packed.",
        details: { key: `${key}[${i}]`, command: words, code: done.code, output: lines },
      },
    );
  }
}

/** The end of a command's output as lines that cannot move the cursor. */
function lastLines(bytes: Uint8Array): string[] {
  const text = stripVTControlCharacters(new TextDecoder().decode(bytes)).trimEnd();
  return text === "" ? [] : text.split(/\r?\n/).slice(-SHOWN_LINES).map(plain);
}

function plain(line: string): string {
  return line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\uFFFD");
}
