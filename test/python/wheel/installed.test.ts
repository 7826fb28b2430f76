/**
 * What wheels may bring beside plain packages, in a packed program: the three kinds of namespace packages shared by two dependencies and the
 * project, every installation scheme, scripts of dependencies. Skipped, with the reason, as httpie.test.ts is.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { Application } from "../application.ts";
import { writeWheel } from "../fixture.ts";
import { attempt } from "../place.ts";

setDefaultTimeout(300_000);

const PKGUTIL = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n";
/** As setuptools writes it for `namespace_packages`. */
const nspkg = (name: string) =>
  `import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('${name}',));importlib = has_mfs and __import__('importlib.util');has_mfs and __import__('importlib.machinery');m = has_mfs and sys.modules.setdefault('${name}', importlib.util.module_from_spec(importlib.machinery.PathFinder.find_spec('${name}', [os.path.dirname(p)])));m = m or sys.modules.setdefault('${name}', types.ModuleType('${name}'));mp = (m or []) and m.__dict__.setdefault('__path__',[]);(p not in mp) and mp.append(p)\n`;

/** The parts of one distribution of all namespaces. */
const parts = (name: string) => ({
  [`native/${name}.py`]: `NAME = "native ${name}"\n`,
  "old/__init__.py": PKGUTIL,
  [`old/${name}.py`]: `NAME = "old ${name}"\n`,
  [`older/${name}.py`]: `NAME = "older ${name}"\n`,
  [`${name}-1.0-nspkg.pth`]: nspkg("older"),
});

const app = new Application(
  `dependencies = ["first", "second"]
[project.scripts]
demo-app = "demo_app:main"
[tool.uv]
no-index = true
[tool.sealift.build]
find_links = "../wheels"
`,
  {
    "src/demo_app.py": `import importlib, importlib.metadata, json, os, subprocess, sys
def run(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()
def main():
    names = [importlib.import_module("%s.%s" % (n, p)).NAME for n in ("native", "old", "older") for p in ("first", "second", "own")]
    at = lambda *p: open(os.path.join(sys.prefix, *p)).read()
    print(json.dumps({
        "names": names,
        "data": at("share", "first", "data.txt"),
        "header": at("include", "site", "python%d.%d" % sys.version_info[:2], "first", "first.h"),
        "scripts": [run("first-tool", "x"), run("first-shell", "y"), run("first-entry"), run("first-window")],
        "versions": [importlib.metadata.version(n) for n in ("first", "second", "demo-app")],
        "scheme": [importlib.import_module(m).X for m in ("first_pure", "first_plat")],
    }))
`,
    ...Object.fromEntries(
      Object.entries(parts("own")).map(([path, text]) => [`src/${path}`, text]),
    ),
  },
);
afterAll(() => app[Symbol.dispose]());

const packed = await attempt(async () => {
  const wheels = join(app.folder, "wheels");
  mkdirSync(wheels);
  writeWheel(wheels, {
    name: "first",
    files: {
      ...parts("first"),
      "first-1.0.data/data/share/first/data.txt": "data of first",
      "first-1.0.data/headers/first.h": "/* h */",
      "first-1.0.data/purelib/first_pure.py": "X = 1\n",
      "first-1.0.data/platlib/first_plat.py": "X = 2\n",
      "first-1.0.data/scripts/first-tool":
        "#!python\nimport sys, native.first\nprint(native.first.NAME, sys.argv[1:])\n",
      "first-1.0.data/scripts/first-shell": '#!/bin/sh\necho "shell $1"\n',
      "first/cli.py": "def main():\n    print('entry')\ndef window():\n    print('window')\n",
    },
    modes: { "first-1.0.data/scripts/first-shell": 0o100755 },
    entryPoints:
      "[console_scripts]\nfirst-entry = first.cli:main\n[gui_scripts]\nfirst-window = first.cli:window\n",
  });
  writeWheel(wheels, { name: "second", files: parts("second") });
  return await app.pack();
});
const reason = typeof packed === "string" ? packed : undefined;
if (reason !== undefined) console.error(`The application is not packed: ${reason}`);

describe.skipIf(reason !== undefined)(
  `packed wheels${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test("namespaces, schemes and scripts work as after an installation", async () => {
      const { code, stdout, stderr } = await app.start();
      expect([code, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toEqual({
        names: ["native", "old", "older"].flatMap((n) =>
          ["first", "second", "own"].map((p) => `${n} ${p}`),
        ),
        data: "data of first",
        header: "/* h */",
        scripts: ["native first ['x']", "shell y", "entry", "window"],
        versions: ["1.0", "1.0", "1.0"],
        scheme: [1, 2],
      });
    });

    test("files that act at every start are told", () => {
      const { notes } = packed as Exclude<typeof packed, string>;
      expect(notes.toSorted()).toEqual([
        "demo-app brings own-1.0-nspkg.pth, which runs code at every start",
        "first brings first-1.0-nspkg.pth, which runs code at every start",
        "second brings second-1.0-nspkg.pth, which runs code at every start",
      ]);
    });
  },
);
