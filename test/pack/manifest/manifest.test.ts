import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { loadProject } from "../../../lib/pack/mod.ts";
import { folder, problem } from "../fixture.ts";

const HEAD = '[package]\nname = "report"\nversion = "1.4.0"\n';
const RUN = '[execution]\nargv = ["/bin/sh"]\n';

async function refusal(text: string, name = "sealift.toml"): Promise<string> {
  using project = folder();
  const root = project.put({ [name]: text });
  return (await problem(() => loadProject(join(root, name)))).replaceAll(root, "");
}

describe("loadProject()", () => {
  test("a program is no manifest", async () => {
    expect(await refusal("print('hello')\n", "hello.py")).toStartWith(
      "MANIFEST: /hello.py: is no manifest | Name a folder",
    );
  });

  test("reads every key of the reference's example", async () => {
    using project = folder();
    const root = project.put({
      "sealift.toml": `${HEAD}description = "Monthly report"
license = "Apache-2.0"
[execution]
argv = ["{slot:runtime}/bin/node", "{workenv}/app/main.js"]
[execution.entries]
check = ["{slot:0}/bin/node", "{workenv}/app/check.js"]
[execution.env]
LANG = "C.UTF-8"
[execution.runtime.env]
unset = ["NODE_OPTIONS"]
[[slots]]
id = "runtime"
source = "vendor/node/"
share = true
compression = "zstd:19"
[[slots]]
id = "app"
source = "dist/"
target = "app"
permissions = "0644"
lifecycle = "runtime"
platform = "linux_amd64"
[[setup]]
type = "write_file"
path = "{workenv}/etc/report.ini"
content = "home={workenv}"
[workenv]
directories = [{ path = "{workenv}/var", mode = "0700" }]
`,
    });
    const read = await loadProject(root);
    expect(read.package).toEqual({
      name: "report",
      version: "1.4.0",
      description: "Monthly report",
      license: "Apache-2.0",
    });
    // {slot:0} counts the manifest's slots and is kept by name.
    expect(read.execution?.entries?.check?.[0]).toBe("{slot:runtime}/bin/node");
    expect(read.runtime?.env).toEqual({ unset: ["NODE_OPTIONS"] });
    expect(read.slots[0]).toMatchObject({
      share: true,
      compression: { algorithm: "zstd", level: 19 },
    });
    expect(read.slots[0]).not.toHaveProperty("target");
    expect(read.slots[1]).toMatchObject({
      target: "app",
      permissions: 0o644,
      platform: "linux_amd64",
    });
    expect(read.setup).toHaveLength(1);
    expect(read.workenv?.directories).toEqual([{ path: "{workenv}/var", mode: "0700" }]);
  });

  test.each([
    [
      "a misspelt key",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\ntraget = "y"\n`,
      "MANIFEST: /sealift.toml:9: slots[0].traget is not a known key | Did you mean `target`?",
    ],
    [
      "a misspelt table",
      `${HEAD}${RUN}[worknev]\n`,
      "MANIFEST: /sealift.toml:6: worknev is not a known key | Did you mean `workenv`?",
    ],
    [
      "a misspelt required key",
      `[package]\nnmae = "x"\nversion = "1"\n${RUN}`,
      "MANIFEST: /sealift.toml:2: package.nmae is not a known key | Did you mean `name`?",
    ],
    [
      "a key inside an inline table",
      `${HEAD}${RUN}[workenv]\ndirectories = [{ path = "a", moed = "0700" }]\n`,
      "MANIFEST: /sealift.toml:7: workenv.directories[0].moed is not a known key | Did you mean `mode`?",
    ],
    [
      "a key of a setup step",
      `${HEAD}${RUN}[[setup]]\ntype = "chmod"\npath = "a"\nmode = "0755"\npaht = "b"\n`,
      "MANIFEST: /sealift.toml:10: setup[0].paht is not a known key | Did you mean `path`?",
    ],
    [
      "the wrong type",
      `${HEAD}[execution]\nargv = "sh"\n`,
      'MANIFEST: /sealift.toml:5: execution.argv must be an array, not "sh" |',
    ],
    [
      "a number in the environment",
      `${HEAD}${RUN}[execution.env]\nPORT = 80\n`,
      "MANIFEST: /sealift.toml:7: execution.env.PORT must be text, not 80 |",
    ],
    [
      "a mode as a number",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\npermissions = 0o755\n`,
      "slots[0].permissions must be text",
    ],
    [
      "a package name with a slash",
      '[package]\nname = "a/b"\nversion = "1"\n',
      "package.name must be letters",
    ],
    [
      "a rename of what unset takes away",
      `${HEAD}${RUN}[execution.runtime.env]\nunset = ["A*"]\nmap = { AB = "C" }\n`,
      "MANIFEST: /sealift.toml:8: execution.runtime.env.map.AB is never renamed, because unset takes it away before |",
    ],
    [
      "a rename of what pass keeps",
      `${HEAD}${RUN}[execution.runtime.env]\nunset = ["*"]\npass = ["A?"]\nmap = { AB = "C" }\n`,
      "AB is never renamed, because pass keeps it as it is",
    ],
    ["a missing version", `[package]\nname = "a"\n${RUN}`, "package.version is missing"],
    ["no program", HEAD, "execution names no program | Give `argv` or `command`."],
    [
      "two commands",
      `${HEAD}[execution]\nargv = ["a"]\ncommand = "a"\n`,
      "execution must have argv or command, not both",
    ],
    [
      "an unknown lifecycle",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\nlifecycle = "forever"\n`,
      "slots[0].lifecycle must be one of",
    ],
    [
      "one id twice",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\n[[slots]]\nid = "A"\nsource = "y"\n`,
      'slots[1].id "A" is the id of another slot',
    ],
    [
      "an id that is a number",
      `${HEAD}${RUN}[[slots]]\nid = "1"\nsource = "x"\n`,
      "slots[0].id must not be a number",
    ],
    [
      "a target outside",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\ntarget = "{workenv}/../b"\n`,
      "slots[0].target is wrong",
    ],
    [
      "the launcher's folder",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\ntarget = ".Sealift/ready"\n`,
      "slots[0].target is wrong",
    ],
    [
      "an unknown compression",
      `${HEAD}${RUN}[[slots]]\nid = "a"\nsource = "x"\ncompression = "lz4"\n`,
      'slots[0].compression is wrong: The compression "lz4" is not known',
    ],
    [
      "a level that does not exist",
      `compression = "zstd:23"\n${HEAD}${RUN}`,
      "compression is wrong: zstd has no level 23",
    ],
    ["an unknown platform", `platforms = ["amiga"]\n${HEAD}${RUN}`, "platforms[0] is no platform"],
    ["what is not TOML", `${HEAD}a = = 2\n`, "MANIFEST_TOML: /sealift.toml:4: Expected a value"],
    ["a key twice", `${HEAD}name = "x"\n`, "MANIFEST_TOML: /sealift.toml:4: Cannot redefine key"],
  ])("refuses %s and says where", async (_name, text, expected) => {
    expect(await refusal(text)).toContain(expected);
  });

  test("allows an id twice for systems that never meet", async () => {
    using project = folder();
    const slot = (platform: string) =>
      `[[slots]]\nid = "a"\nsource = "x"\nplatform = "${platform}"\n`;
    const root = project.put({ "sealift.toml": HEAD + RUN + slot("linux_amd64") + slot("darwin") });
    expect((await loadProject(root)).slots).toHaveLength(2);
    expect(await refusal(HEAD + RUN + slot("linux_amd64") + slot("linux"))).toContain(
      "id of another slot",
    );
  });

  test("knows which value was meant", async () => {
    const slot = '[[slots]]\nid = "a"\nsource = "x"\n';
    expect(await refusal(`${HEAD + RUN + slot}lifecycle = "runtme"\n`)).toEndWith(
      'not "runtme" | Did you mean "runtime"?',
    );
    expect(await refusal(`${HEAD + RUN + slot}permissions = 755\n`)).toEndWith(
      "slots[0].permissions must be text, not 755 | Write it in quotes.",
    );
  });

  test("names the file when it is no text, missing, or not there at all", async () => {
    using project = folder();
    const root = project.put({ "sealift.toml": new Uint8Array([0xff, 0xfe]) });
    expect(await problem(() => loadProject(root))).toContain("is not UTF-8 text");
    expect(await problem(() => loadProject(join(root, "none")))).toContain("FILE_MISSING");
    using empty = folder();
    expect(await problem(() => loadProject(empty.put({ "a.txt": "" })))).toContain(
      "MANIFEST_MISSING",
    );
  });
});

