/**
 * Packages that no index has: commits, folders, archives, finished wheels; and the settings that add to what is resolved. Everything is
 * made here and resolved from folders, so nothing but uv itself may have to be fetched.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { type Context, findProgram, run } from "../../../lib/base/mod.ts";
import { sha256File } from "../../../lib/codec/mod.ts";
import { hostPlatform } from "../../../lib/launcher/mod.ts";
import { locksOf } from "../../../lib/python/lock/locks.ts";
import {
  type PythonProject,
  readPyproject,
  type StagedPython,
  stagePython,
} from "../../../lib/python/mod.ts";
import { writeWheel } from "../fixture.ts";
import { attempt, context } from "../place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-sources-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A build backend that needs nothing: the package's folder becomes the wheel. */
const BACKEND = `
import os, zipfile
def build_wheel(target, config_settings=None, metadata_directory=None):
    name, version = open("NAME").read().split()
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/__init__.py": open("init.py").read(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    import base64, hashlib
    digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    files[f"{info}/RECORD"] = "".join(f"{path},sha256={digest(text)},{len(text.encode())}\\n" for path, text in files.items()) + f"{info}/RECORD,,\\n"
    file = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(target, file), "w") as zip:
        for path, text in files.items(): zip.writestr(path, text)
    return file
`;

/** The sources of a project named `name`. */
function sources(at: string, name: string): string {
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, "backend.py"), BACKEND);
  writeFileSync(join(at, "NAME"), `${name} 1.5`);
  writeFileSync(join(at, "init.py"), `def main():\n    print("${name}")\n`);
  writeFileSync(
    join(at, "pyproject.toml"),
    `[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "${name}"\nversion = "1.5"\n`,
  );
  return at;
}

interface Wishes {
  files?: Record<string, string>;
  project?: Record<string, unknown>;
  tool?: Record<string, unknown>;
  frozen?: boolean;
  wheel?: string;
  extras?: string[];
  groups?: string[];
  ctx?: Partial<Context>;
  document?: Record<string, unknown>;
}

async function stage(wishes: Wishes): Promise<StagedPython> {
  const root = mkdtempSync(join(folder, "project-"));
  for (const [name, text] of Object.entries(wishes.files ?? {})) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const manifest = join(root, "pyproject.toml");
  const document = {
    project: { name: "app", version: "1.0", ...wishes.project },
    ...wishes.document,
    tool: { sealift: { entry_point: "demo:main", ...wishes.tool } },
  };
  writeFileSync(manifest, toml(document));
  const given: PythonProject = readPyproject(document, manifest);
  return await stagePython(
    context({ offline: true, ...wishes.ctx }),
    wishes.wheel === undefined ? given : { ...given, wheel: wishes.wheel, isPackage: false },
    {
      platform: hostPlatform(),
      scratch: mkdtempSync(join(folder, "scratch-")),
      frozen: wishes.frozen,
      extras: wishes.extras,
      groups: wishes.groups,
    },
  );
}

/** What uv reads of the document. */
function toml({ project, ...rest }: Record<string, unknown>): string {
  const { "optional-dependencies": extras, ...plain } = project as Record<string, unknown>;
  const table = (name: string, entries: object) =>
    `[${name}]\n${Object.entries(entries)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
      .join("")}`;
  const groups = rest["dependency-groups"];
  return [
    table("project", plain),
    extras ? table("project.optional-dependencies", extras) : "",
    groups ? table("dependency-groups", groups) : "",
  ].join("\n");
}

