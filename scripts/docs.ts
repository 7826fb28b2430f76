/**
 * Writes the reference pages that come from the code: `docs/reference/cli.md` from the commands' declarations,
 * `docs/reference/launcher-messages.md` from the launchers' message table. `--check` only says whether they are current.
 *
 *   npm run docs [-- --check]
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Command } from "../lib/cli/command.ts";
import { commands, isNoun, type Leaf, load } from "../lib/cli/commands.ts";
import { commandHelp, type Help } from "../lib/cli/help.ts";
import messages from "../test/conformance/messages.json";

const ROOT = join(import.meta.dir, "..");

const pages: Record<string, string> = {
  "docs/reference/cli.md": formatted(await cliPage()),
  "docs/reference/launcher-messages.md": formatted(messagesPage()),
};
const stale = Object.entries(pages).filter(([path, text]) => read(path) !== text);
if (process.argv.includes("--check")) {
  for (const [path] of stale)
    console.error(`${path} is not what the code says; run \`npm run docs\``);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) {
    writeFileSync(join(ROOT, path), text);
    console.error(`wrote ${path}`);
  }
}

/** As `bun fmt` wants it, so that the formatter and the generator agree. */
function formatted(markdown: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [process.execPath, "fmt", "--stdin-filepath=page.md"],
    { stdin: new TextEncoder().encode(markdown), cwd: ROOT },
  );
  if (exitCode !== 0) throw new Error(`bun fmt failed: ${stderr.toString()}`);
  return stdout.toString();
}

function read(path: string): string | undefined {
  return existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), "utf8") : undefined;
}

async function cliPage(): Promise<string> {
  const leaves = Object.entries(commands).flatMap(([name, row]): [string, Leaf][] =>
    isNoun(row)
      ? Object.entries(row.verbs).map(([verb, leaf]) => [`${name} ${verb}`, leaf])
      : [[name, row]],
  );
  const loaded: [string, Leaf, Command][] = [];
  for (const [name, leaf] of leaves) loaded.push([name, leaf, await load(leaf)]);
  const toc = loaded.map(
    ([name, leaf]) =>
      `| [\`sealift ${name}\`](#sealift-${name.replaceAll(" ", "-")}) | ${leaf.summary} |`,
  );
  const sections = loaded.map(([name, leaf, command]) =>
    section(name, leaf, commandHelp(command, leaf.summary)),
  );
  const globals = commandHelp((loaded[0] as [string, Leaf, Command])[2], "").groups.find(
    ({ title }) => title === "Global options",
  );
  return [
    "# Command line",
    "Written by `npm run docs` from the commands themselves.",
    ["| command | what |", "|---|---|", ...toc].join("\n"),
    `## Global options\n\n${rows(globals?.rows ?? [])}`,
    "## Exit codes\n\n0 done or passed · 1 a check failed · 2 usage · 3 bad input or format · 4 environment or I/O · 5 network · 6 a bug in sealift. `sealift run` passes the program's own exit code on.",
    ...sections,
  ]
    .join("\n\n")
    .concat("\n");
}

function section(name: string, leaf: Leaf, help: Help): string {
  const groups = help.groups.filter(({ title }) => title !== "Global options");
  return [
    `## sealift ${name}`,
    `${leaf.summary}.${leaf.alias ? ` Alias: ${leaf.alias.map((alias) => `\`${alias}\``).join(", ")}.` : ""}`,
    `\`\`\`text\n${help.usage}\n\`\`\``,
    ...(help.description === undefined ? [] : [help.description]),
    ...groups.map((group) => `**${group.title}**\n\n${rows(group.rows)}`),
    `**Examples**\n\n${help.examples.map(({ command, text }) => `- \`${command}\` – ${text}`).join("\n")}`,
  ].join("\n\n");
}

function rows(list: { name: string; text: string }[]): string {
  return list.map(({ name, text }) => `- \`${name.trim()}\` – ${text}`).join("\n");
}

function messagesPage(): string {
  const list = Object.entries(
    messages as Record<string, { exit: number; message: string; hint: string }>,
  )
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { exit, message, hint }]) =>
        `| \`${code}\` | ${exit || "warning"} | ${message} | ${hint} |`,
    );
  return [
    "# Messages of the launchers",
    "Written by `npm run docs` from `test/conformance/messages.json`, which both launchers are tested against.",
    ["| code | exit code | message | hint |", "|---|---|---|---|", ...list].join("\n"),
  ]
    .join("\n\n")
    .concat("\n");
}
