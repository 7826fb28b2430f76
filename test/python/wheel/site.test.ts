import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { findProgram, run } from "../../../lib/base/mod.ts";
import { sha256Hex, type TreeEntry } from "../../../lib/codec/mod.ts";
import { layoutOf } from "../../../lib/python/runtime/target.ts";
import { bytecodePath, compileBytecode, kindName } from "../../../lib/python/wheel/bytecode.ts";
import {
  type Bytecode,
  nativeItems,
  prefixEntries,
  siteEntries,
  type StagedWheel,
  stageWheel,
  withReplaced,
} from "../../../lib/python/wheel/site.ts";
import { codeOf, offlineContext, scratch, type WheelParts, writeWheel } from "../fixture.ts";

/** Stages wheels made from `parts`; no bytecode, as if no source were valid. */
async function withWheels<T>(
  parts: WheelParts[],
  body: (wheels: StagedWheel[], bytecode: Bytecode) => Promise<T> | T,
): Promise<T> {
  using folder = scratch();
  const ctx = offlineContext(join(folder.path, "cache"));
  const wheels = await Promise.all(
    parts.map((part) => stageWheel(ctx, writeWheel(folder.path, part))),
  );
  const none = new Map(wheels.map((wheel) => [wheel.key, wheel.files.map((file) => file.path)]));
  return await body(wheels, { folders: new Map(), skipped: none });
}

const site = (parts: WheelParts[]) =>
  withWheels(parts, (wheels, bytecode) =>
    siteEntries(wheels, bytecode, "cpython-311", 0).map(flat),
  );
const flat = (entry: TreeEntry) => ({ path: entry.path, text: textOf(entry), mode: entry.mode });

function textOf(entry: TreeEntry): string {
  const { source } = entry;
  if (typeof source === "string") return existsSync(source) ? readFileSync(source, "utf8") : "";
  return new TextDecoder().decode(source?.bytes);
}

describe("siteEntries()", () => {
  test("leaves bytecode that a wheel brings beside its source, and RECORD does not list it", async () => {
    const entries = await site([
      {
        files: {
          "demo/a.py": "a\n",
          "demo/__pycache__/a.cpython-311.pyc": "old",
          "demo/__pycache__/a.cpython-311.opt-1.pyc": "old",
          "demo/__pycache__/lone.cpython-311.pyc": "kept",
          "top.py": "t\n",
          "__pycache__/top.cpython-39.pyc": "old",
        },
      },
    ]);
    const paths = entries.map(({ path }) => path).filter((path) => path.endsWith(".pyc"));
    expect(paths).toEqual(["demo/__pycache__/lone.cpython-311.pyc"]);
    const record = entries.find(({ path }) => path.endsWith("RECORD"))?.text ?? "";
    expect(record).toContain("lone.cpython-311.pyc");
    expect(record).not.toContain("__pycache__/a.");
  });
  test("writes INSTALLER and a sorted RECORD of what is there", async () => {
    const entries = await site([
      {
        files: {
          "demo/b.py": "b\n",
          "demo-1.0.data/scripts/tool": "#!python\n",
          "demo-1.0.dist-info/INSTALLER": "other\n",
        },
      },
    ]);
    const record =
      entries
        .find((entry) => entry.path.endsWith("RECORD"))
        ?.text.trimEnd()
        .split("\n") ?? [];
    const paths = record.map((row) => row.split(",")[0]);
    expect(paths).toEqual([...paths].sort());
    expect(paths).toEqual([
      "demo-1.0.dist-info/INSTALLER",
      "demo-1.0.dist-info/METADATA",
      "demo-1.0.dist-info/RECORD",
      "demo-1.0.dist-info/WHEEL",
      "demo/__init__.py",
      "demo/b.py",
    ]);
    for (const entry of entries.filter((e) => !e.path.endsWith("RECORD"))) {
      const digest = Buffer.from(sha256Hex(new TextEncoder().encode(entry.text)), "hex").toString(
        "base64url",
      );
      expect(record).toContain(`${entry.path},sha256=${digest},${Buffer.byteLength(entry.text)}`);
    }
    expect(entries.find((entry) => entry.path.endsWith("INSTALLER"))?.text).toBe("sealift\n");
  });

  test("two wheels may share a file only with equal content", async () => {
    const shared = { "shared/__init__.py": "" };
    expect(
      (
        await site([
          { name: "a", files: shared },
          { name: "b", files: shared },
        ])
      ).filter((e) => e.path.startsWith("shared/")),
    ).toHaveLength(1);
    expect(
      await codeOf(() =>
        site([
          { name: "a", files: { "tests/x.py": "1" } },
          { name: "b", files: { "tests/x.py": "2" } },
        ]),
      ),
    ).toBe("SITE_COLLISION");
    expect(
      await codeOf(() =>
        site([
          { name: "a", files: { "X/y.py": "" } },
          { name: "b", files: { "x/y.py": "" } },
        ]),
      ),
    ).toBe("SITE_COLLISION");
  });

  test("a replaced file stands in RECORD with its own hash", async () => {
    await withWheels([{ files: { "demo/n.so": "old" } }], (wheels, bytecode) => {
      const [item] = nativeItems(wheels, "site");
      const other = join(wheels[0]?.folder ?? "", "other");
      writeFileSync(other, "newer");
      const replaced = new Map([
        [
          item?.source ?? "",
          { source: other, size: 5, sha256: sha256Hex(new TextEncoder().encode("newer")) },
        ],
      ]);
      const entries = siteEntries(withReplaced(wheels, replaced), bytecode, "cpython-311", 0);
      expect(textOf(entries.find((e) => e.path === "demo/n.so") as TreeEntry)).toBe("newer");
      expect(textOf(entries.find((e) => e.path.endsWith("RECORD")) as TreeEntry)).toContain(",5\n");
    });
  });
});

