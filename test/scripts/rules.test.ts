import { describe, expect, test } from "bun:test";

import { codeOnly } from "../../scripts/code.ts";
import {
  cargoDependencies,
  checkCycles,
  checkDependencies,
  checkImports,
  checkLength,
  checkLockFile,
  checkName,
  checkTerminal,
  goDependencies,
  importsOf,
  npmDependencies,
} from "../../scripts/rules.ts";

const messages = (problems: { message: string }[]) =>
  problems.map(({ message }) => message).join("\n");

describe("checkImports()", () => {
  test.each([
    ["lib/pspf/reader.ts", 'import { a } from "../codec/mod.ts";'],
    ["lib/pspf/reader.ts", 'import { a } from "./slot.ts";'],
    ["lib/cli/run.ts", 'const m = await import("../pack/mod.ts");'],
    ["lib/base/http.ts", 'import { ofetch } from "ofetch";'],
    ["lib/launcher/cases.ts", 'import cases from "../../test/conformance/cases.json";'],
    ["main.ts", 'import { main } from "./lib/cli/mod.ts";'],
  ])("allows, in %s, %s", (path, text) => {
    expect(checkImports({ path, text })).toEqual([]);
  });

  test.each([
    [
      "lib/codec/tar.ts",
      'import { a } from "../pspf/mod.ts";',
      "codec (floor 1) may not import pspf (floor 2)",
    ],
    [
      "lib/codec/tar.ts",
      'import { a } from "../trust/mod.ts";',
      "codec (floor 1) may not import trust (floor 1)",
    ],
    ["lib/pspf/a.ts", 'export * from "../codec/tar.ts";', "through its face, lib/codec/mod.ts"],
    ["lib/pspf/a.ts", 'import type { A } from "../codec/tar.ts";', "through its face"],
    ["lib/base/a.ts", 'const m = await import("../cli/mod.ts");', "floor 6"],
    ["lib/pspf/a.ts", 'import {\n  a,\n  b,\n} from "../cli/mod.ts";', "floor 6"],
    ["lib/new/a.ts", 'import { a } from "../base/mod.ts";', "the room new has no floor"],
    [
      "lib/pspf/a.ts",
      'import { a } from "../../scripts/build.ts";',
      "lib does not know scripts/build.ts",
    ],
    ["main.ts", 'import { a } from "./lib/base/mod.ts";', "nothing else"],
  ])("refuses, in %s, %s", (path, text, message) => {
    expect(messages(checkImports({ path, text }))).toContain(message);
  });

  test("says the line", () => {
    const [problem] = checkImports({
      path: "lib/base/a.ts",
      text: '\n\nimport { a } from "../cli/mod.ts";\n',
    });
    expect(problem?.line).toBe(3);
  });
});

describe("importsOf()", () => {
  test("tells what loads the other module", () => {
    const text = [
      'import "./a.ts";',
      'import b from "./b.ts";',
      'import type { C } from "./c.ts";',
      'import { type D, type E } from "./d.ts";',
      'import { type F, g } from "./e.ts";',
      'export { h } from "./f.ts";',
      'const lazy = () => import("./g.ts");',
      'export const text = "./h.ts";',
      ' * import { x } from "./comment.ts"',
    ].join("\n");
    expect(importsOf(text).map(({ specifier, loads }) => [specifier, loads])).toEqual([
      ["./a.ts", true],
      ["./b.ts", true],
      ["./c.ts", false],
      ["./d.ts", false],
      ["./e.ts", true],
      ["./f.ts", true],
      ["./g.ts", false],
    ]);
  });
});

describe("checkCycles()", () => {
  test("names every module of a cycle", () => {
    const problems = checkCycles([
      { path: "lib/a/one.ts", text: 'import { x } from "./two.ts";' },
      { path: "lib/a/two.ts", text: 'export * from "../b/mod.ts";' },
      { path: "lib/b/mod.ts", text: 'import { y } from "../a/one.ts";' },
    ]);
    expect(messages(problems)).toContain(
      "lib/a/one.ts → lib/a/two.ts → lib/b/mod.ts → lib/a/one.ts",
    );
  });

  test("allows types and lazy imports to point back", () => {
    const files = [
      { path: "lib/a/one.ts", text: 'import { x } from "./two.ts";' },
      { path: "lib/a/two.ts", text: 'import type { X } from "./one.ts";\nimport("./one.ts");' },
    ];
    expect(checkCycles(files)).toEqual([]);
  });
});

