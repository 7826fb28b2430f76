/**
 * `[tool.sealift.runtime]` and what travels of the dependencies, seen by a packed program. The dependency is a wheel of a folder.
 * Skipped, with the reason, as httpie.test.ts is.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import type { PackOptions } from "../../lib/pack/mod.ts";
import { Application } from "./application.ts";
import { writeWheel } from "./fixture.ts";
import { attempt } from "./place.ts";

setDefaultTimeout(300_000);

const FILES = {
  "src/demo_app.py": `"""about the app"""
import demo_lib, glob, json, os, sys
def main():
    """about main"""
    assert len(sys.argv) == 1, "assertions run"
    lib = os.path.dirname(demo_lib.__file__)
    with open(os.path.join(lib, "../demo_lib-1.0.dist-info/RECORD")) as f:
        record = [line.split(",")[0] for line in f.read().splitlines()]
    runtime = os.path.dirname(os.__file__)
    print(json.dumps({
        "doc": [__doc__, main.__doc__, demo_lib.__doc__, demo_lib.f.__doc__],
        "stdlib": json.dumps.__doc__ is not None,
        "cached": [os.path.exists(m.__cached__) for m in (sys.modules["demo_app"], demo_lib, json)],
        "pyc": len(glob.glob(runtime + "/**/*.pyc", recursive=True)) > 0,
        "flags": [sys.flags.optimize, sys.flags.dont_write_bytecode],
        "record": record,
        "missing": [p for p in record if not os.path.exists(os.path.join(lib, "..", p))],
        "line": f"{sys._getframe().f_lineno}",
    }))
`,
};

/** What the program says about itself, packed with these keys. */
async function packed(keys: string, options: PackOptions = {}) {
  const app = new Application(
    `dependencies = ["demo-lib"]
[project.scripts]
demo-app = "demo_app:main"
[tool.uv]
no-index = true
[tool.sealift.build]
find_links = "../wheels"
${keys}
`,
    FILES,
  );
  mkdirSync(join(app.folder, "wheels"));
  writeWheel(join(app.folder, "wheels"), {
    name: "demo_lib",
    files: {
      "demo_lib/__init__.py": '"""about the library"""\n"not this"\ndef f():\n    """about f"""\n',
      "demo_lib/tests/__init__.py": "",
      "demo_lib/tests/test_f.py": "",
      "demo_lib/typed.pyi": "",
      "demo_lib/data.txt": "data",
      "demo_lib_start.pth": "import sys\n",
    },
  });
  const report = await app.pack(options);
  const answer = async (words: string[] = []) => {
    const done = await app.start(words);
    return done.code === 0 ? JSON.parse(done.stdout) : done;
  };
  return { app, report, answer, [Symbol.dispose]: () => app[Symbol.dispose]() };
}

const first = await attempt(() => packed(""));
const reason = typeof first === "string" ? first : undefined;
if (reason !== undefined) console.error(`The application is not packed: ${reason}`);

describe.skipIf(reason !== undefined)(
  `options${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test("by default bytecode is there, with docstrings and assertions", async () => {
      using of = first as Exclude<typeof first, string>;
      const said = await of.answer();
      expect(said).toMatchObject({
        doc: ["about the app", "about main", "about the library", "about f"],
        stdlib: true,
        cached: [true, true, true],
        flags: [0, 0],
        missing: [],
      });
      expect(said.record).toContain("demo_lib/tests/test_f.py");
      expect((await of.answer(["x"])).stderr).toContain("assertions run");
      expect(of.report.notes).toContain(
        "demo_lib brings demo_lib_start.pth, which runs code at every start",
      );
    });

    test("strip_docstrings without -O: assertions stay, sources stay, docstrings go", async () => {
      using of = await packed("[tool.sealift.runtime]\nstrip_docstrings = true");
      const said = await of.answer();
      expect(said).toMatchObject({
        doc: [null, null, null, null],
        stdlib: false,
        cached: [true, true, true],
        flags: [0, 0],
        line: "18",
      });
      const failed = await of.answer(["x"]);
      expect(failed.stderr).toContain('assert len(sys.argv) == 1, "assertions run"');
    });

    test("optimization_level = 2 takes both away", async () => {
      using of = await packed("[tool.sealift.runtime]\noptimization_level = 2");
      expect(await of.answer(["x"])).toMatchObject({
        doc: [null, null, null, null],
        cached: [true, true, true],
        flags: [2, 0],
      });
    });

    test("compile_bytecode = false packs none, and none is written on the target", async () => {
      using of = await packed("[tool.sealift.runtime]\ncompile_bytecode = false");
      for (const turn of [1, 2]) {
        expect([turn, await of.answer()]).toMatchObject([
          turn,
          {
            doc: ["about the app", "about main", "about the library", "about f"],
            pyc: false,
            cached: [false, false, false],
            flags: [0, 1],
          },
        ]);
      }
    });

    test("exclude_from_deps leaves files out of the dependencies, RECORD follows", async () => {
      using of = await packed(
        'exclude_from_deps = ["**/tests/**", "*.pyi", "demo_app.py", "METADATA"]',
      );
      const said = await of.answer();
      expect(said.record.sort()).toEqual([
        "demo_lib-1.0.dist-info/INSTALLER",
        "demo_lib-1.0.dist-info/METADATA",
        "demo_lib-1.0.dist-info/RECORD",
        "demo_lib-1.0.dist-info/WHEEL",
        "demo_lib/__init__.py",
        "demo_lib/data.txt",
        "demo_lib_start.pth",
      ]);
      expect(said.missing).toEqual([]);
      expect(of.report.notes.filter((note) => note.includes("exclude_from_deps"))).toEqual([
        "build.exclude_from_deps: no file of the dependencies matches demo_app.py",
        "build.exclude_from_deps: no file of the dependencies matches METADATA",
      ]);
    });
  },
);