describe("pyproject.toml", () => {
  test("without a project says what a Python application needs", async () => {
    expect(
      await refusal('[build-system]\nrequires = ["setuptools"]\n', "pyproject.toml"),
    ).toContain("/pyproject.toml: project is missing | A Python application needs [project]");
  });

  const PROJECT = '[project]\nname = "tool"\nversion = "2.0"\n';

  test("takes the same tables under [tool.sealift]", async () => {
    using project = folder();
    const root = project.put({
      "pyproject.toml": `${PROJECT}[tool.sealift]\nentry_point = "tool:main"\n[[tool.sealift.slots]]\nid = "models"\nsource = "models/"\nlifecycle = "lazy"\n`,
    });
    const read = await loadProject(root);
    expect([read.kind, read.package.name, read.package.version]).toEqual(["python", "tool", "2.0"]);
    expect(read.slots[0]).toMatchObject({ id: "models", lifecycle: "lazy" });
  });

  test("reads [tool.flavor] with the same meaning, and its isolated environment", async () => {
    using project = folder();
    const root = project.put({
      "pyproject.toml": `${PROJECT}[tool.flavor]\nentry_point = "tool:main"\n[tool.flavor.execution.runtime.env]\nisolated = true\nunset = ["X"]\n`,
    });
    const read = await loadProject(root);
    expect(read.runtime?.env?.unset).toEqual([
      "PYTHONPATH",
      "UV_PROJECT_ENVIRONMENT",
      "PYTHONHOME",
      "UV_CACHE_DIR",
      "VIRTUAL_ENV",
      "X",
    ]);
  });

  test("says the line of an unknown key, and refuses two tables", async () => {
    const unknown = `${PROJECT}[tool.sealift]\nentrypoint = "tool:main"\n`;
    expect(await refusal(unknown, "pyproject.toml")).toContain(
      "/pyproject.toml:5: tool.sealift.entrypoint is not a known key | Did you mean `entry_point`?",
    );
    const both = `${PROJECT}[tool.sealift]\n[tool.flavor]\n`;
    expect(await refusal(both, "pyproject.toml")).toContain(
      "tool.flavor stands beside tool.sealift",
    );
  });

  test("is a manifest like any other when it holds no [project]", async () => {
    using project = folder();
    const root = project.put({
      "pyproject.toml":
        '[tool.sealift.package]\nname = "a"\nversion = "1"\n[tool.sealift.execution]\ncommand = "/bin/true"\n',
    });
    expect((await loadProject(root)).kind).toBe("program");
  });
});

