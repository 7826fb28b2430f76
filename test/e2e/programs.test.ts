/** The main road with the finished program: real programs of several kinds are packed, verified and run, as a user would do it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

import { findProgram, run } from "../../lib/base/mod.ts";
import { freshBinary } from "../../scripts/binary.ts";
import { testIf } from "../support/need.ts";

const MINUTE = 60_000;
let binary: string;
let folder: string;

beforeAll(async () => {
  binary = await freshBinary();
  folder = mkdtempSync(join(tmpdir(), "programs-"));
}, 2 * MINUTE);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function project(name: string, files: Record<string, string | Uint8Array>): string {
  const root = join(folder, name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    if (typeof content === "string" && content.startsWith("#!")) chmodSync(join(root, path), 0o755);
  }
  return root;
}

const environment = () => ({
  PATH: process.env.PATH,
  HOME: folder,
  SEALIFT_CACHE: join(folder, "cache"),
});

async function must(
  argv: string[],
  cwd = folder,
  env: Record<string, string | undefined> = environment(),
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, { cwd, env });
  if (code !== 0)
    throw new Error(`${argv.join(" ")}: ${code}\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Packs and verifies a project; the path of the package. */
async function packed(root: string, ...flags: string[]): Promise<string> {
  const out = `${root}.psp`;
  await must([
    binary,
    "pack",
    root,
    "-q",
    "-o",
    out,
    "--key-seed",
    "e2e",
    "--compression",
    "zstd:3",
    ...flags,
  ]);
  expect(await must([binary, "verify", out])).toContain("signature covers 100 %");
  return out;
}

const needs = (...programs: string[]) => {
  const missing = programs.find((program) => findProgram(program) === undefined);
  return missing === undefined ? (true as const) : `${missing} is not installed`;
};

testIf(needs("cc"))(
  "a static program runs where nothing is set, under another name, and a second time from its work environment",
  async () => {
    const root = project("hello", {
      "hello.c":
        '#include <stdio.h>\n#include <stdlib.h>\nint main(int n, char **v) { printf("%s %d %s\\n", v[1], n, getenv("MODE")); return 3; }\n',
    });
    await must(["cc", "-static", "-O1", "-o", "hello", "hello.c"], root);
    rmSync(join(root, "hello.c"));
    await must([binary, "init", root, "--yes", "-q"]);
    writeFileSync(
      join(root, "sealift.toml"),
      `${readFileSync(join(root, "sealift.toml"), "utf8")}\n[execution.env]\nMODE = "packed"\n`,
    );
    const app = await packed(root, "--validate-before-sign");
    const renamed = join(folder, "other name");
    renameSync(app, renamed);
    const bare = { SEALIFT_CACHE: join(folder, "cache-hello") };
    for (let start = 0; start < 2; start++) {
      const { code, stdout } = await run([renamed, "a b"], { env: bare });
      expect([code, new TextDecoder().decode(stdout)]).toEqual([3, "a b 2 packed\n"]);
    }
    expect(readdirSync(join(bare.SEALIFT_CACHE, "workenv"))).toHaveLength(1);
  },
  MINUTE,
);

testIf(needs("node"))(
  "two Node applications bring one Node and share it on the machine",
  async () => {
    const cache = { ...environment(), SEALIFT_CACHE: join(folder, "cache-node") };
    for (const name of ["one", "two"]) {
      const root = project(name, {
        "package.json": JSON.stringify({ name, version: "1.0.0", main: "index.js" }),
        "index.js": `const fs = require("node:fs"); console.log("${name}", fs.readFileSync(__dirname + "/data.txt", "utf8"), process.argv.slice(2).join());`,
        "data.txt": "data",
      });
      await must([binary, "init", root, "--yes", "-q"]);
      const app = await packed(root);
      expect(await must([binary, "run", app, "-q", "--", "x", "y"], folder, cache)).toBe(
        `${name} data x,y\n`,
      );
    }
    expect(readdirSync(join(cache.SEALIFT_CACHE, "store"))).toHaveLength(1);
    expect(readdirSync(join(cache.SEALIFT_CACHE, "workenv"))).toHaveLength(2);
  },
  2 * MINUTE,
);

