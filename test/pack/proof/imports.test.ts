/** Commands that do not import are found before the key signs, by the packed interpreter in the packed environment. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { Application } from "../../python/application.ts";
import { attempt, CACHE } from "../../python/place.ts";
import { problem } from "../fixture.ts";

setDefaultTimeout(300_000);

const SCRIPTS = `[project.scripts]
demo-app = "demo.main:main"
other = "demo.other:group.run"
`;
const SOUND: Record<string, string> = {
  "src/demo/__init__.py": "",
  "src/demo/main.py": `import sys, os, os.path, json
import xml.etree.ElementTree
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import only_for_checkers
if sys.platform == "win32":
    import only_windows
elif sys.version_info < (3, 0):
    import urllib2
else:
    from . import here
try:
    import guarded_one
except ImportError:
    guarded_one = None
from contextlib import suppress
with suppress(ImportError):
    import guarded_three
def used_late():
    import late_one
def main():
    from .plugin import value
    print("main", value, os.environ.get("HOME", ""))
if __name__ == "__main__":
    import never
`,
  "src/demo/here.py": "",
  "src/demo/plugin.py": "value = 1\n",
  "src/demo/other.py": "class group:\n    run = staticmethod(lambda: print('other'))\n",
};

const app = new Application(SCRIPTS, SOUND);
const first = await attempt(() => app.pack({ validateBeforeSign: true }));
const reason = typeof first === "string" ? first : undefined;

describe.skipIf(reason !== undefined)(
  `imports${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const check = async (files: Record<string, string>, manifest = SCRIPTS) => {
      using broken = new Application(manifest, { ...SOUND, ...files });
      const message = await problem(() => broken.pack({ validateBeforeSign: true }));
      expect(existsSync(broken.package)).toBe(false);
      return message;
    };

    test("a sound application passes, with what is optional told apart", () => {
      if (typeof first === "string") throw new Error(first);
      const checks = Object.fromEntries(
        (first.outputs[0]?.checks ?? []).map(({ name, detail }) => [name, detail]),
      );
      expect(checks.imports).toContain("demo-app, other import; ");
      expect(checks.imports).toEndWith("absent: guarded_one, guarded_three, late_one");
      expect(checks.libraries).toContain("native files find what they need");
      expect(first.outputs[0]?.native?.glibc).toMatch(/^2\.\d+$/);
      expect(first.notes.join("\n")).toContain(
        "demo.main, line 20: a function imports late_one, which is not in the package",
      );
      expect(
        readdirSync(join(CACHE, "tmp")).filter((name) => name.startsWith("sealift-pack-")),
      ).toEqual([]);
    });

    test("a command whose module does not import names command, exception and line", async () => {
      const message = await check({ "src/demo/here.py": "import json\nimport nowhere.deep\n" });
      expect(message).toStartWith(
        "PACK_ENTRY: The command demo-app does not import: ModuleNotFoundError: No module named 'nowhere' (demo.here, line 2)",
      );
    });

    test("so does each whose function is not there, raises, leaves, crashes or is no function", async () => {
      const message = await check(
        {
          "src/demo/absent.py": "group = None\n",
          "src/demo/raises.py": "raise ValueError('no luck')\nrun = None\n",
          "src/demo/leaves.py": "import os\nos._exit(7)\nrun = None\n",
          "src/demo/crashes.py":
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\nrun = None\n",
          "src/demo/number.py": "class group:\n    run = 5\n",
        },
        `[project.scripts]
demo-app = "demo.absent:group.run"
raises = "demo.raises:run"
leaves = "demo.leaves:run"
crashes = "demo.crashes:run"
number = "demo.number:group.run"
`,
      );
      expect(message).toContain("The command demo-app does not import: AttributeError: 'NoneType'");
      expect(message).toContain("raises: ValueError: no luck");
      expect(message).toContain("leaves: it ended the interpreter with 7");
      expect(message).toContain("crashes: it was ended by signal 11");
      expect(message).toContain("number: TypeError: group.run is not callable");
    });

    test("a module of the application that is imported late must import too", async () => {
      expect(await check({ "src/demo/plugin.py": "import gone\n" })).toStartWith(
        "PACK_IMPORT: demo.plugin, line 1: imports gone, which is not in the package",
      );
    });

    test("commands are imported without a network, and not in the user's home", async () => {
      const probe = `import os, socket
assert "sealift-pack-" in os.path.expanduser("~"), os.path.expanduser("~")
names = sorted(name for _, name in socket.if_nameindex())
assert names == ["lo"], names
class group:
    run = print
`;
      const message = await check({ "src/demo/other.py": `${probe}raise ValueError("reached")\n` });
      // Where namespaces are forbidden the assertion about interfaces speaks, and that is known.
      expect(message).toMatch(/ValueError: reached|AssertionError: \[/);
    });

    test("a test command runs an entry in the packed environment, and what it prints is kept", async () => {
      const report = await app.pack({ testCommand: "demo-app" });
      const [check] = report.outputs[0]?.checks ?? [];
      expect(check?.name).toBe("test");
      expect(check?.detail).toMatch(/^demo-app ended with 0\nmain 1 /);
      const failed = await problem(() =>
        app.pack({ testCommand: "python3 -c 'import sys; print(1); sys.exit(3)'" }),
      );
      expect(failed).toMatch(
        /TEST_COMMAND: The test command ended with 3: .*\| Its last lines:\n1$/s,
      );
    });
  },
);