const UNIX = layoutOf({ platform: "linux", minor: [3, 11], abiFlags: "" });

test("prefixEntries() separates Python scripts, programs, data and headers", async () => {
  const entries = await withWheels(
    [
      {
        files: {
          "demo-1.0.data/scripts/tool": "#!python\nprint(1)\n",
          "demo-1.0.data/scripts/native": "\x7fELF",
          "demo-1.0.data/data/share/x": "x",
          "demo-1.0.data/headers/x.h": "",
        },
        entryPoints: "[console_scripts]\nrun = demo:main\n",
      },
      { name: "other", entryPoints: "[console_scripts]\nrun = other:main\n" },
    ],
    (wheels) => prefixEntries(wheels, UNIX).map(flat),
  );
  expect(entries.map(({ path, mode }) => [path, mode.toString(8)])).toEqual([
    ["libexec/tool", "644"],
    ["bin/native", "755"],
    ["share/x", "644"],
    ["include/site/python3.11/demo/x.h", "644"],
    ["libexec/run", "644"],
  ]);
  expect(entries[0]?.text).toBe("print(1)\n");
  expect(entries[4]?.text).toContain("from demo import main");
});

test("stageWheel() names what was built here by its content, not by its zip", async () => {
  using folder = scratch();
  const ctx = offlineContext(join(folder.path, "cache"));
  const path = writeWheel(folder.path, {});
  const [a, b] = [await stageWheel(ctx, path), await stageWheel(ctx, path, "f".repeat(64))];
  expect(a.key).not.toBe(b.key);
  expect(a.files).toEqual(b.files);
});

