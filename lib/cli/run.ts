/**
 * From the words of a command line to an exit code. citty declares the commands, this runs them: strict options, `--` cut
 * first, one JSON document or text, one error handler, `process.exitCode` and never `process.exit`.
 */
import { ExitCode, SealiftError, UsageError, version } from "../base/mod.ts";
import type { Command } from "./command.ts";
import { commands, type CommandTable, isNoun, type Leaf, load, type Noun } from "./commands.ts";
import { globalArgs, type Globals } from "./globals.ts";
import { checkRuntimeFlags } from "./hardening.ts";
import { writeResult } from "./output.ts";
import { useColor } from "./terminal.ts";

/** Runs the program with the words after its name. Never throws; sets `process.exitCode`. */
export async function main(
  words: readonly string[],
  table: CommandTable = commands,
): Promise<void> {
  const cut = words.indexOf("--");
  const head = cut === -1 ? words : words.slice(0, cut);
  const rest = cut === -1 ? undefined : words.slice(cut + 1);
  // A failure that nobody awaited ends the program as any other: with a report and an exit code.
  const stray = new Promise<never>((_, reject) => process.on("unhandledRejection", reject));
  try {
    checkRuntimeFlags();
    process.exitCode = await Promise.race([dispatch(head, rest, table), stray]);
  } catch (error) {
    await fail(error, head);
  }
}

async function fail(error: unknown, head: readonly string[]): Promise<void> {
  const { report } = await import("./report.ts");
  try {
    process.exitCode = await report(error, {
      json: head.includes("--json"),
      debug: head.includes("--debug"),
      color: () => useColor(colorWord(head), process.env, 2),
    });
  } catch {
    // The report itself could not be written.
    process.exitCode = error instanceof SealiftError ? error.exit : ExitCode.internal;
  }
}

/** The wish for colour on a command line that could not be parsed. */
function colorWord(head: readonly string[]): Globals["color"] {
  const text = head.join(" ");
  return (/--color[= ](always|never)\b/.exec(text)?.[1] as Globals["color"] | undefined) ?? "auto";
}

/** @returns the exit code */
async function dispatch(
  head: readonly string[],
  rest: readonly string[] | undefined,
  table: CommandTable,
): Promise<number> {
  if (rest === undefined && head.length === 1 && (head[0] === "--version" || head[0] === "-V")) {
    await writeResult(`sealift ${version}`);
    return ExitCode.ok;
  }
  const { find } = await import("./find.ts");
  const found = find(head, table);
  if (found.kind !== "command") return await withoutCommand(found, rest, table);
  return await runCommand(found.leaf, found.words, rest);
}

async function withoutCommand(
  found:
    | ({ kind: "program" } & { words: string[] })
    | { kind: "noun"; name: string; noun: Noun; words: string[] },
  rest: readonly string[] | undefined,
  table: CommandTable,
): Promise<number> {
  const { parseOptions } = await import("./parse.ts");
  const { values } = parseOptions(found.words, globalArgs);
  const globals = values as unknown as Globals;
  const { overview, nounHelp } = await import("./help.ts");
  if (globals.version && found.kind === "program") return await printVersion(globals);
  if (globals.help) {
    await printHelp(
      found.kind === "noun" ? nounHelp(found.name, found.noun) : overview(table),
      globals,
    );
    return ExitCode.ok;
  }
  const place = found.kind === "noun" ? `sealift ${found.name}` : "sealift";
  throw new UsageError(
    "COMMAND_MISSING",
    rest === undefined ? "No command is given" : "No command is given before --",
    {
      hint: `See \`${place} --help\`.`,
    },
  );
}

async function runCommand(
  leaf: Leaf,
  words: string[],
  rest: readonly string[] | undefined,
): Promise<number> {
  const [command, { parseOptions, namePositionals }] = await Promise.all([
    load(leaf),
    import("./parse.ts"),
  ]);
  // Help must not need what the command needs, so it is looked for before anything is missing.
  if (words.some((word) => word === "--help" || word === "-h")) {
    const { commandHelp } = await import("./help.ts");
    const globals = parseOptions(words, { ...lenient(command), ...globalArgs })
      .values as unknown as Globals;
    await printHelp(commandHelp(command, leaf.summary), globals);
    return ExitCode.ok;
  }
  const parsed = parseOptions(words, { ...command.args, ...globalArgs });
  const globals = parsed.values as unknown as Globals;
  if (globals.version) return await printVersion(globals);
  if (rest !== undefined && !command.passThrough) {
    throw new UsageError("ARGUMENT_EXTRA", "This command takes nothing after --", {
      hint: "See `--help`.",
    });
  }
  return await execute(command, namePositionals(parsed, command.args), globals, [...(rest ?? [])]);
}

async function execute(
  command: Command,
  args: Record<string, unknown>,
  globals: Globals,
  rest: string[],
): Promise<number> {
  const [{ makeContext }, { dieBySignal }, base, { makeView }] = await Promise.all([
    import("./context.ts"),
    import("./signals.ts"),
    import("../base/mod.ts"),
    import("./view.ts"),
  ]);
  const { context, erase } = await makeContext(globals, rest, process.env);
  const release = dieBySignal(() => {
    erase();
    base.stopPrograms();
    base.discardUnfinished();
  });
  try {
    const data = await command.run(context, args);
    erase();
    const exit = command.exit(data);
    if (globals.json) {
      const { envelope } = await import("./envelope.ts");
      await writeResult(JSON.stringify(envelope(command, data, exit)));
    } else {
      const color = useColor(globals.color, process.env, 1);
      await writeResult(command.render(data, makeView({ color, verbose: globals.verbose })));
    }
    return exit;
  } finally {
    erase();
    release();
  }
}

async function printHelp(help: import("./help.ts").Help, globals: Globals): Promise<void> {
  if (globals.json) {
    await writeResult(JSON.stringify({ schema: "sealift.help/1", ok: true, ...help }));
    return;
  }
  const [{ renderHelp }, { makeView }] = await Promise.all([
    import("./help.ts"),
    import("./view.ts"),
  ]);
  const color = useColor(globals.color, process.env, 1);
  await writeResult(renderHelp(help, makeView({ color, verbose: globals.verbose })));
}

async function printVersion(globals: Globals): Promise<number> {
  if (!globals.json) {
    await writeResult(`sealift ${version}`);
    return ExitCode.ok;
  }
  const { versions } = await import("./versions.ts");
  await writeResult(JSON.stringify(await versions()));
  return ExitCode.ok;
}

/** The options of a command with nothing required. */
function lenient(command: Command): Command["args"] {
  return Object.fromEntries(
    Object.entries(command.args).map(([name, arg]) => [name, { ...arg, required: false }]),
  );
}
