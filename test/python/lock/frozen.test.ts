/** `--frozen` with a lock and wheels beside the project: nothing is asked of uv, of an index, or of the network. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sha256File } from "../../../lib/codec/mod.ts";
import { hostPlatform } from "../../../lib/launcher/mod.ts";
import { readPyproject, type StagedPython, stagePython } from "../../../lib/python/mod.ts";
import { type WheelParts, writeWheel } from "../fixture.ts";
import { attempt, context, inBareRoot, layOut } from "../place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-frozen-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MAIN = "import sys\ndef main():\n    print('hello', sys.argv[1:])\n";

interface Lie {
  sha256?: string;
  marker?: string;
}

async function stageLocked(
  wheels: (WheelParts & { lie?: Lie })[],
  offline = true,
): Promise<StagedPython> {
  const root = mkdtempSync(join(folder, "project-"));
  mkdirSync(join(root, "wheels"));
  let lock = 'lock-version = "1.0"\n';
  for (const { lie, ...parts } of wheels) {
    const path = writeWheel(join(root, "wheels"), parts);
    const relative = path.slice(root.length + 1);
    const hash = lie?.sha256 ?? (await sha256File(path));
    const marker = lie?.marker === undefined ? "" : `marker = "${lie.marker}"\n`;
    lock += `[[packages]]\nname = "${parts.name ?? "demo"}"\n${marker}wheels = [{ path = "${relative}", hashes = { sha256 = "${hash}" } }]\n`;
  }
  writeFileSync(join(root, "pylock.toml"), lock);
  const manifest = join(root, "pyproject.toml");
  const project = readPyproject(
    {
      project: { name: "app", version: "1.0", dependencies: ["demo"] },
      tool: { sealift: { entry_point: "demo:main" } },
    },
    manifest,
  );
  return await stagePython(context({ offline }), project, {
    platform: hostPlatform(),
    scratch: mkdtempSync(join(folder, "scratch-")),
    frozen: true,
  });
}

const demo: WheelParts = { files: { "demo/__init__.py": MAIN } };
const staged = await attempt(async () => {
  // Once with the network, which the runtime needs the first time.
  await stageLocked([demo], false);
  return await stageLocked([demo]);
});
const reason = typeof staged === "string" ? staged : undefined;
if (reason !== undefined) console.error(`Nothing is staged offline: ${reason}`);

describe.skipIf(reason !== undefined)(
  `--frozen${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test("stages and runs what the lock says", async () => {
      const of = staged as StagedPython;
      expect(of.report).toMatchObject({
        resolution: "pylock.toml",
        packages: [{ name: "demo", version: "1.0" }],
      });
      const place = join(folder, "package");
      await layOut(of, place);
      for (const step of of.setup) expect((await inBareRoot(place, step.command)).stderr).toBe("");
      expect(await inBareRoot(place, [...of.execution.argv, "a"])).toEqual({
        code: 0,
        stdout: "hello ['a']\n",
        stderr: "",
      });
    });

    test("reads .pth files and old namespace packages as an installation would", async () => {
      const shared = {
        "space/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
      };
      const of = await stageLocked([
        {
          files: {
            ...demo.files,
            ...shared,
            "space/one.py": "x = 1\n",
            "demo.pth": "import sys; sys.demo_pth = True\nhidden\n",
            "hidden/secret.py": "y = 2\n",
          },
        },
        { name: "other", files: { ...shared, "space/two.py": "x = 2\n" } },
      ]);
      const place = join(folder, "pth");
      await layOut(of, place);
      for (const step of of.setup) expect((await inBareRoot(place, step.command)).stderr).toBe("");
      const code =
        "import sys, space.one, space.two, secret; print(sys.demo_pth, space.one.x, space.two.x, secret.y)";
      expect((await inBareRoot(place, [of.execution.argv[0] ?? "", "-I", "-c", code])).stdout).toBe(
        "True 1 2 2\n",
      );
    });

    test("takes only what the target needs", async () => {
      const of = await stageLocked([
        demo,
        { name: "winonly", lie: { marker: "sys_platform == 'win32'", sha256: "0".repeat(64) } },
      ]);
      expect(of.report.packages.map((p) => p.name)).toEqual(["demo"]);
    });

    test.each([
      ["WHEEL_DIGEST", [{ ...demo, lie: { sha256: "0".repeat(64) } }]],
      [
        "SITE_COLLISION",
        [{ files: { "x.py": "1", ...demo.files } }, { name: "b", files: { "x.py": "2" } }],
      ],
      ["WHEEL_PYTHON", [{ ...demo, metadata: "Name: demo\nVersion: 1.0\nRequires-Python: <3\n" }]],
      ["PYLOCK_NO_WHEEL", [{ ...demo, tag: "cp27-none-any" }]],
    ] as [string, (WheelParts & { lie?: Lie })[]][])("fails with %s", async (code, wheels) => {
      await expect(stageLocked(wheels)).rejects.toMatchObject({ code });
    });

    test("without a lock is a mistake of the command line", async () => {
      const manifest = join(mkdtempSync(join(folder, "empty-")), "pyproject.toml");
      const project = readPyproject(
        { project: { name: "a", version: "1", scripts: { a: "a:b" } } },
        manifest,
      );
      const options = { platform: hostPlatform(), scratch: folder, frozen: true };
      await expect(stagePython(context(), project, options)).rejects.toMatchObject({
        code: "FROZEN_MISSING",
        exit: 2,
      });
    });

    test("a program of another platform than the package's is refused", async () => {
      const manifest = join(mkdtempSync(join(folder, "empty-")), "pyproject.toml");
      const project = readPyproject(
        { project: { name: "a", version: "1", scripts: { a: "a:b" } } },
        manifest,
      );
      const options = { platform: "windows_arm64", python: "python3", scratch: folder };
      await expect(stagePython(context(), project, options)).rejects.toMatchObject({
        code: "PYTHON_PLATFORM",
      });
    });
  },
);