describe.skipIf(findProgram("python3") === undefined)("compileBytecode()", () => {
  const python = findProgram("python3") ?? "";
  const files: Record<string, string> = {
    "a.py": "import os\nX = {'a', 'b', 'c'}\ndef f(x): return x in {'a', 'b', 'c'}\n",
    "b.py": "print 'no'\n",
    "c.py": "def f():\n  return 'shared name', os, sys, X\n",
    "d.py": "\x00",
  };
  async function compile(
    folder: string,
    names: string[],
  ): Promise<{ failed: string[]; bytes: string[] }> {
    for (const name of names) writeFileSync(join(folder, name), files[name] ?? "");
    const jobs = names.map((name) => ({
      source: join(folder, name),
      name,
      target: join(folder, bytecodePath(name, "x", 0)),
    }));
    const failed = await compileBytecode(python, jobs, { level: 0, docstrings: true });
    const good = names.filter((name) => !failed.includes(join(folder, name))).sort();
    const bytes = good.map((name) =>
      readFileSync(join(folder, bytecodePath(name, "x", 0))).toString("hex"),
    );
    return { failed: failed.map((path) => path.slice(folder.length + 1)).sort(), bytes };
  }

  test("is the same in any order and place, and names what is not valid", async () => {
    using one = scratch();
    using two = scratch();
    const [a, b] = [
      await compile(one.path, Object.keys(files)),
      await compile(two.path, Object.keys(files).reverse()),
    ];
    expect(a.failed).toEqual(["b.py", "d.py"]);
    expect(b).toEqual(a);
    for (const hex of a.bytes) expect(hex.slice(8, 16)).toBe("01000000");
  });

  test("makes bytecode that runs without its source's time mattering", async () => {
    using folder = scratch();
    writeFileSync(join(folder.path, "m.py"), "print('compiled')\n");
    const tag = new TextDecoder()
      .decode((await run([python, "-c", "import sys; print(sys.implementation.cache_tag)"])).stdout)
      .trim();
    await compileBytecode(
      python,
      [
        {
          source: join(folder.path, "m.py"),
          name: "m.py",
          target: join(folder.path, bytecodePath("m.py", tag, 0)),
        },
      ],
      { level: 0, docstrings: true },
    );
    writeFileSync(join(folder.path, "m.py"), "print('changed')\n");
    const { stdout } = await run([python, "-c", "import m"], { cwd: folder.path });
    expect(new TextDecoder().decode(stdout)).toBe("compiled\n");
  });
});

test.skipIf(findProgram("python3") === undefined)(
  "a source whose bytecode would have too long a name has none",
  async () => {
    using folder = scratch();
    const name = `${"n".repeat(250)}.py`;
    writeFileSync(join(folder.path, name), "");
    const target = join(folder.path, bytecodePath(name, "cpython-311", 0));
    const job = { source: join(folder.path, name), name, target };
    const kind = { level: 0, docstrings: true } as const;
    expect(await compileBytecode(findProgram("python3") ?? "", [job], kind)).toEqual([job.source]);
  },
);

describe.skipIf(findProgram("python3") === undefined)("bytecode without docstrings", () => {
  const source = `"""module"""
"second"
from __future__ import annotations
def f():
    """only"""
class C:
    "one"
    "two"
    x = 1
    async def g(self):
        "doc"
        return "kept"
T = """text"""
import sys, asyncio
print(__doc__, f.__doc__, C.__doc__, C.g.__doc__, f(), C.x, asyncio.run(C().g()), T, sys._getframe().f_lineno)
`;

  test.each([0, 1] as const)(
    "below level 2 (%d) keeps every other text, and lines",
    async (level) => {
      using folder = scratch();
      const python = findProgram("python3") ?? "";
      const at = (name: string) => join(folder.path, name);
      writeFileSync(at("m.py"), source);
      const job = { source: at("m.py"), name: "m.py", target: at("m.pyc") };
      expect(await compileBytecode(python, [job], { level, docstrings: false })).toEqual([]);
      const { stdout, stderr } = await run([python, at("m.pyc")]);
      const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      expect(text).toBe("None None None None None 1 kept text 15\n");
      expect(readFileSync(at("m.pyc"), "latin1")).not.toContain("only");
    },
  );

  test("its cache has a name of its own", () => {
    expect(kindName({ level: 1, docstrings: true })).toBe("o1");
    expect(kindName({ level: 1, docstrings: false })).toBe("o1-nodoc");
    expect(kindName({ level: 2, docstrings: false })).toBe("o2");
  });
});

test("bytecodePath() follows PEP 3147 and 488", () => {
  expect(bytecodePath("a/b.py", "cpython-311", 0)).toBe("a/__pycache__/b.cpython-311.pyc");
  expect(bytecodePath("b.py", "cpython-311", 2)).toBe("__pycache__/b.cpython-311.opt-2.pyc");
});
