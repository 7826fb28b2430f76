/** Python projects that are named by something else than a pyproject.toml with [project]. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { loadProject } from "../../../lib/pack/mod.ts";
import { folder, problem } from "../fixture.ts";

const SETUP = 'from setuptools import setup\nsetup(\n    name="old-app",\n    version="1",\n)\n';
const PROJECT = '[project]\nname = "tool"\nversion = "2.0"\n';

describe("setup.py", () => {
  test.each([
    ["", (root: string) => root],
    ["named", (root: string) => join(root, "setup.py")],
  ])("is a manifest %s", async (_, path) => {
    using project = folder();
    const root = project.put({ "setup.py": SETUP });
    const found = await loadProject(path(root));
    expect(found).toMatchObject({
      kind: "python",
      manifest: join(root, "setup.py"),
      root,
      package: { name: "old-app", version: "dynamic" },
      python: { dynamicDependencies: true, dependencies: [] },
    });
  });

  test("beside a pyproject.toml without [project], which holds the settings", async () => {
    using project = folder();
    const root = project.put({
      "setup.py": "import setuptools; setuptools.setup()",
      "setup.cfg": "[options]\nname = no\n[metadata]\nname = cfg-app\n",
      "pyproject.toml":
        '[build-system]\nrequires = ["setuptools"]\n[tool.sealift]\npackage_name = "stock"\n',
    });
    const found = await loadProject(root);
    expect(found).toMatchObject({
      manifest: join(root, "setup.py"),
      package: { name: "stock" },
      python: { name: "cfg-app", isPackage: true },
    });
  });

  test("that says its name in no plain words has that of the folder", async () => {
    using project = folder();
    const root = project.put({ "my app/setup.py": "setup(name=NAME)" });
    expect((await loadProject(join(root, "my app"))).package.name).toBe("my-app");
  });

  test("beside [project] is no manifest of its own", async () => {
    using project = folder();
    const root = project.put({ "setup.py": SETUP, "pyproject.toml": PROJECT });
    expect((await loadProject(join(root, "setup.py"))).package.name).toBe("tool");
  });
});

describe("a lock as the manifest", () => {
  test.each([
    ["poetry.lock", "poetry.lock"],
    ["uv.lock", "uv.lock"],
    ["pdm.lock", "pdm.lock"],
    ["pylock.prod.toml", "pylock.prod.toml"],
    ["requirements-prod.txt", "requirements-prod.txt"],
    ["Pipfile", "Pipfile.lock"],
    ["Pipfile.lock", "Pipfile.lock"],
  ])("%s means the project beside it, and its versions", async (name, lock) => {
    using project = folder();
    const root = project.put({ [name]: "", [lock]: "", "pyproject.toml": PROJECT });
    expect(await loadProject(join(root, name))).toMatchObject({
      manifest: join(root, "pyproject.toml"),
      python: { name: "tool", lock: join(root, lock) },
    });
  });

  test("alone says which packages, but not which application", async () => {
    using project = folder();
    const root = project.put({ "poetry.lock": "" });
    expect(await problem(() => loadProject(join(root, "poetry.lock")))).toContain(
      "says which packages, but not which application",
    );
  });

  test("Pipfile without its lock", async () => {
    using project = folder();
    const root = project.put({ Pipfile: "", "pyproject.toml": PROJECT });
    expect(await problem(() => loadProject(join(root, "Pipfile")))).toContain("pipenv lock");
  });
});

describe("buildconfig.toml", () => {
  const FLAVOR = `${PROJECT}[tool.flavor.build]\nextra_packages = ["a"]\ndependencies = ["../x"]\n`;
  test("stands before [tool.flavor.build]", async () => {
    using project = folder();
    const root = project.put({
      "pyproject.toml": FLAVOR,
      "buildconfig.toml": '[build]\nextra_packages = ["b"]\n',
    });
    const { python } = await loadProject(root);
    expect(python?.build).toMatchObject({ extraPackages: ["b"], folders: ["../x"] });
  });
  test("is none of [tool.sealift]'s business", async () => {
    using project = folder();
    const root = project.put({ "pyproject.toml": PROJECT, "buildconfig.toml": "[" });
    expect((await loadProject(root)).python?.build.extraPackages).toEqual([]);
  });
  test.each([
    ["no TOML", "x = 1\n[", "buildconfig.toml:2"],
    ["an unknown key", "[build]\nextra_pakages = []", "extra_pakages is not a known key"],
  ])("with %s", async (_, text, words) => {
    using project = folder();
    const root = project.put({ "pyproject.toml": FLAVOR, "buildconfig.toml": text });
    expect(await problem(() => loadProject(root))).toContain(words);
  });
});

describe("a wheel", () => {
  test("is an application that is built already", async () => {
    using project = folder();
    const root = project.put({ "My_App-1.2-py3-none-any.whl": "" });
    const path = join(root, "My_App-1.2-py3-none-any.whl");
    expect(await loadProject(path)).toMatchObject({
      manifest: path,
      package: { name: "my-app", version: "1.2" },
      python: { wheel: path, isPackage: false, dynamicDependencies: true },
    });
  });

  test("with a name that is none", async () => {
    using project = folder();
    const root = project.put({ "app.whl": "" });
    expect(await problem(() => loadProject(join(root, "app.whl")))).toContain(
      "is not the name of a wheel",
    );
  });
});