const wheels = join(folder, "wheels");
mkdirSync(wheels);
const MAIN = { "demo/__init__.py": "def main():\n    pass\n" };
const meta = (name: string, version: string, more = "") => ({
  name,
  version,
  metadata: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${more}`,
});
const demo = writeWheel(wheels, {
  files: MAIN,
  ...meta(
    "demo",
    "1.0",
    "Requires-Dist: base>=1\nProvides-Extra: more\nRequires-Dist: other; extra == 'more'\n",
  ),
});
for (const version of ["1.0", "2.0"]) writeWheel(wheels, meta("base", version));
for (const name of ["other", "lint"]) writeWheel(wheels, meta(name, "1.0"));
const LINKS = { build: { find_links: [wheels] } };
const build = (more: Record<string, unknown>) => ({ build: { find_links: [wheels], ...more } });
const listed = (of: StagedPython) =>
  of.report.packages.map(({ name, version }) => `${name} ${version}`);

const ready = await attempt(async () => {
  // With the network once, for uv and the tools of the runtime.
  await stage({ project: { dependencies: ["demo"] }, tool: LINKS, ctx: { offline: false } });
});
const reason = typeof ready === "string" ? ready : undefined;
if (reason !== undefined) console.error(`Nothing is staged offline: ${reason}`);
const because = reason === undefined ? "" : ` (${reason})`;

describe.skipIf(reason !== undefined)(`sources that no index has${because}`, () => {
  test.skipIf(findProgram("git") === undefined)(
    "a commit, a folder in it, folders and an archive (skipped without git)",
    async () => {
      const place = join(folder, "everything");
      sources(join(place, "repo"), "whole");
      sources(join(place, "repo", "sub"), "part");
      const git = async (...argv: string[]) => {
        const own = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        const { stdout, code } = await run(["git", ...own, ...argv], { cwd: join(place, "repo") });
        expect(code).toBe(0);
        return new TextDecoder().decode(stdout).trim();
      };
      await git("init", "--quiet");
      await git("add", "-A");
      await git("commit", "--quiet", "-m", "one");
      const commit = await git("rev-parse", "HEAD");
      sources(join(place, "beside"), "beside");
      sources(join(place, "arch", "wrapped", "deep"), "deep");
      await run(["tar", "czf", "deep.tar.gz", "wrapped"], { cwd: join(place, "arch") });
      const archive = join(place, "arch", "deep.tar.gz");
      const vcs = `type = "git", url = "file://${place}/repo", commit-id = "${commit}"`;
      const lock = `lock-version = "1.0"
[[packages]]
name = "whole"
vcs = { ${vcs} }
[[packages]]
name = "part"
vcs = { ${vcs}, subdirectory = "sub" }
[[packages]]
name = "beside"
directory = { path = "${place}/beside", editable = true }
[[packages]]
name = "deep"
archive = { path = "${archive}", subdirectory = "deep", hashes = { sha256 = "${await sha256File(archive)}" } }
`;
      const of = await stage({
        files: { "pylock.toml": lock },
        frozen: true,
        tool: { entry_point: "whole:main" },
      });
      const origins = Object.fromEntries(
        of.report.packages.map(({ name, origin }) => [name, origin]),
      );
      expect(origins).toEqual({
        beside: expect.stringMatching(/everything\/beside$/),
        deep: "deep.tar.gz#subdirectory=deep",
        part: `git+file://${place}/repo@${commit}#subdirectory=sub`,
        whole: `git+file://${place}/repo@${commit}`,
      });
      const again = await stage({
        files: { "pylock.toml": lock },
        frozen: true,
        tool: { entry_point: "whole:main" },
      });
      expect(again.report.dependencyHash).toBe(of.report.dependencyHash);

      const outside = lock.replaceAll('"deep"', '"../deep"');
      await expect(
        stage({ files: { "pylock.toml": outside }, frozen: true }),
      ).rejects.toMatchObject({
        code: "PYLOCK_NAME",
      });
      const climbing = lock.replace('subdirectory = "deep"', 'subdirectory = "../.."');
      await expect(
        stage({ files: { "pylock.toml": climbing }, frozen: true }),
      ).rejects.toMatchObject({
        code: "SUBDIRECTORY",
      });
    },
  );

  test("build.dependencies names folders, and never a package of an index", async () => {
    sources(join(folder, "library"), "library");
    const of = await stage({
      project: { dependencies: ["demo"] },
      tool: build({ dependencies: ["../library"] }),
    });
    expect(listed(of)).toEqual(["base 2.0", "demo 1.0", "library 1.5"]);
    await expect(stage({ tool: build({ dependencies: ["other"] }) })).rejects.toMatchObject({
      code: "BUILD_FOLDER",
    });
  });

  test("a finished wheel is the application, with the extras that are wanted", async () => {
    const own = mkdtempSync(join(folder, "wheel-"));
    const path = join(own, "demo-1.0-py3-none-any.whl");
    cpSync(demo, path);
    const of = await stage({
      project: { name: "demo", dynamic: ["dependencies", "optional-dependencies"] },
      wheel: path,
      extras: ["more"],
      tool: LINKS,
    });
    expect(listed(of)).toEqual(["base 2.0", "other 1.0"]);
    expect(of.version).toBe("1.0");
  });
});

const DEPENDENT = {
  project: { dependencies: ["demo"], "optional-dependencies": { more: ["other"] } },
  document: { "dependency-groups": { dev: ["lint"] } },
};

