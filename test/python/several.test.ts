/** Two Pythons in one package: each entry is started by its own, with the wheels that are for it. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sha256File } from "../../lib/codec/mod.ts";
import { hostPlatform } from "../../lib/launcher/mod.ts";
import { readPyproject, type StagedPython, stagePython } from "../../lib/python/mod.ts";
import { choosePython } from "../../lib/python/runtime/choose.ts";
import { localPythons } from "../../lib/python/runtime/local.ts";
import { codeOf, writeWheel } from "./fixture.ts";
import { attempt, context, inBareRoot, layOut } from "./place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-several-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MAIN = `
import subprocess, sys
def main():
    child = subprocess.run([sys.executable, "-c", "import demo, sys; print(demo.__file__.startswith(sys.prefix), sys.version_info[1])"], capture_output=True, text=True)
    print(sys.version_info[1], sys.argv[1:], child.stdout.split())
`;

/** Two minor versions of this machine that have the same wheel. */
async function twoVersions(): Promise<[string, string] | string> {
  const minors = new Set<string>();
  for await (const found of localPythons(context(), { versions: [], bounds: [] }))
    if (found.implementation === "cpython" && found.minor[1] >= 8)
      minors.add(found.minor.join("."));
  const [first, second] = [...minors];
  return first === undefined || second === undefined
    ? "this machine has one version of Python"
    : [first, second];
}

async function project(first: string, entries: string): Promise<string> {
  const root = mkdtempSync(join(folder, "project-"));
  const wheel = writeWheel(root, { name: "demo", files: { "demo/__init__.py": MAIN } });
  const file = wheel.slice(root.length + 1);
  const lock = `lock-version = "1.0"\n[[packages]]\nname = "demo"\nwheels = [{ path = "${file}", hashes = { sha256 = "${await sha256File(wheel)}" } }]\n`;
  writeFileSync(join(root, "pylock.toml"), lock);
  const manifest = `[project]\nname = "app"\nversion = "1.0"\ndependencies = ["demo"]\n[tool.sealift]\nentry_point = "demo:main"\npython.version = "${first}"\n${entries}`;
  writeFileSync(join(root, "pyproject.toml"), manifest);
  return root;
}

async function stage(root: string): Promise<StagedPython> {
  const manifest = join(root, "pyproject.toml");
  const document = Bun.TOML.parse(await Bun.file(manifest).text()) as Record<string, unknown>;
  const scratch = mkdtempSync(join(folder, "scratch-"));
  const options = { platform: hostPlatform(), frozen: true, scratch };
  return await stagePython(context({ offline: true }), readPyproject(document, manifest), options);
}

const versions = await twoVersions();
const staged =
  typeof versions === "string"
    ? versions
    : await attempt(async () => {
        const [first, second] = versions;
        const entries = `[tool.sealift.entries]\nold = { entry_point = "demo:main", python = "${second}" }\nsame = { entry_point = "demo:main", python = "${first}" }\n`;
        return await stage(await project(first, entries));
      });
const reason = typeof staged === "string" ? staged : undefined;
if (reason !== undefined) console.error(`Two Pythons are not tried: ${reason}`);

describe.skipIf(reason !== undefined)("two Pythons in a package", () => {
  const of = staged as StagedPython;
  const [first, second] = versions as [string, string];

  test("each has its slots, and an entry for the first one's version needs no other", () => {
    expect(of.slots.map(({ id, target, share }) => [id, target, share])).toEqual([
      ["runtime", "runtime", true],
      ["site", "site", true],
      ["app", "", false],
      [`runtime-${second}`, `runtime-${second}`, true],
      [`site-${second}`, `site-${second}`, true],
      [`app-${second}`, `python-${second}`, false],
    ]);
    expect(Object.keys(of.execution.entries).sort()).toEqual(["old", "same"]);
    expect(of.execution.argv).toEqual(of.execution.entries.same ?? []);
    expect(of.execution.entries.same?.[0]).toBe(`{workenv}/bin/python${first}`);
    expect(of.execution.entries.old?.[0]).toBe(`{workenv}/python-${second}/bin/python${second}`);
    expect(of.report.further?.map(({ version }) => version.startsWith(`${second}.`))).toEqual([
      true,
    ]);
    expect(of.setup.length).toBe(2);
  });

  test("each entry and its children run with their own Python in a bare root", async () => {
    const place = join(folder, "package");
    await layOut(of, place);
    for (const step of of.setup) {
      const { code, stderr } = await inBareRoot(place, step.command);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    }
    for (const [entry, version] of [
      ["same", first],
      ["old", second],
    ] as const) {
      const { code, stdout, stderr } = await inBareRoot(place, [
        ...(of.execution.entries[entry] ?? []),
        "x",
      ]);
      const minor = version.slice("3.".length);
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: `${minor} ['x'] ['False', '${minor}']\n`,
        stderr: "",
      });
    }
  });

  test("a version that the project excludes names the entry", async () => {
    const root = await project(
      first,
      `[tool.sealift.entries.old]\nentry_point = "demo:main"\npython = "3.98"\n`,
    );
    expect(await codeOf(() => stage(root))).toBe("PYTHON_MISSING");
    const manifest = join(root, "pyproject.toml");
    const document = Bun.TOML.parse(await Bun.file(manifest).text()) as Record<string, unknown>;
    const bound = readPyproject(document, manifest);
    const platform = hostPlatform();
    const asked = {
      platform,
      hostPlatform: platform,
      further: { version: "3.98", by: "entries.old.python" },
    };
    const needed = { ...bound, requiresPython: "<3.50" };
    await expect(choosePython(context(), needed, asked)).rejects.toMatchObject({
      code: "PYTHON_CONTRADICTION",
      message: expect.stringContaining("entries.old.python"),
    });
  });
});

test("an entry with a name that is no command, or a reference that is none, is refused", async () => {
  for (const line of ['"a/b" = { entry_point = "demo:main" }', 'a = { entry_point = "demo" }']) {
    const root = await project("3.11", `[tool.sealift.entries]\n${line}\n`);
    expect(await codeOf(() => stage(root))).toMatch(
      /^(?:COMMAND_NAME|ENTRY_POINT|OBJECT_REFERENCE)/,
    );
  }
});
