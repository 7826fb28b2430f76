import { describe, expect, test } from "bun:test";

import { schemaName } from "../../lib/cli/command.ts";
import { load } from "../../lib/cli/commands.ts";
import { globalArgs } from "../../lib/cli/globals.ts";
import { aliasesOf, optionsOf, positionalsOf } from "../../lib/cli/parse.ts";
import { leaves, listSchemas, schemaOf } from "../../lib/cli/schemas.ts";

const all = await Promise.all(
  leaves().map(async ([name, leaf]) => ({ name, leaf, command: await load(leaf) })),
);
const globalNames = optionsOf(globalArgs).flatMap(([name, arg]) => [name, ...aliasesOf(arg)]);

describe.each(all)("sealift $name", ({ name, leaf, command }) => {
  test("is called what its row says", () => {
    expect(command.name).toBe(name);
  });

  test("has a summary of one sentence without a full stop", () => {
    expect(leaf.summary).toMatch(/^[A-Z].*[^.]$/);
    expect(leaf.summary.length).toBeLessThanOrEqual(90);
  });

  test("does not take a global option's name, and no name twice", () => {
    const own = optionsOf(command.args).flatMap(([option, arg]) => [option, ...aliasesOf(arg)]);
    expect(own.filter((option) => globalNames.includes(option))).toEqual([]);
    expect(new Set(own).size).toBe(own.length);
  });

  test("describes every argument, without a full stop", () => {
    for (const arg of Object.values(command.args)) expect(arg.description).toMatch(/[^.\s]$/);
  });

  test("has required positionals first and a repeated one last", () => {
    const positionals = positionalsOf(command.args).map(([, arg]) => arg);
    const optional = positionals.map((arg) => arg.required === false || arg.default !== undefined);
    expect(optional.toSorted()).toEqual(optional);
    expect(positionals.slice(0, -1).some((arg) => arg.repeat)).toBe(false);
  });

  test("has two examples that name it", () => {
    expect(command.examples.length).toBeGreaterThanOrEqual(2);
    for (const [line] of command.examples) expect(line).toStartWith(`sealift ${name}`);
  });

  test("has a JSON Schema", async () => {
    expect(await schemaOf(schemaName(name))).toHaveProperty("$id", schemaName(name));
  });
});

test("every listed schema exists", async () => {
  for (const { name } of listSchemas()) expect(await schemaOf(name)).toBeDefined();
});