describe("checkTerminal()", () => {
  test.each([
    ["lib/pack/a.ts", "console.log(1);"],
    ["lib/pack/a.ts", "process.exitCode = 1;"],
    ["lib/pack/a.ts", "const a = process.argv[2];"],
    ["lib/pack/a.ts", "if (stream.isTTY) f();"],
    ["lib/pack/a.ts", "Bun.write(Bun.stdout, x);"],
    ["lib/cli/run.ts", "process.exit(1);"],
    ["lib/cli/run.ts", "process.stdout.write(x);"],
  ])("refuses, in %s, %s", (path, text) => {
    expect(checkTerminal({ path, text })).toHaveLength(1);
  });

  test.each([
    ["lib/cli/output.ts", "console.error(text);"],
    [
      "lib/pack/a.ts",
      "// console.log is for lib/cli\n/** process.exit(\n * isTTY */\nrun(`console.log`); // console.log",
    ],
    ["scripts/a.ts", "console.log(1);"],
  ])("allows, in %s, %s", (path, text) => {
    expect(checkTerminal({ path, text })).toEqual([]);
  });
});

test("checkLength() counts lines as an editor does", () => {
  expect(checkLength({ path: "a.ts", text: "x\n".repeat(400) })).toEqual([]);
  expect(checkLength({ path: "a.ts", text: "x\n".repeat(400) + "x" })).toHaveLength(1);
});

test.each([
  "lib/utils.ts",
  "lib/helpers/a.ts",
  "lib/a/_util.ts",
  "lib/a/CamelCase.ts",
  "lib/a/snake_case.ts",
  "lib/common/a.go",
])("checkName() refuses %s", (path) => {
  expect(checkName(path)).not.toEqual([]);
});

test.each([
  "lib/a/reader.ts",
  "lib/a/_der.ts",
  "lib/a/two-words.test.ts",
  "lib/a/x.d.ts",
  "launchers/rust/src/snake_case.rs",
])("checkName() allows %s", (path) => {
  expect(checkName(path)).toEqual([]);
});

test("checkLockFile() refuses addresses", () => {
  expect(checkLockFile("l", '{"resolved": "https://example.org/x.tgz"}')).toHaveLength(1);
  expect(checkLockFile("l", '{"version": "1.0.0"}')).toEqual([]);
});

test("checkDependencies() wants exact versions and a row for each", () => {
  const table = "| `a` | 1.0.0 | MIT |\n| `b/c` | v2.0.0 | MIT |";
  expect(checkDependencies({ a: "1.0.0", "b/c": "v2.0.0" }, table)).toEqual([]);
  expect(messages(checkDependencies({ a: "1.0.1" }, table))).toBe("no row for a 1.0.1");
  expect(messages(checkDependencies({ b: "2.0.0" }, table))).toBe("no row for b 2.0.0");
  expect(messages(checkDependencies({ a: "^1.0.0" }, table))).toContain("no exact version");
});

test("the three manifests give names and versions", () => {
  expect(npmDependencies('{"dependencies":{"a":"1.0.0"},"devDependencies":{"b":"2.0.0"}}')).toEqual(
    {
      a: "1.0.0",
      b: "2.0.0",
    },
  );
  expect(cargoDependencies('[dependencies]\na = "=1.0.0"\nb = { version = "2" }\n')).toEqual({
    a: "1.0.0",
    b: '"2"',
  });
  const go =
    "module x\n\ngo 1.26.0\n\nrequire (\n\texample.org/a/b v1.0.0\n\texample.org/c v2.0.0 // indirect\n)\n";
  expect(goDependencies(go)).toEqual({ "example.org/a/b": "v1.0.0" });
  expect(goDependencies("require example.org/a v1.0.0\n")).toEqual({ "example.org/a": "v1.0.0" });
});

test("codeOnly() keeps code and lines, and nothing else", () => {
  const text =
    "a(\"console.x\", `console.${y}\nz`, /con\"sole/); // console\n/* console\n*/ b('\\'console'); c / d / e;";
  const code = codeOnly(text);
  expect(code).not.toContain("console");
  expect(code.split("\n")).toHaveLength(text.split("\n").length);
  expect(code.replace(/\s+/g, " ")).toBe("a( , , ); b( ); c / d / e;");
});
