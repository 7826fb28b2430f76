import { describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { parseEntryPoints, parseRecord } from "../../../lib/python/pep/metadata.ts";
import { unpackWheel } from "../../../lib/python/wheel/wheel.ts";
import { codeOf, scratch, wheelMembers, type WheelParts, writeWheel, zip } from "../fixture.ts";

async function unpack(parts: WheelParts) {
  using folder = scratch();
  using target = scratch();
  return await unpackWheel(writeWheel(folder.path, parts), target.path);
}

describe("unpackWheel()", () => {
  test("spreads the schemes and keeps executable bits", async () => {
    using folder = scratch();
    using target = scratch();
    const path = writeWheel(folder.path, {
      files: {
        "demo-1.0.data/scripts/tool": "#!python\nprint(1)\n",
        "demo-1.0.data/data/share/demo/x.txt": "x",
        "demo-1.0.data/purelib/extra.py": "y = 2\n",
        "demo-1.0.data/headers/demo.h": "",
      },
      modes: { "demo-1.0.data/scripts/tool": 0o100755 },
      entryPoints:
        "[console_scripts]\ndemo = demo:main\n\n[gui_scripts]\ndemo-gui = demo.gui:App.run [extra]\n[other]\nx = y\n",
    });
    const info = await unpackWheel(path, target.path);
    const placed = Object.fromEntries(
      info.files.map((f) => [f.member, [f.scheme, f.path, f.executable]]),
    );
    expect(placed).toMatchObject({
      "demo/__init__.py": ["site", "demo/__init__.py", false],
      "demo-1.0.data/scripts/tool": ["scripts", "tool", true],
      "demo-1.0.data/data/share/demo/x.txt": ["data", "share/demo/x.txt", false],
      "demo-1.0.data/purelib/extra.py": ["site", "extra.py", false],
      "demo-1.0.data/headers/demo.h": ["headers", "demo.h", false],
    });
    expect(info.consoleScripts).toEqual({ demo: "demo:main" });
    expect(info.guiScripts).toEqual({ "demo-gui": "demo.gui:App.run [extra]" });
    expect(statSync(join(target.path, "demo-1.0.data/scripts/tool")).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(target.path, "demo/__init__.py"), "utf8")).toBe("x = 1\n");
  });

  test("accepts the spellings of names and versions that tools use", async () => {
    const metadata = "Name: My.Demo\nVersion: 1.0+local.1\n";
    const info = await unpack({ name: "my_demo", version: "1.0+local.1", metadata });
    expect(info).toMatchObject({ name: "My.Demo", version: "1.0+local.1" });
  });

  const strong = (text: string) =>
    `sha512=${new Bun.CryptoHasher("sha512").update(text).digest("base64url")}`;
  test("accepts a stronger hash than SHA-256", async () => {
    const record = (rows: string[]) =>
      rows.map((r) => (r.startsWith("demo/") ? `demo/__init__.py,${strong("x = 1\n")},6` : r));
    expect((await unpack({ record })).files).toHaveLength(4);
  });

  const cases: [string, string, WheelParts][] = [
    [
      "a file that RECORD does not list",
      "WHEEL_RECORD",
      { unlisted: [{ name: "demo/evil.py", content: "" }] },
    ],
    [
      "a row without a file",
      "WHEEL_RECORD",
      { record: (r) => [...r, "demo/gone.py,sha256=" + "A".repeat(43) + ",1"] },
    ],
    ["a row twice", "WHEEL_RECORD", { record: (r) => [r[0] ?? "", ...r] }],
    [
      "a wrong size",
      "WHEEL_RECORD",
      { record: (r) => r.map((row) => row.replace(/^(demo\/.*),6$/, "$1,7")) },
    ],
    [
      "a wrong hash",
      "WHEEL_HASH",
      {
        record: (r) =>
          r.map((row) =>
            row.startsWith("demo/") ? `demo/__init__.py,sha256=${"A".repeat(43)},6` : row,
          ),
      },
    ],
    [
      "a weak hash",
      "WHEEL_RECORD",
      { record: (r) => r.map((row) => row.replace("sha256=", "md5=")) },
    ],
    [
      "a missing hash",
      "WHEEL_RECORD",
      { record: (r) => r.map((row) => (row.startsWith("demo/") ? "demo/__init__.py,," : row)) },
    ],
    ["bad CSV", "WHEEL_RECORD", { record: (r) => [...r, '"open'] }],
    ["METADATA of another project", "WHEEL_METADATA", { metadata: "Name: other\nVersion: 1.0\n" }],
    ["METADATA of another version", "WHEEL_METADATA", { metadata: "Name: demo\nVersion: 2.0\n" }],
    ["a newer wheel version", "WHEEL_VERSION", { wheel: "Wheel-Version: 2.0\n" }],
    ["a second .dist-info", "WHEEL_DIST_INFO", { files: { "x-1.dist-info/METADATA": "" } }],
    ["an unknown scheme", "WHEEL_SCHEME", { files: { "demo-1.0.data/root/etc/passwd": "" } }],
    ["a script in a folder", "COMMAND_NAME", { files: { "demo-1.0.data/scripts/sub/x": "" } }],
    [
      "a command that leaves bin/",
      "COMMAND_NAME",
      { entryPoints: "[console_scripts]\n../../x = demo:main\n" },
    ],
    [
      "a command that is code",
      "ENTRY_POINT",
      { entryPoints: "[console_scripts]\nx = demo:main();import os\n" },
    ],
    ["an entry point without group", "WHEEL_ENTRY_POINTS", { entryPoints: "x = y:z\n" }],
    [
      "a command that would replace the interpreter",
      "COMMAND_NAME",
      { entryPoints: "[gui_scripts]\npython3.11 = demo:main\n" },
    ],
    ["a program of its name", "COMMAND_NAME", { files: { "demo-1.0.data/scripts/Python": "" } }],
    ...[
      "pyvenv.cfg",
      ".sealift/ready",
      "lib/sealift/prepare.py",
      "libexec/demo",
      "bin/python3",
    ].map((path): [string, string, WheelParts] => [
      `data in the reserved place ${path}`,
      "WHEEL_SCHEME",
      { files: { [`demo-1.0.data/data/${path}`]: "" } },
    ]),
    ["a file that is a folder too", "WHEEL_NAMES", { files: { "a/b": "", a: "" } }],
    [
      "files that differ in case only",
      "WHEEL_NAMES",
      { files: { "demo/A.py": "", "demo/a.py": "" } },
    ],
    ["folders that differ in case only", "WHEEL_NAMES", { files: { "Demo/a.py": "" } }],
    ["a name beyond 255 bytes", "WHEEL_NAMES", { files: { [`demo/${"ü".repeat(128)}`]: "" } }],
    ["a path beyond 2,048 bytes", "WHEEL_NAMES", { files: { [`${"d/".repeat(1024)}x`]: "" } }],
    ["no scheme", "WHEEL_SCHEME", { files: { "demo-1.0.data/data": "" } }],
    [
      "a size that is no number",
      "WHEEL_RECORD",
      { record: (r) => r.map((row) => row.replace(/,6$/, ",six")) },
    ],
  ];
  test.each(cases)("refuses %s", async (_, code, parts) => {
    expect(await codeOf(() => unpack(parts))).toBe(code);
  });

  test("a command may have any name that JavaScript knows too", async () => {
    const entryPoints = "[console_scripts]\n__proto__ = demo:main\nconstructor = demo:main\n";
    const { consoleScripts } = await unpack({ entryPoints });
    expect(Object.keys(consoleScripts)).toEqual(["__proto__", "constructor"]);
  });

  test("a .data folder counts whatever its spelling, and platlib is site-packages", async () => {
    const info = await unpack({
      name: "My_Demo",
      files: { "my.demo-1.0.data/platlib/native.py": "", "my.demo-1.0.data/data/etc/x.ini": "" },
    });
    const placed = info.files.map((f) => [f.scheme, f.path]);
    expect(placed).toContainEqual(["site", "native.py"]);
    expect(placed).toContainEqual(["data", "etc/x.ini"]);
  });

  test("refuses a wheel without RECORD, and one whose RECORD is no UTF-8", async () => {
    using folder = scratch();
    using target = scratch();
    const path = join(folder.path, "demo-1.0-py3-none-any.whl");
    const members = wheelMembers();
    writeFileSync(path, zip(members.slice(0, -1)));
    expect(await codeOf(() => unpackWheel(path, target.path))).toBe("WHEEL_METADATA");
    const record = { name: "demo-1.0.dist-info/RECORD", content: new Uint8Array([0xff, 0xfe]) };
    writeFileSync(path, zip([...members.slice(0, -1), record]));
    expect(await codeOf(() => unpackWheel(path, target.path))).toBe("WHEEL_METADATA");
  });

  test("refuses a file that is no wheel by name, or holds no metadata", async () => {
    using folder = scratch();
    const named = join(folder.path, "demo.whl");
    writeFileSync(named, zip([]));
    expect(await codeOf(() => unpackWheel(named, folder.path))).toBe("WHEEL_NAME");
    const empty = join(folder.path, "demo-1.0-py3-none-any.whl");
    writeFileSync(empty, zip([{ name: "demo.py", content: "" }]));
    expect(await codeOf(() => unpackWheel(empty, folder.path))).toBe("WHEEL_DIST_INFO");
  });
});

test("parseRecord() reads quoted cells, CRLF and a missing last newline", () => {
  const hash = `sha256=${"A".repeat(43)}`;
  const rows = parseRecord(`"a,""b"".py",${hash},3\r\nc.py,${hash},`, "x.whl");
  expect([...rows.keys()]).toEqual(['a,"b".py', "c.py"]);
  expect(rows.get('a,"b".py')?.size).toBe(3);
});

test("parseEntryPoints() keeps case and drops comments", () => {
  const groups = parseEntryPoints("# c\n[Console_Scripts]\nA = b:c ; no\n; d\n", "x");
  expect([...groups]).toEqual([["Console_Scripts", new Map([["A", "b:c ; no"]])]]);
});