describe("the Python tables", () => {
  const project = '[project]\nname = "a"\nversion = "1"\n';
  test.each(["sealift", "flavor"])(
    "of [tool.%s] name the line and the nearest key",
    async (tool) => {
      const of = (table: string, line: string) =>
        refusal(`${project}[tool.${tool}${table}]\n${line}\n`, "pyproject.toml");
      const at = `MANIFEST: /pyproject.toml:5: tool.${tool}`;
      expect(await of("", 'entrypoint = "a:b"')).toBe(
        `${at}.entrypoint is not a known key | Did you mean \`entry_point\`?`,
      );
      expect(await of(".build", "pre_build_command = []")).toBe(
        `${at}.build.pre_build_command is not a known key | Did you mean \`pre_build_commands\`?`,
      );
      expect(await of(".build.platform.linux_amd64", "evn = {}")).toBe(
        `${at}.build.platform.linux_amd64.evn is not a known key | Did you mean \`env\`?`,
      );
      expect(await of(".build", "pre_install_commands = [1]")).toBe(
        `${at}.build.pre_install_commands[0] must be text or an array such as ["sh", "-c", "…"] | \`sealift schema pyproject.toml\` prints what a manifest may hold.`,
      );
      expect(await of(".runtime", "strip_docstring = true")).toContain("`strip_docstrings`");
      expect(await of(".python", 'versoin = "3.12"')).toContain("`version`");
      expect(await of(".runtime", "compile_bytecode = 1")).toContain("must be true or false");
    },
  );
});