testIf(needs("javac", "jar", "jlink"))(
  "a Java archive brings a runtime that holds what it needs",
  async () => {
    const root = project("java", {
      "Main.java":
        'public class Main { public static void main(String[] a) { System.out.println("java " + String.join(",", a)); } }\n',
      "sealift.toml": `[package]
name = "java-app"
version = "1.0"
[execution]
argv = ["{slot:jre}/bin/java", "-jar", "{workenv}/lib/app.jar"]
[[slots]]
id = "jre"
source = "jre/"
share = true
[[slots]]
id = "jar"
source = "*.jar"
target = "lib/app.jar"
`,
    });
    await must(["javac", "Main.java"], root);
    await must(["jar", "cfe", "app-1.0.jar", "Main", "Main.class"], root);
    await must(["jlink", "--add-modules", "java.base", "--strip-debug", "--output", "jre"], root);
    const app = await packed(root, "--test-command", "java-app self-test");
    expect(await must([app, "x", "y"])).toBe("java x,y\n");
  },
  3 * MINUTE,
);

test(
  "a script with settings that survive an upgrade, a lazy slot and a setup step",
  async () => {
    const manifest = (version: string) => `[package]
name = "tool"
version = "${version}"
[execution]
argv = ["/bin/sh", "{workenv}/bin/tool.sh"]
[execution.entries]
models = ["/bin/cat", "{slot:models}"]
[[slots]]
id = "script"
source = "tool.sh"
target = "bin/"
[[slots]]
id = "settings"
source = "tool.conf"
target = "tool.conf"
lifecycle = "config"
[[slots]]
id = "models"
source = "models.bin"
target = "share/models.bin"
lifecycle = "lazy"
[[setup]]
type = "write_file"
path = "{workenv}/etc/version"
content = "{package_name} {version}"
`;
    const script =
      '#!/bin/sh\ncat "$SEALIFT_WORKENV/etc/version"; echo " $(cat "$SEALIFT_DATA/tool/tool.conf") $(ls "$SEALIFT_WORKENV/share" 2>/dev/null)"\n';
    const env = { ...environment(), SEALIFT_DATA: join(folder, "data") };
    const root = project("tool", {
      "sealift.toml": manifest("1.0"),
      "tool.sh": script,
      "tool.conf": "default",
      "models.bin": "weights",
    });
    const first = await packed(root);
    expect(await must([first], folder, env)).toBe("tool 1.0 default \n");
    expect(await must([first], folder, { ...env, SEALIFT_ENTRY: "models" })).toBe("weights");
    writeFileSync(join(folder, "data/tool/tool.conf"), "mine");
    writeFileSync(join(root, "sealift.toml"), manifest("2.0"));
    writeFileSync(join(root, "tool.conf"), "new default");
    const second = await packed(root, "--force");
    expect(await must([second], folder, env)).toBe("tool 2.0 mine \n");
  },
  MINUTE,
);

test("a JSON manifest of the earlier builders, with data that they took encoded", async () => {
  const root = project("legacy", {
    "run.sh.gz": gzipSync("#!/bin/sh\necho legacy $MODE $@\n"),
    "demo.json": JSON.stringify({
      package: { name: "demo", version: "1.2.3" },
      execution: { command: "/bin/sh {workenv}/bin/run.sh", env: { MODE: "json" } },
      slots: [
        {
          slot: 0,
          id: "script",
          source: "run.sh.gz",
          target: "bin/run.sh",
          operations: "gzip",
          permissions: "0755",
        },
      ],
    }),
  });
  const out = join(folder, "legacy.psp");
  await must([
    binary,
    "pack",
    "-m",
    join(root, "demo.json"),
    "-o",
    out,
    "--key-seed",
    "test123",
    "-q",
  ]);
  expect(await must([out, "a"])).toBe("legacy json a\n");
});

test("the same project gives the same package, and nothing of this machine is in it", async () => {
  const files = {
    "sealift.toml":
      '[package]\nname = "same"\nversion = "1"\n[execution]\nargv = ["/bin/sh", "{workenv}/a.sh"]\n[[slots]]\nid = "a"\nsource = "./"\nexclude = ["dist"]\n',
    "a.sh": "#!/bin/sh\n",
  };
  const [a, b] = [
    await packed(project("same-a/p", files)),
    await packed(project("same-b/p", files)),
  ];
  expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  expect(readFileSync(a).includes(folder)).toBe(false);
  expect(existsSync(join(folder, "same-a/p/dist"))).toBe(false);
});
