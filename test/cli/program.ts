/** A program of commands that behave badly, to watch how `main` takes it. Started by `run.test.ts`. */
import * as v from "valibot";

import {
  AtomicFile,
  CheckError,
  EnvironmentError,
  NetworkError,
  requireNetwork,
} from "../../lib/base/mod.ts";
import { command, type CommandContext } from "../../lib/cli/command.ts";
import type { CommandTable } from "../../lib/cli/commands.ts";
import { main } from "../../lib/cli/run.ts";

const any = v.looseObject({});
const examples: [string, string][] = [];
const row = (
  run: (context: CommandContext) => Promise<Record<string, unknown>>,
  more: object = {},
) => ({
  summary: "A command",
  load: async () =>
    command({
      name: "x",
      args: {},
      examples,
      data: any,
      run,
      render: (data) => JSON.stringify(data),
      ...more,
    }),
});

async function* parts() {
  yield new Uint8Array([0, 255, 10]);
  yield new Uint8Array(100_000);
}

const table: CommandTable = {
  echo: row(
    async ({ rest, offline, yes, dryRun, cacheDir }) => ({ rest, offline, yes, dryRun, cacheDir }),
    {
      passThrough: true,
    },
  ),
  verdict: row(async () => ({ found: 3 }), { exit: () => 1 }),
  check: row(async () => {
    throw new CheckError("DIGEST", "a.psp: the digest\u001b[2J differs", {
      hint: "Copy it again.",
      details: { expected: "aa", actual: "bb" },
    });
  }),
  environment: row(async () => {
    throw new EnvironmentError("NO_TOOL", "No tool");
  }),
  network: row(async (context) => {
    requireNetwork(context, "Fetching the index");
    throw new NetworkError("HTTP_STATUS", "The server answered 500");
  }),
  system: row(async () => ({ text: await Bun.file("/no/such/file").text() })),
  bug: row(async () => ({ value: (undefined as unknown as { x: number }).x })),
  late: row(async () => {
    void Promise.reject(new Error("nobody waits for me"));
    await Bun.sleep(50);
    return {};
  }),
  wrong: row(async () => ({ n: "text" }), { data: v.strictObject({ n: v.number() }) }),
  long: row(async () => ({ text: "x".repeat(1_000_000) })),
  bytes: row(
    async (context) => {
      await context.writeOutput(parts());
      return {};
    },
    { render: () => "" },
  ),
  ask: row(async (context) => ({ sure: await context.confirm("Delete it?") })),
  slow: row(async (context) => {
    await AtomicFile.create("output");
    context.progress.step("ready");
    await Bun.sleep(30_000);
    return {};
  }),
};

await main(process.argv.slice(2), table);
