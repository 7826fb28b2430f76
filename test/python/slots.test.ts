/**
 * Environment control, every field of `[[tool.sealift.slots]]` and every command of a Python application, from the manifest to the running
 * program, with both launchers. Skipped, with the reason, as httpie.test.ts is.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { openPackage } from "../../lib/pspf/mod.ts";
import { makeHome } from "../cli/sealift.ts";
import { problem } from "../pack/fixture.ts";
import { Application } from "./application.ts";
import { attempt } from "./place.ts";

setDefaultTimeout(300_000);

const MANIFEST = `license = "Apache-2.0"
[project.scripts]
demo-app = "demo_app:main"
"demo.files" = "demo_app:files [extra]"
Other_1 = "demo_app:other"
[project.gui-scripts]
demo-gui = "demo_app:other"

[tool.sealift]
compression = "zstd:1"
[tool.sealift.execution]
env = { FROM_EXECUTION = "{slot:words}" }
[tool.sealift.execution.entries]
lazily = ["{workenv}/bin/demo.files", "{slot:model}"]
temporarily = ["{workenv}/bin/demo.files", "{slot:scratch}"]
[tool.sealift.execution.runtime.env]
unset = ["*"]
pass = ["HOME", "KEEP_*"]
set = { WHERE = "{workenv}|{slot:words}|{package_name}|{version}", LANG = "C.UTF-8" }

[tool.sealift.workenv]
directories = [{ path = "var/log", mode = "0700" }]

[[tool.sealift.slots]]
id = "words"
source = "data/words.txt"
target = "share/"
purpose = "data"
permissions = "0640"
compression = "gzip"
compression_level = 1

[[tool.sealift.slots]]
id = "linux"
source = "data/words.txt"
extract_to = "share/only-linux.txt"
platform = "linux"

[[tool.sealift.slots]]
id = "windows"
source = "data/words.txt"
target = "share/only-windows.txt"
platform = "windows_amd64"

[[tool.sealift.slots]]
id = "model"
source = "model/"
target = "model"
lifecycle = "lazy"
purpose = "asset"
compression = "zstd:3"

[[tool.sealift.slots]]
id = "settings"
source = "data/settings.ini"
lifecycle = "config"
purpose = "config"

[[tool.sealift.slots]]
id = "state"
source = "data/words.txt"
target = "state/words.txt"
lifecycle = "persistent"

[[tool.sealift.slots]]
id = "fresh"
source = "data/words.txt"
target = "fresh.txt"
lifecycle = "volatile"

[[tool.sealift.slots]]
id = "scratch"
source = "model/"
target = "scratch"
lifecycle = "temp"

[[tool.sealift.slots]]
id = "seed"
source = "data/words.txt"
target = "seed.txt"
lifecycle = "init"

[[tool.sealift.slots]]
id = "goodbye"
source = "goodbye.sh"
target = "libexec/goodbye.sh"
lifecycle = "shutdown"
permissions = "0755"

[[tool.sealift.slots]]
id = "debugging"
source = "data/words.txt"
target = "debugging.txt"
lifecycle = "dev"

[[tool.sealift.slots]]
id = "common"
source = "model/"
share = true
compression = "none"

[[tool.sealift.setup]]
type = "execute"
command = ["{workenv}/bin/python3", "-c", "import shutil, os; w = os.environ['SEALIFT_WORKENV']; shutil.copy(w + '/seed.txt', w + '/grown.txt')"]
`;

const FILES = {
  "src/demo_app.py": `import json, os, sys, locale
def report(**more):
    root = os.environ["SEALIFT_WORKENV"]
    paths = {os.path.relpath(os.path.join(d, n), root) for d, _, names in os.walk(root) for n in names}
    wanted = {p for p in paths if not p.startswith((".sealift", "lib", "include", "bin", "pyvenv"))}
    print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "files": sorted(wanted), **more}))
def main():
    fresh = os.path.join(os.environ["SEALIFT_WORKENV"], "fresh.txt")
    text = open(fresh).read()
    open(fresh, "w").write("changed")
    report(fresh=text, preferred=locale.getpreferredencoding(), home=os.path.expanduser("~"), stdout=sys.stdout.encoding)
def files():
    print(json.dumps({"there": sorted(os.listdir(sys.argv[1])), "where": sys.argv[1]}))
def other():
    print("other", os.path.basename(os.environ["FLAVOR_ORIGINAL_COMMAND"]))
`,
  "data/words.txt": "words\n",
  "data/settings.ini": "[a]\n",
  "model/weights.bin": "w",
  "model/deep/more.bin": "m",
  "goodbye.sh": '#!/bin/sh\necho "goodbye $SEALIFT_EXIT_CODE" >&2\n',
};

const app = new Application(MANIFEST, FILES);
afterAll(() => app[Symbol.dispose]());

const packages = await attempt(async () => {
  const paths: Record<string, string> = {};
  for (const launcher of ["rust", "go"] as const) {
    paths[launcher] = join(app.folder, launcher, "demo-app.psp");
    await app.pack({ launcher, output: paths[launcher], compression: undefined });
  }
  return paths;
});
const reason = typeof packages === "string" ? packages : undefined;
if (reason !== undefined) console.error(`The application is not packed: ${reason}`);

describe.skipIf(reason !== undefined).each(["rust", "go"])(
  `a Python application under %s${reason === undefined ? "" : ` (${reason})`}`,
  (launcher) => {
    const file = (packages as Record<string, string>)[launcher] ?? "";
    const folders = {
      SEALIFT_CACHE: join(app.folder, launcher, "cache"),
      SEALIFT_DATA: join(app.folder, launcher, "data"),
    };
    const start = (words: string[] = [], more: Record<string, string> = {}, as = file) =>
      app.startAs(as, words, { ...folders, ...more });
    /** Beside what the launcher sets itself. */
    const said = async (...how: Parameters<typeof start>) => {
      const { code, stdout, stderr } = await start(...how);
      if (code !== 0) throw new Error(stderr);
      const answer = JSON.parse(stdout);
      const own = Object.entries(answer.env).filter(([name]) => !/^(SEALIFT|FLAVOR)_/.test(name));
      return { ...answer, env: Object.fromEntries(own), errors: stderr };
    };

    test('unset = ["*"] with pass, globs, set and placeholders', async () => {
      const more = {
        KEEP_ME: "1",
        KEEP_IT: "2",
        OTHER: "4",
        PYTHONPATH: "/x",
        TERM: "xterm",
        LC_ALL: "POSIX",
      };
      const { env, ...rest } = await said(["a b", ""], more);
      const { WHERE, PATH, FROM_EXECUTION, ...others } = env;
      expect(others).toEqual({
        HOME: join(app.folder, "home"),
        KEEP_ME: "1",
        KEEP_IT: "2",
        LANG: "C.UTF-8",
      });
      const [workenv, words, name, version] = WHERE.split("|");
      expect(workenv).toStartWith(join(folders.SEALIFT_CACHE, "workenv", "demo-app-1.0-"));
      expect([words, name, version]).toEqual([`${workenv}/share/words.txt`, "demo-app", "1.0"]);
      expect(FROM_EXECUTION).toBe(words);
      expect(PATH).toBe(`${workenv}/bin`);
      expect(rest).toMatchObject({
        argv: ["a b", ""],
        preferred: "UTF-8",
        stdout: "utf-8",
        home: join(app.folder, "home"),
      });
    });

    test("slots lie where their lifecycle says, and only those of this platform", async () => {
      const first = await said();
      expect(first.files).toEqual([
        "fresh.txt",
        "grown.txt",
        "share/only-linux.txt",
        "share/words.txt",
      ]);
      expect(first.fresh).toBe("words\n");
      expect(first.errors).toBe("goodbye 0\n");
      expect((await said()).fresh).toBe("words\n");
      const data = join(folders.SEALIFT_DATA, "demo-app");
      expect(
        readdirSync(data)
          .filter((name) => name !== ".sealift")
          .sort(),
      ).toEqual(["settings.ini", "state"]);
      writeFileSync(join(data, "settings.ini"), "mine");
      await said();
      expect(readFileSync(join(data, "settings.ini"), "utf8")).toBe("mine");
      expect((await said([], { SEALIFT_DEV: "1" })).files).toContain("debugging.txt");
    });

    test("lazy and temporary slots come with the command that names them", async () => {
      const lazy = JSON.parse((await start([], { SEALIFT_ENTRY: "lazily" })).stdout);
      expect(lazy.there).toEqual(["deep", "weights.bin"]);
      const temporary = JSON.parse((await start([], { SEALIFT_ENTRY: "temporarily" })).stdout);
      expect(temporary.there).toEqual(["deep", "weights.bin"]);
      expect(existsSync(temporary.where)).toBe(false);
    });

    test("every script is a command: by link, by SEALIFT_ENTRY, by name from another one", async () => {
      const links = join(app.folder, launcher, "links");
      mkdirSync(links);
      for (const name of ["demo.files", "Other_1", "demo-gui", "unknown"])
        symlinkSync(file, join(links, name));
      const by = async (name: string, words: string[] = []) =>
        await start(words, {}, join(links, name));
      expect(JSON.parse((await by("demo.files", [links])).stdout).there).toHaveLength(4);
      expect((await by("Other_1")).stdout).toBe("other Other_1\n");
      expect((await by("demo-gui")).stdout).toBe("other demo-gui\n");
      // A name that is no command starts the default one.
      expect(JSON.parse((await by("unknown")).stdout)).toHaveProperty("files");
      expect((await start([], { SEALIFT_ENTRY: "Other_1" })).stdout).toBe("other demo-app.psp\n");
      const wrong = await start([], { SEALIFT_ENTRY: "other_1" });
      expect([wrong.code, wrong.stderr]).toEqual([105, expect.stringContaining("demo.files")]);
    });

    test("the listing of commands, and the licence, source and dependency fields", async () => {
      const { stdout } = await start(["--json"], { SEALIFT_LAUNCHER_CLI: "1" });
      const info = JSON.parse(
        (await start(["info", "--json"], { SEALIFT_LAUNCHER_CLI: "1" })).stdout,
      );
      expect(stdout).toContain("demo.files");
      expect(info.entries.toSorted()).toEqual(
        ["demo-app", "demo.files", "demo-gui", "lazily", "Other_1", "temporarily"].toSorted(),
      );
      using home = makeHome();
      const { out } = await home.run(["inspect", file, "--commands"]);
      expect(out).toMatch(
        /^\(default\) +\{workenv\}\/bin\/python3\S* -I \{workenv\}\/libexec\/demo-app$/m,
      );
      expect(out).toMatch(/^demo\.files +\{workenv\}.*libexec\/demo\.files$/m);
      expect(out).toContain("SEALIFT_ENTRY=NAME");
      const pkg = await openPackage(file);
      await pkg.close();
      const slots = Object.fromEntries(pkg.slots.map((slot) => [slot.id, slot]));
      expect(slots.words).toMatchObject({
        operations: ["gzip"],
        permissions: 0o640,
        purpose: "data",
      });
      expect(slots.common).toMatchObject({ operations: ["tar"], share: true });
      expect(slots).not.toHaveProperty("windows");
      const { index } = JSON.parse(new TextDecoder().decode(pkg.json)).seal;
      expect(index).toMatchObject({ license_id: "Apache-2.0" });
      expect(index?.source_hash).toMatch(/^[0-9a-f]{64}$/);
      expect(index?.dependency_hash).toMatch(/^[0-9a-f]{64}$/);
    });
  },
);

