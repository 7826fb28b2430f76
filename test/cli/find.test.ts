import { describe, expect, test } from "bun:test";

import type { CommandTable } from "../../lib/cli/commands.ts";
import { find } from "../../lib/cli/find.ts";

const leaf = (summary: string) => ({ summary, load: () => Promise.reject(new Error("loaded")) });
const table: CommandTable = {
  verify: leaf("verify"),
  trust: { summary: "trust", verbs: { add: leaf("add"), list: leaf("list") } },
  launchers: { summary: "launchers", alias: ["helpers"], verbs: { list: leaf("list launchers") } },
};

describe("find()", () => {
  test.each([
    [["verify", "a.psp", "--key", "k"], "verify", ["a.psp", "--key", "k"]],
    [["--json", "verify", "a"], "verify", ["--json", "a"]],
    [["--cache-dir", "verify", "trust", "list"], "list", ["--cache-dir", "verify"]],
    [["--color=never", "trust", "--quiet", "add", "k"], "add", ["--color=never", "--quiet", "k"]],
    [["helpers", "list"], "list launchers", []],
    [["help", "verify"], "verify", ["--help"]],
    [["help", "trust", "add"], "add", ["--help"]],
  ])("reads %j", (head, summary, words) => {
    const found = find(head, table);
    expect(found.kind).toBe("command");
    if (found.kind === "command")
      expect([found.leaf.summary, found.words]).toEqual([summary, words]);
  });

  test("gives the noun when its verb is missing, and the program when all is", () => {
    expect(find(["helpers", "--help"], table)).toMatchObject({ kind: "noun", words: ["--help"] });
    expect(find(["--json"], table)).toEqual({ kind: "program", words: ["--json"] });
    expect(find(["help"], table)).toEqual({ kind: "program", words: ["--help"] });
  });

  test.each([
    ["verfiy", "Did you mean `sealift verify`?"],
    ["helper", "Did you mean `sealift helpers`?"],
    ["zzz", "See `sealift --help`."],
    ["constructor", "See `sealift --help`."],
    ["trust lst", "Did you mean `sealift trust list`?"],
  ])("suggests the nearest command for %j and loads none", (line, hint) => {
    expect(() => find(line.split(" "), table)).toThrow(
      expect.objectContaining({ code: "COMMAND_UNKNOWN", hint }) as unknown as Error,
    );
  });
});
