/**
 * Locks that Poetry 1.1.15, 1.8.5 and 2.5.1, PDM 2.22.4 and pipenv 2024.4.1 made of one project, read for several targets. Their index was
 * renamed, and the fingerprint made anew with the same tool.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";

import { readLockText } from "../../../lib/python/lock/lock-text.ts";
import type { LockedPackage, LockTarget, LockWish } from "../../../lib/python/lock/locked.ts";
import { readPdmLock } from "../../../lib/python/lock/pdm-lock.ts";
import { readPipfileLock } from "../../../lib/python/lock/pipfile-lock.ts";
import { readPoetryLock } from "../../../lib/python/lock/poetry-lock.ts";
import { codeOf, scratch } from "../fixture.ts";
import { targetOf } from "../resolve/target.ts";

const text = (...path: string[]) => readFileSync(join(import.meta.dir, "locks", ...path), "utf8");
const toml = (source: string) => Bun.TOML.parse(source) as Record<string, unknown>;

/** The project's own requirements and those of its extra and groups, for the lock that has to be followed. */
const ROOTS = ["click>=8.1,<9", "httpx[socks]~=0.28.0", "zipp>=3,<4; python_version < '3.10'"];
const NAMED: Record<string, string[]> = {
  pretty: ["rich>=13,<14"],
  dev: ["iniconfig>=2,<3"],
  docs: ["markdown==3.*"],
};

type Edit = (lock: string) => string;
type Read = (target: LockTarget, wish: LockWish, edit?: Edit, manifest?: Edit) => LockedPackage[];
const same: Edit = (lock) => lock;

const poetry =
  (folder: string): Read =>
  (target, wish, edit = same, manifest = same) =>
    readPoetryLock(
      edit(text(folder, "poetry.lock")),
      "poetry.lock",
      toml(manifest(text(folder, "pyproject.toml"))),
      target,
      wish,
    );
const pdm =
  (folder: string): Read =>
  (target, wish, edit = same, manifest = same) =>
    readPdmLock(
      edit(text(folder, "pdm.lock")),
      "pdm.lock",
      {
        document: toml(manifest(text(folder, "pyproject.toml"))),
        roots: [...ROOTS, ...[...wish.extras, ...wish.groups].flatMap((name) => NAMED[name] ?? [])],
      },
      target,
      wish,
    );
const pipenv: Read = (target, wish, edit = same, manifest = same) =>
  readPipfileLock(
    edit(text("pipenv", "Pipfile.lock")),
    "Pipfile.lock",
    { document: toml(manifest(text("pipenv", "Pipfile"))), ownIndex: false },
    target,
    wish,
  );

const NOTHING: LockWish = { extras: [], groups: [] };
const names = (list: LockedPackage[]) => list.map((item) => item.name).join(" ");
const BASE = "anyio certifi click h11 httpcore httpx idna socksio typing-extensions";

