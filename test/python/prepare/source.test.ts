/** Which files are a project's sources, and the digest that names them. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { copySources, sourceHash } from "../../../lib/python/prepare/source.ts";
import { scratch } from "../fixture.ts";

function write(root: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const SOURCES = {
  "pyproject.toml": "[project]",
  "src/a/__init__.py": "A = 1",
  "run.sh": "#!/bin/sh",
};
const OTHERS = {
  ".venv/pyvenv.cfg": "",
  "other/pyvenv.cfg": "",
  "build/lib/a.py": "stale",
  "dist/a.whl": "",
  "src/a/__pycache__/a.pyc": "",
  "src/a.egg-info/PKG-INFO": "",
  "app.psp": "a package",
};

describe("sources", () => {
  test.skipIf(process.platform === "win32")("that are read-only give a copy to build in", () => {
    using folder = scratch();
    const root = write(join(folder.path, "root"), SOURCES);
    chmodSync(join(root, "src/a/__init__.py"), 0o444);
    chmodSync(join(root, "run.sh"), 0o555);
    for (const path of ["src/a", "src", ""]) chmodSync(join(root, path), 0o555);
    const copy = join(folder.path, "copy");
    copySources(root, copy);
    const mode = (path: string) => statSync(join(copy, path)).mode & 0o777;
    expect(["", "src/a", "src/a/__init__.py", "run.sh"].map(mode)).toEqual([
      0o755, 0o755, 0o644, 0o755,
    ]);
    for (const path of ["", "src", "src/a"]) chmodSync(join(root, path), 0o755);
  });
  test("are copied without environments, caches, outputs and packages", () => {
    using folder = scratch();
    const root = write(join(folder.path, "root"), { ...SOURCES, ...OTHERS, "src/build/x.py": "" });
    symlinkSync("run.sh", join(root, "link.sh"));
    copySources(root, join(folder.path, "copy"));
    const copied = readdirSync(join(folder.path, "copy"), { recursive: true }).map(String).sort();
    expect(copied).toEqual([
      "link.sh",
      "pyproject.toml",
      "run.sh",
      "src",
      "src/a",
      "src/a/__init__.py",
      "src/build",
      "src/build/x.py",
    ]);
  });

  test("have one digest, whatever else lies there, whenever and wherever", async () => {
    using folder = scratch();
    const one = write(join(folder.path, "one"), SOURCES);
    const two = write(join(folder.path, "another", "two"), { ...OTHERS, ...SOURCES });
    write(two, { ".git/HEAD": "ref: x" });
    utimesSync(join(two, "run.sh"), 1, 1);
    chmodSync(join(two, "pyproject.toml"), 0o600);
    const hash = await sourceHash(one);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await sourceHash(two)).toBe(hash);

    const changes: ((root: string) => void)[] = [
      (root) => write(root, { "run.sh": "#!/bin/bash" }),
      (root) => write(root, { "new.py": "" }),
      (root) => chmodSync(join(root, "run.sh"), 0o755),
      (root) => symlinkSync("run.sh", join(root, "link")),
    ];
    for (const [i, change] of changes.entries()) {
      const root = write(join(folder.path, `changed-${i}`), SOURCES);
      change(root);
      expect(await sourceHash(root)).not.toBe(hash);
    }
  });

  test("that are not there are an error of the environment", async () => {
    using folder = scratch();
    const gone = join(folder.path, "gone");
    expect(() => copySources(gone, join(folder.path, "copy"))).toThrow(gone);
    expect(sourceHash(gone)).rejects.toThrow(gone);
    expect(existsSync(join(folder.path, "copy"))).toBe(false);
  });
});
