import { describe, expect, test } from "bun:test";

import type { Args } from "../../lib/cli/command.ts";
import { namePositionals, parseOptions } from "../../lib/cli/parse.ts";

const args = {
  file: { type: "positional", description: "" },
  more: { type: "positional", required: false, description: "" },
  out: { type: "string", alias: "o", description: "" },
  key: { type: "string", alias: ["k", "pub"], repeat: true, description: "" },
  jobs: { type: "string", number: true, default: 4, description: "" },
  kind: { type: "enum", options: ["rust", "go"], default: "go", description: "" },
  force: { type: "boolean", alias: "f", description: "" },
  all: { type: "boolean", alias: "a", description: "" },
  cache: { type: "boolean", default: true, description: "" },
} as const satisfies Args;

const read = (...words: string[]) => namePositionals(parseOptions(words, args), args);
const failure = (action: () => unknown) => {
  try {
    action();
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint: string };
    return { code, message, hint };
  }
  throw new Error("it did not fail");
};

describe("parseOptions()", () => {
  test("gives every name a value", () => {
    expect(read("a.psp")).toEqual({
      file: "a.psp",
      out: undefined,
      key: [],
      jobs: 4,
      kind: "go",
      force: false,
      all: false,
      cache: true,
    });
  });

  test.each([
    [["a", "--out", "x"], { out: "x" }],
    [["--out=x", "a"], { out: "x" }],
    [["--out=a=b", "a"], { out: "a=b" }],
    [["a", "-o", "x"], { out: "x" }],
    [["a", "-ox"], { out: "x" }],
    [["a", "-o=x"], { out: "x" }],
    [["a", "--out", "-"], { out: "-" }],
    [["a", "--out=-x"], { out: "-x" }],
    [["a", "-fa"], { force: true, all: true }],
    [["a", "-fox"], { force: true, out: "x" }],
    [["a", "-fo", "x"], { force: true, out: "x" }],
    [["a", "--key", "1", "--pub=2", "-k3"], { key: ["1", "2", "3"] }],
    [["a", "--jobs", "0"], { jobs: 0 }],
    [["a", "--kind=rust"], { kind: "rust" }],
    [["a", "--no-cache"], { cache: false }],
    [["a", "--no-cache", "--cache"], { cache: true }],
    [["a", "b"], { file: "a", more: "b" }],
    [["-"], { file: "-" }],
    [["a", "--force", "--force"], { force: true }],
  ])("reads %j", (words, expected) => {
    expect(read(...words)).toMatchObject(expected);
  });

  test.each([
    [["a", "--ou"], "OPTION_UNKNOWN", "Did you mean --out?"],
    [["a", "--forec"], "OPTION_UNKNOWN", "Did you mean --force?"],
    [["a", "--zzzzzz=1"], "OPTION_UNKNOWN", "See `--help`"],
    [["a", "-x"], "OPTION_UNKNOWN", ""],
    [["a", "-fx"], "OPTION_UNKNOWN", ""],
    [["a", "--no-force"], "OPTION_UNKNOWN", ""],
    [["a", "---out"], "OPTION_UNKNOWN", "Did you mean --out?"],
    [["a", "--out"], "OPTION_VALUE", "Write --out OUT."],
    [["a", "--out", "--force"], "OPTION_VALUE", "--out=--force"],
    [["a", "--out="], "OPTION_VALUE", ""],
    [["a", "--force=yes"], "OPTION_VALUE", "Write --force alone."],
    [["a", "--kind", "rsut"], "OPTION_VALUE", "Did you mean rust? It is one of: rust, go."],
    [["a", "--jobs", "-1"], "OPTION_VALUE", "--jobs=-1"],
    [["a", "--jobs=1.5"], "OPTION_VALUE", "whole number"],
    [["a", "--jobs=99999999999999999999"], "OPTION_VALUE", "whole number"],
    [["a", "--out", "x", "-o", "y"], "OPTION_REPEATED", ""],
    [[], "ARGUMENT_MISSING", "--help"],
    [["a", "b", "c"], "ARGUMENT_EXTRA", ""],
    [[""], "OPTION_VALUE", ""],
    [["a", "--__proto__"], "OPTION_UNKNOWN", ""],
    [["a", "--constructor=1"], "OPTION_UNKNOWN", ""],
  ])("refuses %j with %s", (words, code, hint) => {
    const error = failure(() => read(...words));
    expect(error.code).toBe(code);
    expect(error.hint).toContain(hint);
  });

  test("takes the rest for a repeated positional, at least one", () => {
    const many = {
      files: { type: "positional", repeat: true, description: "" },
    } as const satisfies Args;
    expect(namePositionals(parseOptions(["a", "b"], many), many)).toEqual({ files: ["a", "b"] });
    expect(failure(() => namePositionals(parseOptions([], many), many)).code).toBe(
      "ARGUMENT_MISSING",
    );
  });

  test("asks for a required option by name", () => {
    const needed = {
      out: { type: "string", required: true, description: "" },
    } as const satisfies Args;
    expect(failure(() => parseOptions([], needed))).toMatchObject({
      code: "OPTION_MISSING",
      message: "--out is required",
    });
  });
});