describe.skipIf(reason !== undefined).each([["uv"], ["pip"]])(
  `what is resolved by %s${because}`,
  (tool) => {
    const usePip = tool === "pip" ? { use_pip: true } : {};
    test("extras, groups, files of requirements and constraints", async () => {
      const of = await stage({
        ...DEPENDENT,
        tool: build({ ...usePip, requirements_file: "r/more.txt", constraints: ["c.txt"] }),
        files: { "r/more.txt": "base\n", "c.txt": "base<2\n" },
        extras: ["more"],
        groups: ["dev"],
      });
      expect(of.report.resolution).toBe(tool);
      expect(listed(of)).toEqual(["base 1.0", "demo 1.0", "lint 1.0", "other 1.0"]);
    });
    test("no_dev_deps = false takes the group that the project's tool takes", async () => {
      const of = await stage({ ...DEPENDENT, tool: build({ ...usePip, no_dev_deps: false }) });
      expect(listed(of)).toEqual(["base 2.0", "demo 1.0", "lint 1.0"]);
    });
    test("a conflict is explained by the tool, in one error", async () => {
      const ctx = { offline: false, env: { ...process.env, UV_NO_INDEX: "1", PIP_NO_INDEX: "1" } };
      const conflict = stage({
        ...DEPENDENT,
        tool: build({ ...usePip, extra_packages: ["base<1"] }),
        ctx,
      });
      await expect(conflict).rejects.toMatchObject({
        code: "RESOLVE",
        message: expect.stringMatching(/base/),
      });
    });
    test("a locked project that is not asked for its lock says so", async () => {
      const of = await stage({ ...DEPENDENT, tool: build(usePip), files: { "poetry.lock": "" } });
      expect(of.report.notes).toContain(
        "poetry.lock was not looked at; --frozen takes the versions from it",
      );
    });
  },
);

describe("locksOf()", () => {
  const project = (root: string) =>
    readPyproject({ project: { name: "a", version: "1" } }, join(root, "pyproject.toml"));
  test("has the lock of the workspace above, but of no other project above", () => {
    const root = mkdtempSync(join(folder, "workspace-"));
    const member = join(root, "packages", "a");
    mkdirSync(member, { recursive: true });
    writeFileSync(join(root, "uv.lock"), "");
    writeFileSync(join(root, "pyproject.toml"), "[project]\n");
    expect(locksOf(project(member))).toEqual([]);
    writeFileSync(join(root, "pyproject.toml"), '[tool.uv.workspace]\nmembers = ["packages/*"]\n');
    expect(locksOf(project(member))).toEqual([join(root, "uv.lock")]);
    for (const name of ["pdm.lock", "requirements.txt"]) writeFileSync(join(member, name), "");
    expect(locksOf(project(member))).toEqual([
      join(member, "pdm.lock"),
      join(root, "uv.lock"),
      join(member, "requirements.txt"),
    ]);
  });
});

const pylock = (name: string, version: string) =>
  `lock-version = "1.0"\n[[packages]]\nname = "${name}"\nversion = "${version}"\ndirectory = { path = "x" }\n`;

describe.skipIf(reason !== undefined)(`settings that contradict each other${because}`, () => {
  const cases: [string, Wishes][] = [
    ["EXTRA_UNKNOWN", { ...DEPENDENT, extras: ["mroe"] }],
    ["GROUP_UNKNOWN", { ...DEPENDENT, groups: ["dve"] }],
    ["BUILD_FILE", { tool: build({ requirements_file: "no.txt" }) }],
    [
      "FROZEN_EXTRA",
      { frozen: true, files: { "pylock.toml": "" }, tool: build({ extra_packages: ["base"] }) },
    ],
    [
      "FROZEN_EXTRA",
      {
        frozen: true,
        files: { "pylock.toml": "", "c.txt": "" },
        tool: build({ constraints: "c.txt" }),
      },
    ],
    ["USE_PIP_UV", { frozen: true, files: { "uv.lock": "" }, tool: build({ use_pip: true }) }],
    [
      "FROZEN_FLAT",
      { frozen: true, files: { "requirements.txt": "" }, ...DEPENDENT, groups: ["dev"] },
    ],
    ["LOCK_TEXT", { frozen: true, files: { "uv.lock": "[" } }],
    [
      "LOCK_STALE",
      {
        frozen: true,
        ...DEPENDENT,
        files: { "uv.lock": 'version = 1\n[[package]]\nname = "app"\n' },
      },
    ],
    ["LOCK_STALE", { frozen: true, ...DEPENDENT, files: { "pylock.toml": pylock("other", "1") } }],
    [
      "LOCK_STALE",
      {
        frozen: true,
        project: { dependencies: ["demo>=2"] },
        files: { "pylock.toml": pylock("demo", "1") },
      },
    ],
    ["LOCK_MANIFEST", { frozen: true, files: { "Pipfile.lock": "{}" } }],
    ["FROZEN_MISSING", { frozen: true }],
  ];
  test.each(cases)("%s", async (code, wishes) => {
    await expect(stage(wishes)).rejects.toMatchObject({ code });
  });
});