describe.each([
  ["poetry.lock 1.1", poetry("poetry-1.1")],
  ["poetry.lock 2.0", poetry("poetry-1.8")],
  ["poetry.lock 2.1", poetry("poetry-2")],
  ["pdm.lock 4.5", pdm("pdm")],
  ["pdm.lock 4.5 without inherited metadata", pdm("pdm-static")],
])("%s", (kind, read) => {
  test("has what the project needs, and nothing else", () => {
    expect(names(read(targetOf(11), NOTHING))).toBe(BASE);
  });
  test("has what an older Python needs", () => {
    expect(names(read(targetOf(9), NOTHING))).toBe(
      "anyio certifi click exceptiongroup h11 httpcore httpx idna socksio typing-extensions zipp",
    );
  });
  test("has what another system needs", () => {
    expect(names(read(targetOf(13, "win32"), NOTHING))).toBe(
      "anyio certifi click colorama h11 httpcore httpx idna socksio",
    );
  });
  test("has an extra and a group when they are wanted", () => {
    expect(names(read(targetOf(12), { extras: ["pretty"], groups: ["dev"] }))).toBe(
      "anyio certifi click h11 httpcore httpx idna iniconfig markdown-it-py mdurl pygments rich socksio typing-extensions",
    );
  });
  // Groups beside dev came with Poetry 1.2.
  if (kind !== "poetry.lock 1.1") {
    test("has an optional group with what only it needs", () => {
      expect(names(read(targetOf(9), { extras: [], groups: ["docs"] }))).toContain(
        "importlib-metadata markdown",
      );
    });
  }
  test("names one wheel for each, with its SHA-256", () => {
    const click = read(targetOf(11), NOTHING).find(({ name }) => name === "click");
    expect(click).toMatchObject({
      version: "8.1.8",
      source: "file",
      artifact: {
        kind: "wheel",
        file: "click-8.1.8-py3-none-any.whl",
        sha256: "63c132bbbed01578a06712a2d1f497bb62d9c1c0d329b7903a866228027263b2",
      },
    });
  });
  test("is refused when the requirements changed since", async () => {
    const edit: Edit = (manifest) => manifest.replace(/0\.28/, "0.29");
    expect(await codeOf(() => read(targetOf(11), NOTHING, same, edit))).toBe("LOCK_STALE");
  });
  test("does not mind changes that are not about requirements", () => {
    const edit: Edit = (manifest) => manifest.replace("as ", "of ").replace("0.4.0", "0.5.0");
    expect(names(read(targetOf(11), NOTHING, same, edit))).toBe(BASE);
  });

  const broken: [string, string, Edit][] = [
    ["a cut one", "LOCK_TEXT LOCK_FIELD LOCK_STALE", (lock) => lock.slice(0, lock.length / 3)],
    ["an empty one", "LOCK_FIELD", () => ""],
    ["a later version", "LOCK_VERSION", (lock) => lock.replace(/(lock.version = ")\d/, "$19")],
    [
      "a version that is none",
      "LOCK_FIELD",
      (lock) => lock.replace('version = "8.1.8"', 'version = "8.1.8 "'),
    ],
    ["a weak hash", "LOCK_HASH", (lock) => lock.replaceAll("sha256:63c132", "md5:63c132")],
    ["half a hash", "LOCK_HASH", (lock) => lock.replaceAll(/sha256:63c132\w+/g, "sha256:63")],
    [
      "a file name that climbs",
      "LOCK_NAME LOCK_NO_WHEEL",
      (lock) =>
        lock
          .replaceAll('"click-8.1.8-py3', '"../click-8.1.8-py3')
          .replaceAll("/click-8.1.8-py3-none-any.whl", "/..%2Fclick-8.1.8-py3-none-any.whl"),
    ],
    ["a marker that is none", "MARKER", (lock) => lock.replaceAll("platform_system", "weather")],
    [
      "a package twice",
      "LOCK_DUPLICATE",
      (lock) => {
        const [entry = ""] =
          /\[\[package\]\]\nname = "click"[^]*?(?=\n\[\[package)/.exec(lock) ?? [];
        return lock.replace(entry, `${entry}\n${entry}`);
      },
    ],
    [
      "a package that a needed one requires and that is not there",
      "LOCK_INCOMPLETE",
      (lock) => lock.replaceAll('name = "h11"', 'name = "h12"'),
    ],
  ];
  // A lock that was resolved for all targets lists no edges that are followed, so it is not seen there what is missing.
  const followed = /1\.1|2\.0|without/.test(kind);
  test.each(broken.filter(([what]) => followed || !what.includes("not there")))(
    "refuses %s",
    async (what, codes, edit) => {
      // The walk takes one of two equal entries, which harms nobody.
      const code = (await codeOf(() => read(targetOf(11), NOTHING, edit))) ?? "";
      if (followed && what === "a package twice") expect(code).toBe("");
      else expect(codes.split(" ")).toContain(code);
    },
  );

  test("without a file for the target says what there is", () => {
    const edit: Edit = (lock) =>
      lock
        .replaceAll("click-8.1.8-py3-none-any", "click-8.1.8-cp39-cp39-win_amd64")
        .replaceAll("click-8.1.8.tar.gz", "click-8.1.8.exe");
    expect(() => read(targetOf(11), NOTHING, edit)).toThrow(
      /click 8\.1\.8 has no wheel for linux x86_64, Python 3\.11 .*it has click-8\.1\.8-cp39-cp39-win_amd64\.whl/,
    );
  });

  test("random damage is an error of ours or another reading, never a crash", () => {
    const lock = text(
      {
        "poetry.lock 1.1": "poetry-1.1",
        "poetry.lock 2.0": "poetry-1.8",
        "poetry.lock 2.1": "poetry-2",
        "pdm.lock 4.5": "pdm",
      }[kind] ?? "pdm-static",
      kind.startsWith("pdm") ? "pdm.lock" : "poetry.lock",
    );
    fc.assert(
      fc.property(fc.nat(lock.length - 1), fc.nat(40), fc.string(), (at, length, noise) => {
        const edit: Edit = (whole) => whole.slice(0, at) + noise + whole.slice(at + length);
        try {
          read(targetOf(11), NOTHING, edit);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(?:LOCK_|MARKER|WHEEL_NAME|POETRY_)/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("Pipfile.lock", () => {
  const read = pipenv;
  test("has the packages of a category as hashes, without names of files", () => {
    const packages = read(targetOf(11), NOTHING);
    expect(names(packages)).toBe(
      "anyio certifi click h11 httpcore httpx idna socksio typing-extensions",
    );
    expect(packages.find(({ name }) => name === "h11")).toEqual({
      name: "h11",
      version: "0.16.0",
      source: "hashes",
      hashes: [
        "4e35b956cf45792e4caa5885e69fba00bdbc6ffafbfa020300e549b208ee5ff1",
        "63cf8bbe7522de3bf65932fda1d9c2772064ffb3dae62d55932da54b31cb6c86",
      ],
      indexes: ["https://index.example/simple"],
    });
  });
  test("dev means develop, and other categories have their names", () => {
    const packages = read(targetOf(11), { extras: [], groups: ["dev", "docs"] });
    expect(names(packages)).toContain("typing-extensions iniconfig markdown");
  });

  const cases: [string, string, LockWish, Edit, Edit][] = [
    ["an unknown category", "LOCK_GROUP", { extras: [], groups: ["dosc"] }, same, same],
    ["an extra", "LOCK_EXTRA", { extras: ["x"], groups: [] }, same, same],
    ["a changed Pipfile", "LOCK_STALE", NOTHING, same, (m) => m.replace("8.1", "8.0")],
    ["a cut one", "LOCK_TEXT", NOTHING, (lock) => lock.slice(0, -20), same],
    ["a list", "LOCK_FIELD", NOTHING, () => "[]", same],
    [
      "another specification",
      "LOCK_VERSION",
      NOTHING,
      (lock) => lock.replace('spec": 6', 'spec": 7'),
      same,
    ],
    ["weak hashes", "LOCK_HASH", NOTHING, (lock) => lock.replaceAll("sha256:", "md5:"), same],
    [
      "a name that is a path",
      "LOCK_NAME",
      NOTHING,
      (lock) => lock.replace('"h11"', '"../h11"'),
      same,
    ],
    [
      "two versions of one package",
      "LOCK_DUPLICATE",
      { extras: [], groups: ["dev"] },
      (lock) => lock.replace('"iniconfig"', '"h11"'),
      same,
    ],
    [
      "a branch in the place of a commit",
      "LOCK_COMMIT",
      NOTHING,
      (lock) =>
        lock.replace('"h11": {', '"h11": {"git": "https://example.org/h11", "ref": "main",'),
      same,
    ],
    [
      "another Python",
      "LOCK_PYTHON",
      NOTHING,
      (lock) => lock.replace('"requires": {}', '"requires": {"python_version": "3.1"}'),
      same,
    ],
  ];
  test.each(cases)("refuses %s", async (_, code, wish, edit, manifest) => {
    expect(await codeOf(() => read(targetOf(11), wish, edit, manifest))).toBe(code);
  });
  test("random damage is an error of ours or another reading, never a crash", () => {
    const lock = text("pipenv", "Pipfile.lock");
    fc.assert(
      fc.property(fc.nat(lock.length - 1), fc.nat(40), fc.string(), (at, length, noise) => {
        try {
          read(
            targetOf(11),
            NOTHING,
            (whole) => whole.slice(0, at) + noise + whole.slice(at + length),
          );
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(?:LOCK_|MARKER)/);
        }
      }),
      { numRuns: 60 },
    );
  });
});

test("a poetry.lock for another Python", async () => {
  expect(await codeOf(() => poetry("poetry-2")(targetOf(8), NOTHING))).toBe("LOCK_PYTHON");
});

test("a package with an address of its own, in Poetry's and PDM's notation", () => {
  const sha256 = "a".repeat(64);
  const files = `files = [{file = "v1.tar.gz", hash = "sha256:${sha256}"}]`;
  const from = (type: string, url: string, more = "") =>
    `\n[[package]]\nname = "own-${type}"\nversion = "1"\ngroups = ["main"]\n${files}\n[package.source]\ntype = "${type}"\nurl = "${url}"\n${more}\n`;
  const commit = "c".repeat(40);
  const added = [
    from("url", "https://example.org/v1.tar.gz#egg=x"),
    from("file", "../v1.tar.gz"),
    from("directory", "../lib"),
    from(
      "git",
      "https://example.org/x.git",
      `reference = "main"\nresolved_reference = "${commit}"\nsubdirectory = "s"`,
    ),
  ].join("");
  const packages = poetry("poetry-2")(targetOf(11), NOTHING, (lock) =>
    lock.replace("\n[extras]", `${added}\n[extras]`),
  );
  const artifact = { kind: "sdist" as const, file: "v1.tar.gz", sha256 };
  const head = { version: "1" };
  expect(packages.filter(({ name }) => name.startsWith("own-"))).toEqual([
    {
      ...head,
      name: "own-url",
      source: "file",
      archive: true,
      artifact: { ...artifact, location: { url: "https://example.org/v1.tar.gz" } },
    },
    {
      ...head,
      name: "own-file",
      source: "file",
      archive: true,
      artifact: { ...artifact, location: { path: "../v1.tar.gz" } },
    },
    { ...head, name: "own-directory", source: "directory", path: "../lib" },
    {
      ...head,
      name: "own-git",
      source: "git",
      git: { url: "https://example.org/x.git", commit },
      subdirectory: "s",
    },
  ]);
  const branch: Edit = (lock) =>
    lock.replace("\n[extras]", `${added.replace(commit, "main")}\n[extras]`);
  expect(() => poetry("poetry-2")(targetOf(11), NOTHING, branch)).toThrow(
    /own-git comes from Git without a whole commit/,
  );
});

describe("readLockText()", () => {
  test.each([
    ["LOCK_TEXT", new Uint8Array([0x22, 0xff, 0x22])],
    ["FILE_TOO_LARGE", undefined],
  ])("%s", async (code, bytes) => {
    using work = scratch();
    const path = join(work.path, "x.lock");
    if (bytes !== undefined) writeFileSync(path, bytes);
    else truncateSync((writeFileSync(path, ""), path), 65 << 20);
    expect(await codeOf(() => readLockText(path))).toBe(code);
  });
});

describe("extras and groups that a lock does not hold", () => {
  test.each([
    [poetry("poetry-2"), { extras: ["prety"], groups: [] }, "LOCK_EXTRA", "Did you mean pretty?"],
    [pdm("pdm"), { extras: [], groups: ["dosc"] }, "LOCK_GROUP", "Did you mean docs?"],
  ] as [Read, LockWish, string, string][])("%#: name the nearest one", (read, wish, code, hint) => {
    expect(() => read(targetOf(11), wish)).toThrow(expect.objectContaining({ code, hint }));
  });
});

test("a lock of 20,000 packages is read, one with more is not", async () => {
  const head = text("poetry-2", "poetry.lock");
  const start = head.indexOf("[[package]]");
  const entry = (i: number) =>
    `[[package]]\nname = "p${i}"\nversion = "1"\ngroups = ["x"]\nfiles = [{file = "p${i}-1-py3-none-any.whl", hash = "sha256:${"a".repeat(64)}"}]\n`;
  const many = (count: number) => {
    const all = Array.from({ length: count }, (_, i) => entry(i)).join("");
    return head.slice(0, start) + all + head.slice(start);
  };
  expect(names(poetry("poetry-2")(targetOf(11), NOTHING, () => many(19_900)))).toBe(BASE);
  expect(await codeOf(() => poetry("poetry-2")(targetOf(11), NOTHING, () => many(20_001)))).toBe(
    "LOCK_LIMIT",
  );
});
