import { join, resolve } from "node:path";

import * as v from "valibot";

import { run, suggest, UsageError } from "../../base/mod.ts";
import { DEMOS, makeDemo, planStart } from "../../pack/mod.ts";
import { command } from "../command.ts";
import { printable } from "../view.ts";

export default command({
  name: "demo",
  description:
    "hello-world: a shell script with data. cli-tool: several commands, setup and settings. web-app: a server that brings Node along. " +
    "The files stay in the folder, to be changed and packed again.",
  args: {
    name: {
      type: "positional",
      required: false,
      default: "hello-world",
      valueHint: "NAME",
      description: DEMOS.join(", "),
    },
    dir: {
      type: "string",
      valueHint: "DIR",
      description: "Folder for the project; default sealift-demo-NAME here",
    },
    force: { type: "boolean", description: "Replace files that exist" },
  },
  examples: [
    ["sealift demo", "Make, pack and run hello-world"],
    ["sealift demo cli-tool --dir notes", "The same with a tool of several commands"],
  ],
  data: v.strictObject({
    name: v.string(),
    folder: v.string(),
    dry_run: v.boolean(),
    /** The rest is absent after a dry run. */
    summary: v.optional(v.string()),
    package: v.optional(v.string()),
    size: v.optional(v.number()),
    command: v.optional(v.string()),
    exit: v.optional(v.number()),
    output: v.optional(v.string()),
  }),
  async run(context, args) {
    const name = chosen(args.name);
    const folder = resolve(args.dir ?? `sealift-demo-${name}`);
    if (context.dryRun) return { name, folder, dry_run: true };
    const demo = await makeDemo(context, name, folder, args.force);
    const start = await planStart(context, demo.package, demo.args);
    const { code, stdout, stderr } = await run([start.program, ...start.args], {
      env: start.env,
      timeoutMs: 60_000,
    });
    const output = new TextDecoder().decode(code === 0 ? stdout : stderr).trimEnd();
    for (const note of demo.report.notes) context.warn(note);
    return {
      name,
      folder,
      dry_run: false,
      summary: demo.summary,
      package: demo.package,
      size: demo.report.outputs[0]?.size ?? 0,
      command: ["sealift", "run", demo.package, "--", ...demo.args].join(" "),
      exit: code,
      output,
    };
  },
  render: (data, view) => {
    if (data.dry_run) return `would write and pack ${data.name} in ${data.folder}`;
    return [
      `${view.style.bold(data.name)}: ${data.summary}`,
      `project  ${data.folder}`,
      `package  ${data.package}  ${view.size(data.size ?? 0)}`,
      view.style.dim(`$ ${data.command}`),
      printable(data.output ?? ""),
    ].join("\n");
  },
  exit: (data) => (data.dry_run || data.exit === 0 ? 0 : 1),
});

function chosen(name: string): (typeof DEMOS)[number] {
  const found = DEMOS.find((demo) => demo === name);
  if (found) return found;
  const meant = suggest(name, DEMOS);
  throw new UsageError("DEMO_UNKNOWN", `There is no demo ${name}`, {
    hint: meant ? `Did you mean ${meant}?` : `Demos: ${DEMOS.join(", ")}.`,
  });
}
