import { describe, expect, test } from "bun:test";

import type { LockWish } from "../../../lib/python/lock/locked.ts";
import { readPylock } from "../../../lib/python/lock/pylock.ts";
import { codeOf } from "../fixture.ts";
import { targetOf } from "../resolve/target.ts";

const H = "a".repeat(64);
const target = targetOf(11);
const read = (text: string, wish?: LockWish) => readPylock(text, "pylock.toml", target, wish);
const HEAD = 'lock-version = "1.0"\ncreated-by = "test"\n';
const wheel = (file: string, hashes = `sha256 = "${H}"`) =>
  `{ url = "https://example.org/f/${file}", hashes = { ${hashes} } }`;
const pkg = (body: string) => `${HEAD}[[packages]]\nname = "Demo.Pkg"\nversion = "1.0"\n${body}\n`;

describe("readPylock()", () => {
  test("chooses the best wheel and normalises names", () => {
    const [item] = read(
      pkg(
        `wheels = [${wheel("demo_pkg-1.0-py3-none-any.whl")}, ${wheel("demo_pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.whl")}]`,
      ),
    );
    expect(item).toEqual({
      name: "demo-pkg",
      version: "1.0",
      source: "file",
      artifact: {
        kind: "wheel",
        file: "demo_pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
        location: {
          url: "https://example.org/f/demo_pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
        },
        sha256: H,
      },
    });
  });
  test("takes only files whose hashes are known, where they are given", async () => {
    const other = "b".repeat(64);
    const text = pkg(
      `wheels = [${wheel("demo_pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.whl")}, ${wheel("demo_pkg-1.0-py3-none-any.whl", `sha256 = "${other}"`)}]`,
    );
    const only = (known: string[]) =>
      readPylock(text, "requirements.txt", target, undefined, new Set(known));
    expect(only([other])).toMatchObject([
      { artifact: { file: "demo_pkg-1.0-py3-none-any.whl", sha256: other } },
    ]);
    expect(await codeOf(() => only(["c".repeat(64)]))).toBe("LOCK_DIFFERS");
  });
  test("falls back to the source distribution", () => {
    const [item] = read(
      pkg(
        `wheels = [${wheel("demo_pkg-1.0-cp311-cp311-win_amd64.whl")}]\nsdist = ${wheel("demo-1.0.tar.gz")}`,
      ),
    );
    expect(item).toMatchObject({
      source: "file",
      artifact: { kind: "sdist", file: "demo-1.0.tar.gz" },
    });
  });
  test("leaves out what markers exclude, whatever it holds", () => {
    expect(read(pkg(`marker = "sys_platform == 'win32'"`))).toEqual([]);
  });
  test("one package may stand there twice for different targets", () => {
    const text = `${pkg(`marker = "python_version < '3.9'"`)}\n[[packages]]\nname = "demo-pkg"\nwheels = [${wheel("demo_pkg-2-py3-none-any.whl")}]`;
    expect(read(text)).toHaveLength(1);
  });
  test("reads folders, archives and dates", () => {
    const text = `${HEAD}[[packages]]\nname = "a"\ndirectory = { path = "./a", subdirectory = "b" }\n[[packages]]\nname = "b"\narchive = { path = "b-1-py3-none-any.whl", upload-time = 2024-01-01T00:00:00Z, hashes = { sha256 = "${H}" } }`;
    expect(read(text)).toMatchObject([
      { name: "a", source: "directory", path: "./a/b" },
      {
        name: "b",
        source: "file",
        artifact: { kind: "wheel", location: { path: "b-1-py3-none-any.whl" } },
      },
    ]);
  });

  test("extras and groups by their markers; default groups without being asked", () => {
    const item = (name: string, marker: string) =>
      `[[packages]]\nname = "${name}"\nmarker = "${marker}"\ndirectory = { path = "${name}" }\n`;
    const text = [
      HEAD,
      'extras = ["Fast_IO"]\ndependency-groups = ["dev", "usual"]\ndefault-groups = ["usual"]\n',
      item("a", "'Fast_IO' in extras"),
      item("b", "'dev' in dependency_groups"),
      item("c", "'usual' in dependency_groups"),
    ].join("");
    const names = (wish: LockWish) => read(text, wish).map(({ name }) => name);
    expect(names({ extras: [], groups: [] })).toEqual(["c"]);
    expect(names({ extras: ["fast-io"], groups: ["dev"] })).toEqual(["a", "b", "c"]);
    expect(() => names({ extras: ["fast-oi"], groups: [] })).toThrow(
      expect.objectContaining({ code: "LOCK_EXTRA" }),
    );
    expect(() => names({ extras: [], groups: ["dve"] })).toThrow(
      expect.objectContaining({ code: "LOCK_GROUP", hint: "Did you mean dev?" }),
    );
  });
  test("commits, and folders inside of archives", () => {
    const commit = "c".repeat(40);
    const git = `vcs = { type = "git", url = "https://example.org/a", commit-id = "${commit}", subdirectory = "s" }`;
    const archive = `archive = { url = "https://example.org/a/v1.tar.gz", subdirectory = "s", hashes = { sha256 = "${H}" } }`;
    expect(read(pkg(git))).toMatchObject([
      { source: "git", git: { url: "https://example.org/a", commit }, subdirectory: "s" },
    ]);
    expect(read(pkg(archive))).toMatchObject([
      { source: "file", archive: true, subdirectory: "s", artifact: { file: "v1.tar.gz" } },
    ]);
  });

  const cases: [string, string, string][] = [
    [
      "a branch in the place of a commit",
      "PYLOCK_SOURCE",
      pkg('vcs = { type = "git", url = "https://e.org/a", commit-id = "main" }'),
    ],
    [
      "another version control system",
      "PYLOCK_SOURCE",
      pkg(`vcs = { type = "hg", url = "https://e.org/a", commit-id = "${"c".repeat(40)}" }`),
    ],
    ["no TOML", "PYLOCK_TOML", "="],
    ["no version", "PYLOCK_FIELD", "packages = []"],
    ["a later version", "PYLOCK_VERSION", 'lock-version = "2.0"\npackages = []'],
    ["packages that are no list", "PYLOCK_FIELD", 'lock-version = "1.0"\npackages = 3'],
    ["another Python", "PYLOCK_PYTHON", `${HEAD}requires-python = ">=3.12"\npackages = []`],
    [
      "environments without the target",
      "PYLOCK_ENVIRONMENT",
      `${HEAD}environments = ["sys_platform == 'win32'"]\npackages = []`,
    ],
    ["a malformed marker", "MARKER", pkg('marker = "os_name"')],
    ["no hash", "PYLOCK_HASH", pkg(`wheels = [${wheel("d-1-py3-none-any.whl", "")}]`)],
    ["a weak hash", "PYLOCK_HASH", pkg(`wheels = [${wheel("d-1-py3-none-any.whl", 'md5 = "x"')}]`)],
    [
      "half a hash",
      "PYLOCK_HASH",
      pkg(`wheels = [${wheel("d-1-py3-none-any.whl", 'sha256 = "ab"')}]`),
    ],
    [
      "no file for the target",
      "PYLOCK_NO_WHEEL",
      pkg(`wheels = [${wheel("d-1-cp311-cp311-win_amd64.whl")}]`),
    ],
    ["no file at all", "PYLOCK_NO_WHEEL", pkg("")],
    [
      "a file name that climbs",
      "PYLOCK_NAME",
      pkg(
        `wheels = [{ name = "../d-1-py3-none-any.whl", url = "https://e.org/x", hashes = { sha256 = "${H}" } }]`,
      ),
    ],
    [
      "a file name with an escaped slash",
      "PYLOCK_NAME",
      pkg(`wheels = [${wheel("..%2Fd-1-py3-none-any.whl")}]`),
    ],
    ["a broken escape", "PYLOCK_NAME", pkg(`wheels = [${wheel("d-1-py3-none-any%ZZ.whl")}]`)],
    [
      "an address of another kind",
      "PYLOCK_SOURCE",
      pkg(`sdist = { url = "ftp://e.org/d-1.tar.gz", hashes = { sha256 = "${H}" } }`),
    ],
    [
      "version control",
      "PYLOCK_SOURCE",
      pkg('vcs = { type = "git", url = "https://e.org/x", commit-id = "1" }'),
    ],
    ["a project name that is a path", "PYLOCK_NAME", `${HEAD}[[packages]]\nname = "../x"`],
    [
      "one package twice",
      "PYLOCK_DUPLICATE",
      pkg(
        `wheels = [${wheel("d-1-py3-none-any.whl")}]\n[[packages]]\nname = "demo_pkg"\nwheels = [${wheel("d-1-py3-none-any.whl")}]`,
      ),
    ],
    [
      "a package for another Python",
      "PYLOCK_PYTHON",
      pkg(`requires-python = "<3.9"\nwheels = [${wheel("d-1-py3-none-any.whl")}]`),
    ],
  ];
  test.each(cases)("refuses %s", async (_, code, text) => {
    expect(await codeOf(() => read(text))).toBe(code);
  });
});
