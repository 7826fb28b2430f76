/** Commands that lead nowhere, found at pack time without running anything. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { checkEntryPoints } from "../../lib/python/entry-points.ts";
import { codeOf, scratch } from "./fixture.ts";

const file = (path: string, text = "") => {
  const bytes = new TextEncoder().encode(text);
  return { path, type: "file" as const, mode: 0o644, size: bytes.length, source: { bytes } };
};
const target = { minor: [3, 11] as [number, number], platform: "linux", abiFlags: "" };
const runtime = { entries: [file("lib/python3.11/http/server.py", "def main(): ...")] };
const entries = [
  file("a/__init__.py", "from .b import (\n  main,\n)\n"),
  file("a/n.cpython-311.so"),
  file("a/sub.py", "def run(): ..."),
  file("star.py", "from a import *\n"),
  file("lazy.py", "def __getattr__(name): ..."),
  file("accent.py", "def \ufb01nd(): ..."),
];

const check = (reference: string, root = "/nowhere") =>
  codeOf(() =>
    checkEntryPoints(new Map([["x", reference]]), { root }, { entries, runtime, target }),
  );

test("what is there passes: modules, extensions, the standard library, submodules, names that come at run time", async () => {
  for (const reference of ["a:main", "a.n:main", "http.server:main", "a:sub.run", "a:n.f"])
    expect(await check(reference)).toBeUndefined();
  for (const reference of ["star:any", "lazy:any", "accent:find"])
    expect(await check(reference)).toBeUndefined();
});

test("a module that no slot holds is an error", async () => {
  expect(await check("b:main")).toBe("ENTRY_MODULE");
  expect(await check("a.b:main")).toBe("ENTRY_MODULE");
});

test("a name that its module never writes is an error", async () => {
  expect(await check("a:start")).toBe("ENTRY_NAME");
  expect(await check("a.sub:main")).toBe("ENTRY_NAME");
  expect(await check("http.server:serve")).toBe("ENTRY_NAME");
});

test("a module that lies in the project but not in its wheel: the hint says where to name it", () => {
  using folder = scratch();
  mkdirSync(join(folder.path, "src/pack"), { recursive: true });
  writeFileSync(join(folder.path, "manage.py"), "");
  writeFileSync(join(folder.path, "src/pack/__init__.py"), "");
  const hint = (reference: string) => {
    try {
      checkEntryPoints(
        new Map([["x", reference]]),
        { root: folder.path },
        { entries, runtime, target },
      );
      return undefined;
    } catch (error) {
      return (error as { hint: string }).hint;
    }
  };
  expect(hint("manage:main")).toContain("manage.py lies in the project");
  expect(hint("manage:main")).toContain("py-modules");
  expect(hint("pack:main")).toContain("src/pack/__init__.py lies in the project");
  expect(hint("other:main")).toContain("add the package");
});
