/** Preparing a package for another system: the commands run, but nothing foreign gets into an environment of this one. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { findProgram } from "../../../lib/base/mod.ts";
import { prepareBuild } from "../../../lib/python/prepare/prepare.ts";
import { readPyproject } from "../../../lib/python/project/project.ts";
import { probePython } from "../../../lib/python/runtime/interpreter.ts";
import { codeOf, offlineContext, scratch } from "../fixture.ts";

const program = findProgram("python3");

describe.skipIf(program === undefined)("prepareBuild() for another system", () => {
  async function prepare(folder: string, keys: string) {
    const root = join(folder, "root");
    for (const path of [root, join(folder, "scratch")]) mkdirSync(path);
    writeFileSync(join(root, "a.txt"), "a");
    const text = `[project]\nname = "a"\nversion = "1"\n[tool.sealift.build]\n${keys}`;
    const project = readPyproject(
      Bun.TOML.parse(text) as Record<string, unknown>,
      join(root, "pyproject.toml"),
    );
    const ctx = offlineContext(join(folder, "cache"));
    const python = await probePython(program ?? "", ctx);
    return await prepareBuild(ctx, project, python, {
      platform: "windows_arm64",
      scratch: join(folder, "scratch"),
      isNative: false,
      keepVenv: true,
    });
  }

  test("runs the commands, tells the platform, and keeps no environment", async () => {
    using folder = scratch();
    const command = `["sh", "-c", "echo $SEALIFT_PLATFORM $SEALIFT_OFFLINE > made.txt"]`;
    const done = await prepare(
      folder.path,
      `venv_path = "kept"\npre_install_commands = [${command}]\n`,
    );
    expect(readFileSync(join(done.sources ?? "", "made.txt"), "utf8")).toBe("windows_arm64 1\n");
    expect(existsSync(join(done.sources ?? "", "a.txt"))).toBe(true);
    expect(existsSync(join(folder.path, "root", "made.txt"))).toBe(false);
    expect(existsSync(join(folder.path, "root", "kept"))).toBe(false);
    expect(done.notes).toEqual([
      "the build environment has no packages, because they are for windows_arm64",
    ]);
  });

  test("refuses a build without isolation", async () => {
    using folder = scratch();
    expect(await codeOf(() => prepare(folder.path, "isolation = false\n"))).toBe("BUILD_ISOLATION");
  });

  test("does nothing where nothing is asked for", async () => {
    using folder = scratch();
    expect(await prepare(folder.path, "")).toEqual({ notes: [] });
  });
});
