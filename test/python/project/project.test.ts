import { describe, expect, test } from "bun:test";

import { commandsOf, defaultCommand } from "../../../lib/python/commands.ts";
import { satisfiesPython } from "../../../lib/python/pep/specifier.ts";
import { buildSettings } from "../../../lib/python/project/build-table.ts";
import { readPyproject } from "../../../lib/python/project/project.ts";
import { runtimeSettings } from "../../../lib/python/project/runtime-table.ts";
import {
  placeOf,
  prepareCommand,
  startCommand,
  startScript,
} from "../../../lib/python/runtime/start.ts";
import { layoutOf } from "../../../lib/python/runtime/target.ts";
import type { StagedWheel } from "../../../lib/python/wheel/site.ts";
import { codeOf } from "../fixture.ts";

const read = (text: string) =>
  readPyproject(Bun.TOML.parse(text) as Record<string, unknown>, "/p/pyproject.toml");
const PROJECT = '[project]\nname = "my-app"\nversion = "1.2"\n';

describe("readPyproject()", () => {
  test("reads a whole manifest", () => {
    const project =
      read(`${PROJECT}description = "d"\nlicense = { text = "MIT" }\nrequires-python = ">=3.9"
dependencies = ["httpie"]
[project.optional-dependencies]
socks = ["x"]
[project.scripts]
my-app = "my_app.cli:main"
[project.gui-scripts]
my-gui = "my_app.gui:App.run"
[build-system]
requires = []
[tool.sealift]
entry_point = "my_app.__main__:main"
package_name = "other"
[tool.sealift.python]
version = "3.12"
[tool.sealift.build]
extras = ["socks"]
extra_packages = ["rich"]
[tool.sealift.runtime]
optimization_level = 2`);
    expect(project).toEqual({
      manifest: "/p/pyproject.toml",
      root: "/p",
      name: "my-app",
      packageName: "other",
      version: "1.2",
      description: "d",
      license: "MIT",
      requiresPython: ">=3.9",
      dependencies: ["httpie"],
      extras: { socks: ["x"] },
      groups: { names: [], defaults: [], lines: expect.any(Function) },
      dynamicDependencies: false,
      scripts: { "my-app": "my_app.cli:main" },
      guiScripts: { "my-gui": "my_app.gui:App.run" },
      entryPoint: "my_app.__main__:main",
      isPackage: true,
      python: { version: "3.12", archives: {}, source: "any", include: [] },
      entries: {},
      build: buildSettings({ extras: ["socks"], extra_packages: ["rich"] }),
      runtime: { optimisation: 2, bytecode: { level: 2, docstrings: false } },
    });
  });

  test("reads [tool.flavor] with the same meaning", () => {
    const project = read(
      `${PROJECT}[tool.flavor]\nentry_point = "a:b"\n[tool.flavor.metadata]\npackage_name = "n"`,
    );
    expect(project).toMatchObject({ entryPoint: "a:b", packageName: "n" });
  });

  test("reads a project made for Poetry 1: its build backend knows the requirements and commands", () => {
    const poetry = read(`[tool.poetry]
name = "my-app"
version = "1.2"
[tool.poetry.dependencies]
python = "^3.10"
click = { version = "^8", optional = true }
[tool.poetry.extras]
cli = ["click"]
[tool.poetry.scripts]
my-app = "my_app:main"
[build-system]
requires = ["poetry-core"]
[tool.sealift.build]
extras = ["cli"]`);
    const beside = read(
      '[tool.poetry]\nname = "a"\nversion = "1"\n[tool.poetry.dependencies]\nb = { path = "../b" }',
    );
    expect(beside.hasSources).toBe(true);
    expect(poetry.hasSources).toBeUndefined();
    expect(poetry).toMatchObject({
      name: "my-app",
      version: "1.2",
      dependencies: [],
      dynamicDependencies: true,
      scripts: {},
      build: { extras: ["cli"] },
      isPackage: true,
    });
    expect(() => read("[tool.poetry]\nname = 'a/b'")).toThrow(
      /tool\.poetry\.name is no project name/,
    );
  });

  test("knows a dynamic version, and uv's own word on packages", () => {
    expect(read('[project]\nname = "a"\ndynamic = ["version"]')).not.toHaveProperty("version");
    expect(
      read(`${PROJECT}[tool.uv]\npackage = false\n[build-system]\nrequires = []`).isPackage,
    ).toBe(false);
    expect(read(PROJECT)).not.toHaveProperty("isPackage");
  });

  const cases: [string, string, RegExp][] = [
    ["no name", "[project]\nversion = '1'", /project\.name is missing/],
    [
      "a name that is a path",
      '[project]\nname = "../x"\nversion = "1"',
      /project\.name is no project name/,
    ],
    ["no version", '[project]\nname = "a"', /project\.version is missing and not dynamic/],
    [
      "a version that is none",
      '[project]\nname = "a"\nversion = "1.0-foo"',
      /project\.version "1\.0-foo" is no version/,
    ],
    [
      "a requires-python that is none",
      `${PROJECT}requires-python = ">=3.x"`,
      /requires-python ">=3\.x" is no version specifier/,
    ],
    [
      "a dependency that is none",
      `${PROJECT}dependencies = ["idna=>3"]`,
      /project\.dependencies\.0 holds "idna=>3", which is no requirement/,
    ],
    [
      "an extra's dependency that is none",
      `${PROJECT}[project.optional-dependencies]\nx = ["./y"]`,
      /optional-dependencies\.x\.0 holds "\.\/y"/,
    ],
    [
      "dependencies that are no list",
      `${PROJECT}dependencies = "x"`,
      /project\.dependencies must be Array/,
    ],
    [
      "an unknown extra",
      `${PROJECT}[project.optional-dependencies]\nsocks = []\n[tool.sealift.build]\nextras = ["sock"]`,
      /names sock/,
    ],
    [
      "an unknown key",
      `${PROJECT}[tool.sealift.build]\nextra_package = []`,
      /tool\.sealift\.build\.extra_package is not a known key/,
    ],
    [
      "a level that does not exist",
      `${PROJECT}[tool.sealift.runtime]\noptimization_level = 3`,
      /must be 0, 1 or 2/,
    ],
    [
      "docstrings left out of bytecode that is not made",
      `${PROJECT}[tool.sealift.runtime]\ncompile_bytecode = false\nstrip_docstrings = true`,
      /runtime\.strip_docstrings contradicts compile_bytecode = false/,
    ],
    [
      "docstrings kept at level 2",
      `${PROJECT}[tool.flavor.runtime]\noptimization_level = 2\nstrip_docstrings = false`,
      /tool\.flavor\.runtime\.strip_docstrings contradicts optimization_level = 2/,
    ],
    [
      "a Python that is no version",
      `${PROJECT}[tool.sealift.python]\nversion = "latest"`,
      /must be like/,
    ],
  ];
  test.each(cases)("refuses %s", (_, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test("refuses entry points and commands that would be code or paths", async () => {
    for (const reference of [
      "a",
      "a:",
      ":b",
      "a:b:c",
      "a;b:c",
      "a:b()",
      "a b:c",
      "a:b\\nimport os",
    ]) {
      expect(
        await codeOf(() => read(`${PROJECT}[tool.sealift]\nentry_point = "${reference}"`)),
      ).toBe("ENTRY_POINT");
    }
    for (const name of ["../x", "a/b", ".x", "-x", "a b", ""]) {
      expect(await codeOf(() => read(`${PROJECT}[project.scripts]\n"${name}" = "a:b"`))).toBe(
        "COMMAND_NAME",
      );
    }
  });
});

describe("commands", () => {
  const project = (more: string) => read(`${PROJECT}${more}`);
  const main = (more: string) =>
    defaultCommand(project(more), commandsOf(project(more), undefined));

  test("the entry point is the default, under the package's name", () => {
    expect(main('[tool.sealift]\nentry_point = "httpie.__main__:main"')).toBe("my-app");
    expect(
      main('[project.scripts]\nx = "a:b"\ny = "c:d"\n[tool.sealift]\nentry_point = "c:d"'),
    ).toBe("y");
    expect(main('[project.scripts]\nmy-app = "a:b"\n[tool.sealift]\nentry_point = "c:d"')).toBe(
      "my-app-entry",
    );
  });
  test("else the script named like the project, else the first", () => {
    expect(main('[project.scripts]\nx = "a:b"\nmy-app = "c:d"')).toBe("my-app");
    expect(main('[project.scripts]\nx = "a:b"\ny = "c:d"')).toBe("x");
  });
  test("the wheel's own scripts count too", () => {
    const wheel = { consoleScripts: { built: "a:b" }, guiScripts: {} } as unknown as StagedWheel;
    expect([...commandsOf(project(""), wheel).keys()]).toEqual(["built"]);
  });
});

const layout = (platform: string) => layoutOf({ platform, minor: [3, 11], abiFlags: "" });

test("start commands are isolated and say the optimisation", () => {
  const start = (table: Parameters<typeof runtimeSettings>[0], place = placeOf("")) =>
    startCommand(place, layout("linux"), "x", { ...runtimeSettings(table), windowed: false });
  expect(start({})).toEqual(["{workenv}/bin/python3.11", "-I", "{workenv}/libexec/x"]);
  expect(start({ optimization_level: 2 })).toContain("-OO");
  expect(start({ compile_bytecode: false })).toContain("-B");
  expect(start({}, placeOf("3.9"))[0]).toBe("{workenv}/python-3.9/bin/python3.11");
  const windows = (windowed: boolean) =>
    startCommand(placeOf(""), layout("win32"), "x", { ...runtimeSettings({}), windowed })[0];
  expect([windows(false), windows(true)]).toEqual([
    "{workenv}/Scripts/python.exe",
    "{workenv}/Scripts/pythonw.exe",
  ]);
  const prepare = prepareCommand(placeOf("3.9"), layout("linux"), "3.11.7", ["a.pth"]);
  expect(prepare.slice(4)).toEqual([
    "{workenv}/python-3.9/lib/sealift/prepare.py",
    "{workenv}/python-3.9",
    "{slot:runtime-3.9}",
    "{slot:site-3.9}",
    "bin/python3.11",
    "lib/python3.11/site-packages",
    "3.11.7",
    "a.pth",
  ]);
});

test("a start script imports, guards, calls and passes the exit code on", () => {
  const { path, source } = startScript("tool", "pkg.cli:App.run");
  expect(path).toBe("libexec/tool");
  expect(new TextDecoder().decode((source as { bytes: Uint8Array }).bytes)).toBe(
    'import sys\n\nfrom pkg.cli import App\n\nif __name__ == "__main__":\n    sys.exit(App.run())\n',
  );
});

test("satisfiesPython() accepts pre-releases of Python and no malformed specifier", () => {
  expect(satisfiesPython("3.13.0rc1", ">=3.12")).toBe(true);
  expect(satisfiesPython("3.11.7", ">=3.8, !=3.9.*, <4")).toBe(true);
  expect(satisfiesPython("3.11.7", "<3.11")).toBe(false);
  expect(satisfiesPython("3.11.7", "banana")).toBe(false);
});
