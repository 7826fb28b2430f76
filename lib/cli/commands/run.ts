import { resolve } from "node:path";

import * as v from "valibot";

import { ioError } from "../../base/mod.ts";
import { planStart, type StartPlan } from "../../pack/mod.ts";
import { command } from "../command.ts";

export default command({
  name: "run",
  description:
    "Every byte is checked before anything starts. The words after `--` go to the program unchanged; its exit code and signals are its own. " +
    "A package made for another system is started by the launcher inside sealift. With --json the program's output goes to stderr.",
  passThrough: true,
  args: {
    file: { type: "positional", valueHint: "FILE", description: "The package" },
  },
  examples: [
    ["sealift run app.psp", "Verify and start it"],
    ["sealift run app.psp -- --help", "Start it with arguments"],
  ],
  data: v.strictObject({
    file: v.string(),
    program: v.string(),
    launcher: v.picklist(["own", "embedded"]),
    identity: v.string(),
    /** Exit code of the program; absent with --dry-run. */
    exit: v.optional(v.number()),
  }),
  async run(context, args) {
    const plan = await planStart(context, args.file, context.rest);
    const data = {
      file: resolve(args.file),
      program: plan.program,
      launcher: plan.by,
      identity: plan.verdict.identity,
    };
    if (context.dryRun) return data;
    if (process.platform !== "win32" && !context.json) replaceProcess(plan);
    return { ...data, exit: await spawn(plan, context.json) };
  },
  render: (data, view) =>
    data.exit === undefined
      ? `${view.style.bold(data.file)} would be started by its ${data.launcher} launcher`
      : "",
  exit: (data) => data.exit ?? 0,
});

/** The program takes over this process: same pid, terminal and signals. Returns only by throwing. */
function replaceProcess(plan: StartPlan): void {
  // The runtime ignores these two, and ignored signals stay ignored across exec; caught ones go back to their default.
  for (const signal of ["SIGPIPE", "SIGXFSZ"] as const) process.on(signal, () => undefined);
  try {
    process.execve?.(plan.program, [plan.program, ...plan.args], plan.env);
  } catch (error) {
    throw ioError(error, plan.program);
  }
}

async function spawn(plan: StartPlan, quiet: boolean): Promise<number> {
  try {
    const child = Bun.spawn([plan.program, ...plan.args], {
      env: plan.env,
      stdio: ["inherit", quiet ? 2 : "inherit", "inherit"],
    });
    // Ctrl-C reaches the whole group; this process waits for the program's own answer to it.
    const ignore = () => undefined;
    process.on("SIGINT", ignore);
    const code = await child.exited;
    process.off("SIGINT", ignore);
    return code;
  } catch (error) {
    throw ioError(error, plan.program);
  }
}
