/**
 * The build environment of a real pack: variables, commands before resolution and before the build, `venv_path`, builds without
 * isolation, tests that travel. Skipped, with the reason, as httpie.test.ts is.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { run } from "../../../lib/base/mod.ts";
import { problem } from "../../pack/fixture.ts";
import { Application } from "../application.ts";
import { attempt } from "../place.ts";

setDefaultTimeout(300_000);

const MANIFEST = `
[project.scripts]
demo-app = "demo_app:main"
[tool.sealift.build]
pre_install_commands = ["sh -c 'echo one > made.txt; env | sort > environment.txt'"]
pre_build_commands = [["python", "generate.py"], "cp environment.txt src/demo_app/environment.txt"]
env = { GREETING = "hello there", SYSTEM = "any" }
platform.linux.env = { SYSTEM = "linux" }
platform.darwin.env = { SYSTEM = "darwin" }
venv_path = "the environment"
include_tests = true
`;
const FILES = {
  "generate.py": `import os, sys
assert os.environ["VIRTUAL_ENV"] == sys.prefix, sys.prefix
made = open("made.txt").read().strip()
with open("src/demo_app/generated.py", "w") as f:
    f.write("VALUE = %r\\n" % " ".join([made, os.environ["GREETING"], os.environ["SYSTEM"]]))
`,
  "src/demo_app/__init__.py": `import os, sys
def main():
    from .generated import VALUE
    here = os.path.dirname(__file__)
    names = dict(l.rstrip("\\n").split("=", 1) for l in open(os.path.join(here, "environment.txt")) if "=" in l)
    print(VALUE, os.path.basename(names["SEALIFT_PROJECT"]), names["SEALIFT_PLATFORM"].split("_")[0])
`,
  "tests/test_demo.py": `import unittest, demo_app
class Demo(unittest.TestCase):
    def test_value(self):
        from demo_app.generated import VALUE
        self.assertEqual(VALUE, "one hello there linux")
`,
};

const app = new Application(MANIFEST, FILES);
afterAll(() => app[Symbol.dispose]());
const packed = await attempt(() => app.pack());
const reason = typeof packed === "string" ? packed : undefined;
if (reason !== undefined) console.error(`The application is not packed: ${reason}`);

describe.skipIf(reason !== undefined)(
  `the build environment${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test("commands generate sources in a copy, with the project's variables", async () => {
      expect(await app.start()).toEqual({
        code: 0,
        stdout: "one hello there linux project linux\n",
        stderr: "",
      });
      expect(readdirSync(app.root).sort()).toEqual([
        "backend.py",
        "generate.py",
        "pyproject.toml",
        "src",
        "tests",
        "the environment",
      ]);
      expect(existsSync(join(app.root, "src/demo_app/generated.py"))).toBe(false);
    });

    test("tests travel, and one entry runs them", async () => {
      const { code, stderr } = await app.start([], { SEALIFT_ENTRY: "tests" });
      expect([code, stderr]).toEqual([0, expect.stringContaining("Ran 1 test")]);
    });

    test("venv_path keeps an environment with what was packed, and is made anew", async () => {
      const python = join(app.root, "the environment/bin/python");
      const { stdout } = await run([python, "-I", "-c", "import demo_app; demo_app.main()"]);
      expect(new TextDecoder().decode(stdout)).toStartWith("one hello there linux");
      const script = await run([join(app.root, "the environment/bin/demo-app")]);
      expect(script.code).toBe(0);
      await app.pack();
      expect((await run([python, "-c", ""])).code).toBe(0);
    });

    test("a folder that somebody else made is never replaced", async () => {
      using other = new Application(
        '[project.scripts]\nx = "demo_app:main"\n[tool.sealift.build]\nvenv_path = "src"\n',
        FILES,
      );
      expect(await problem(() => other.pack())).toStartWith("BUILD_VENV:");
      expect(existsSync(join(other.root, "src/demo_app/__init__.py"))).toBe(true);
    });

    test("a dry run leaves the project's folder alone", async () => {
      using other = new Application(MANIFEST, FILES);
      await other.pack({ dryRun: true });
      expect(existsSync(join(other.root, "the environment"))).toBe(false);
      expect(existsSync(other.package)).toBe(false);
    });

    const failing: [string, string, RegExp][] = [
      [
        "a command that fails",
        `pre_build_commands = ["true", "sh -c 'echo first; echo last >&2; exit 7'"]`,
        /^BUILD_COMMAND: \S+: build\.pre_build_commands\[1\]: "sh -c echo.*" ended with exit code 7\nfirst\nlast \|/,
      ],
      [
        "a command that cannot be split",
        `pre_install_commands = ["sh -c 'x"]`,
        /^COMMAND_WORDS: .*single quote/,
      ],
      [
        "a program that is not there",
        `pre_install_commands = [["no-such-program"]]`,
        /^PROGRAM_MISSING: \S+: build\.pre_install_commands\[0\]: The program no-such-program/,
      ],
    ];
    test.each(failing)("%s stops the pack, and nothing is written", async (_, keys, message) => {
      using other = new Application(
        `[project.scripts]\nx = "demo_app:main"\n[tool.sealift.build]\n${keys}\n`,
        FILES,
      );
      expect(await problem(() => other.pack())).toMatch(message);
      expect(existsSync(other.package)).toBe(false);
    });

    test("without isolation the project is built with what the build environment has", async () => {
      const backend = `import demo_backend_requirement\nfrom backend import build_wheel\n`;
      using other = new Application(
        `[project.scripts]
demo-app = "demo_app:main"
[tool.flavor.build]
isolation = false
pre_install_commands = [["python", "-c", "import sysconfig as s; open(s.get_path('purelib') + '/demo_backend_requirement.py', 'w')"]]
`,
        {
          "outer.py": backend,
          "src/demo_app/__init__.py": "def main():\n    print('built')\n",
        },
      );
      const text = readFileSync(join(other.root, "pyproject.toml"), "utf8");
      other.put({ "pyproject.toml": text.replace('"backend"', '"outer"') });
      await other.pack();
      expect((await other.start()).stdout).toBe("built\n");
      other.put({
        "pyproject.toml": text.replace('"backend"', '"outer"').replace("isolation = false\n", ""),
      });
      expect(await problem(() => other.pack())).toContain("demo_backend_requirement");
    });

    test("system_site_packages shows the machine's packages, and needs an environment", async () => {
      const manifest = (keys: string) =>
        `[project.scripts]\nx = "demo_app:main"\n[tool.sealift.build]\nsystem_site_packages = true\n${keys}\n`;
      using other = new Application(manifest('venv_path = "../kept"'), FILES);
      await other.pack();
      const kept = join(other.folder, "kept", "pyvenv.cfg");
      expect(readFileSync(kept, "utf8")).toContain("include-system-site-packages = true");
      using idle = new Application(manifest(""), FILES);
      expect(await problem(() => idle.pack())).toMatch(
        /build\.system_site_packages is about the build/,
      );
    });

    test("keys about a build are an error where nothing is built", async () => {
      using other = new Application("");
      other.put({
        "pyproject.toml":
          '[project]\nname = "a"\nversion = "1"\n[tool.sealift]\nentry_point = "json.tool:main"\n[tool.sealift.build]\npre_build_commands = ["true"]\n',
      });
      expect(await problem(() => other.pack())).toMatch(/build\.pre_build_commands is about the/);
    });
  },
);