describe.skipIf(reason !== undefined)("commands and slots that cannot be", () => {
  const cases: [string, string, RegExp][] = [
    [
      "names that differ only in case",
      '[project.scripts]\nApp = "demo_app:main"\napp = "demo_app:main"',
      /^COMMAND_TWINS: .*App and app/,
    ],
    ["a script that leaves bin/", '[project.scripts]\n"../x" = "demo_app:main"', /^COMMAND_NAME: /],
    ["a script without function", '[project.scripts]\nx = "demo_app"', /^ENTRY_POINT: /],
    ["a module that nobody brings", '[project.scripts]\nx = "demo_other:main"', /^ENTRY_MODULE: /],
    [
      "a slot with a name of the application's own",
      '[project.scripts]\nx = "demo_app:main"\n[[tool.sealift.slots]]\nid = "Site"\nsource = "data/"',
      /^SLOT_ID: /,
    ],
    [
      "a slot on top of the application's files",
      '[project.scripts]\nx = "demo_app:main"\n[[tool.sealift.slots]]\nid = "x"\nsource = "data/words.txt"\ntarget = "libexec/x"',
      /^SLOT_COLLISION: /,
    ],
    [
      "two starts",
      '[tool.sealift]\nentry_point = "demo_app:main"\n[tool.sealift.execution]\nargv = ["{workenv}/bin/x"]',
      /^MANIFEST: .*execution\.argv contradicts entry_point/,
    ],
    [
      "tests that are not there",
      '[project.scripts]\nx = "demo_app:main"\n[tool.sealift.build]\ninclude_tests = true',
      /^MANIFEST: .*build\.include_tests finds no folder/,
    ],
  ];
  test.each(cases)("%s", async (_, manifest, message) => {
    using other = new Application(`${manifest}\n`, FILES);
    expect(await problem(() => other.pack())).toMatch(message);
    expect(existsSync(other.package)).toBe(false);
  });
});
