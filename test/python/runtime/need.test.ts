import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readPyproject } from "../../../lib/python/project/project.ts";
import { findVersionFile } from "../../../lib/python/project/python-version.ts";
import {
  needText,
  newestFirst,
  pythonNeed,
  unfitVersion,
  wishRank,
} from "../../../lib/python/runtime/need.ts";
import { codeOf } from "../fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "sealift-need-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;

/** A project in a folder of its own: lines of `[project]`, of `[tool.sealift.python]`, and its `.python-version`. */
function project(lines: { project?: string; python?: string; file?: string | Uint8Array } = {}) {
  const root = join(folder, String(count++));
  mkdirSync(root);
  if (lines.file !== undefined) writeFileSync(join(root, ".python-version"), lines.file);
  const text = `[project]\nname = "x"\nversion = "1"\n${lines.project ?? ""}\n[tool.sealift.python]\n${lines.python ?? ""}`;
  const manifest = join(root, "pyproject.toml");
  return readPyproject(Bun.TOML.parse(text) as Record<string, unknown>, manifest);
}

const message = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};

describe("pythonNeed()", () => {
  test("--python is before the manifest, the manifest before .python-version", () => {
    const all = project({ python: 'version = "3.11"', file: "3.10\n" });
    const asked = { version: "3.12", by: "--python" };
    expect(pythonNeed(all, asked).versions).toEqual([asked]);
    expect(pythonNeed(all).versions).toEqual([{ version: "3.11", by: "python.version" }]);
    const file = project({ file: "3.10\n" });
    expect(pythonNeed(file).versions).toEqual([
      { version: "3.10", by: join(file.root, ".python-version") },
    ]);
    expect(pythonNeed(project()).versions).toEqual([]);
  });

  test("bounds hold for every wish", () => {
    const need = pythonNeed(
      project({
        project: 'requires-python = ">=3.9"',
        python: 'min_version = "3.10"\nmax_version = "3.12"',
      }),
    );
    expect(["3.9.20", "3.10.0", "3.12.9", "3.13.0"].map((v) => unfitVersion(v, need))).toEqual([
      "not >=3.10 (python.min_version)",
      undefined,
      undefined,
      "not <3.13 (python.max_version)",
    ]);
    expect(needText(need)).toBe(
      ">=3.9 (requires-python), >=3.10 (python.min_version), <3.13 (python.max_version)",
    );
    expect(unfitVersion("3.7.9", pythonNeed(project()))).toBe("older than 3.8");
    const exact = pythonNeed(project({ python: 'max_version = "3.12.4"' }));
    expect(unfitVersion("3.12.5", exact)).toBe("not <=3.12.4 (python.max_version)");
  });

  test("a version that no bound allows names both", () => {
    const wrong = project({ project: 'requires-python = ">=3.12"', python: 'version = "3.11"' });
    expect(message(() => pythonNeed(wrong))).toBe(
      `${wrong.manifest}: Python 3.11 (python.version) contradicts >=3.12 (requires-python)`,
    );
    const partly = project({ project: 'requires-python = ">=3.11.4"', python: 'version = "3.11"' });
    expect(unfitVersion("3.11.2", pythonNeed(partly))).toBe("not >=3.11.4 (requires-python)");
    const file = project({ python: 'max_version = "3.11"', file: "3.13" });
    expect(message(() => pythonNeed(file))).toContain("3.13");
    expect(message(() => pythonNeed(file))).toContain("python.max_version");
  });

  test("the first line of several is the best, and all of them will do", () => {
    const need = pythonNeed(
      project({ file: "# ours\n3.12.4\n\n 3.11 # old\ncpython@3.10\nsystem\n" }),
    );
    expect(["3.12.4", "3.11.9", "3.10.1", "3.12.5"].map((v) => wishRank(v, need))).toEqual([
      0,
      1,
      2,
      undefined,
    ]);
    expect(unfitVersion("3.12.5", need)).toContain("not 3.12.4 or 3.11 or 3.10 (");
  });
});

describe("findVersionFile()", () => {
  test("looks in the folders above", () => {
    const { root } = project({ file: "3.12" });
    mkdirSync(join(root, "a", "b"), { recursive: true });
    expect(findVersionFile(join(root, "a", "b"))).toEqual({
      path: join(root, ".python-version"),
      versions: ["3.12"],
    });
    writeFileSync(join(root, "a", ".python-version"), "3.9\r\n");
    expect(findVersionFile(join(root, "a", "b"))?.versions).toEqual(["3.9"]);
  });

  test.each([
    ["another implementation", "pypy3.10"],
    ["a range", ">=3.9"],
    ["Python 2", "2.7.18"],
    ["not UTF-8", new Uint8Array([0xff, 0xfe])],
    ["too long", "3.12\n".repeat(20_000)],
  ])("refuses %s", async (_, file) => {
    const { root } = project({ file });
    expect(await codeOf(() => findVersionFile(root))).toBe("PYTHON_VERSION_FILE");
    expect(message(() => findVersionFile(root))).toContain(join(root, ".python-version"));
  });
});

describe("[tool.sealift.python]", () => {
  const SHA = "a".repeat(64);

  test.each([
    ['version = "3.11"\nmin_version = "3.12"', "version 3.11 is below min_version 3.12"],
    ['version = "3.13.1"\nmax_version = "3.12"', "version 3.13.1 is above max_version 3.12"],
    ['min_version = "3.13"\nmax_version = "3.12"', "min_version 3.13 is above max_version 3.12"],
    ['path = "/p"\narchive = "a.tar.gz"', "path contradicts archive"],
    ['path = "/p"\nsource = "managed"', "source contradicts path"],
    ['archive = "a.tar.gz"\nsource = "managed"', "source contradicts archive"],
    [`sha256 = "${SHA}"`, "sha256 stands without archive"],
    ['archive = "https://x/a.tar.gz"', "sha256 must stand beside an archive"],
    ['archives.linux_arm64 = { archive = "https://x/a.tar.gz" }', "sha256 must stand beside"],
    [`archive = "http://x/a.tar.gz"\nsha256 = "${SHA}"`, "must be a path or an https address"],
    ['archives.solaris = { archive = "a.tar.gz" }', "must be a platform such as linux_arm64"],
    ['version = "2.7"', 'must be like "3.12"'],
    ['include = ["tk"]', "must be one of tkinter"],
    ['source = "pip"', "must be one of any, local, managed"],
  ])("refuses %s", (python, what) => {
    const said = message(() => project({ python }));
    expect(said).toContain("tool.sealift.python");
    expect(said.replaceAll("tool.sealift.python.", "")).toContain(what);
  });

  test("takes an address with its digest, and one archive for each platform", () => {
    const { python } = project({
      python: `archive = "https://x/a.tar.gz"\nsha256 = "${SHA.toUpperCase()}"\narchives.linux_arm64 = { archive = "b.tar.zst" }`,
    });
    expect(python).toMatchObject({
      archive: { location: "https://x/a.tar.gz", sha256: SHA },
      archives: { linux_arm64: { location: "b.tar.zst" } },
    });
  });
});

test("newestFirst() puts releases before pre-releases", () => {
  const versions = ["3.9.20", "3.14.0rc2", "3.12.10", "3.14.0a7", "3.12.9", "3.13.0", "3.14.0rc10"];
  expect(versions.toSorted(newestFirst)).toEqual([
    "3.13.0",
    "3.12.10",
    "3.12.9",
    "3.9.20",
    "3.14.0rc10",
    "3.14.0rc2",
    "3.14.0a7",
  ]);
});
