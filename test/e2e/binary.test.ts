/** The finished program in the hands of someone who wishes it ill, or is merely careless. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { EXEC_ARGV } from "../../lib/cli/mod.ts";
import manifest from "../../package.json";
import { freshBinary } from "../../scripts/binary.ts";

let binary: string;
let folder: string;

beforeAll(async () => {
  binary = await freshBinary();
  folder = mkdtempSync(join(tmpdir(), "hostile-"));
  const code =
    'require("node:fs").writeFileSync("ran", "foreign code");\nconsole.log("foreign");\n';
  writeFileSync(join(folder, "foreign.ts"), code);
  writeFileSync(
    join(folder, "bunfig.toml"),
    'preload = ["./foreign.ts"]\n[test]\npreload = ["./foreign.ts"]\n',
  );
  writeFileSync(
    join(folder, ".env"),
    "SEALIFT_OFFLINE=1\nSEALIFT_CACHE=/from/dotenv\nBUN_OPTIONS=--preload ./foreign.ts\n",
  );
  writeFileSync(
    join(folder, "package.json"),
    '{"type":"commonjs","scripts":{"schema":"echo foreign"}}',
  );
  writeFileSync(
    join(folder, "tsconfig.json"),
    '{"compilerOptions":{"paths":{"*":["./foreign.ts"]}}}',
  );
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function sealift(words: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([binary, ...words], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
}

const version = `sealift ${manifest.version}\n`;

describe("the compiled program", () => {
  test("runs nothing that lies in the current folder", async () => {
    expect(await sealift(["--version"])).toEqual({ out: version, err: "", code: 0 });
    const { out, code } = await sealift(["schema", "--json"]);
    expect([code, JSON.parse(out).schema]).toEqual([0, "sealift.schema/1"]);
    expect(existsSync(join(folder, "ran"))).toBe(false);
  });

  test.each([
    "--preload ./foreign.ts",
    "--require ./foreign.ts",
    "--import ./foreign.ts",
    "--use-openssl-ca",
    "--disallow-code-generation-from-strings=off",
  ])("neither runs foreign code nor weakens by BUN_OPTIONS=%s", async (options) => {
    const { out, code } = await sealift(["--version"], { BUN_OPTIONS: options });
    expect(code).not.toBe(0);
    expect(out).toBe("");
    expect(existsSync(join(folder, "ran"))).toBe(false);
  });

  test.each(["--smol", "--title=other", "--conditions=other"])(
    "refuses to run with other flags than its own: %s",
    async (options) => {
      const { out, code } = await sealift(["--version", "--json"], { BUN_OPTIONS: options });
      expect([code, JSON.parse(out).code]).toEqual([4, "RUNTIME_FLAGS"]);
      expect(JSON.parse(out).details.expected).toEqual([...EXEC_ARGV]);
    },
  );

  test("ignores NODE_OPTIONS", async () => {
    const env = { NODE_OPTIONS: "--require ./foreign.ts" };
    expect(await sealift(["--version"], env)).toEqual({ out: version, err: "", code: 0 });
    expect(existsSync(join(folder, "ran"))).toBe(false);
  });

  test("says what is inside it", async () => {
    const { out, code } = await sealift(["--version", "--json"]);
    const document = JSON.parse(out);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      schema: "sealift.version/1",
      ok: true,
      version: manifest.version,
    });
    expect(document.bun.version).toBe(manifest.devDependencies.bun);
    expect(document.launchers.length).toBeGreaterThan(0);
    for (const launcher of document.launchers) expect(launcher.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test("loads every command, and each prints its help", async () => {
    const { out } = await sealift(["completions", "bash"]);
    const names = [...out.matchAll(/^ {4}"([a-z][a-z -]*)"\) printf/gm)].map(
      ([, name]) => name as string,
    );
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) {
      const help = await sealift([...name.split(" "), "--help"]);
      expect([name, help.code, help.err]).toEqual([name, 0, ""]);
    }
  }, 60_000);

  test("ends quietly when its reader goes away", async () => {
    const script = '"$0" completions bash | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}"';
    const child = Bun.spawn(["bash", "-c", script, binary], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([out, err]).toEqual(["0\n", ""]);
  });

  test("reports an error without the source of the program", async () => {
    const { err, code } = await sealift(["schmea"]);
    expect(code).toBe(2);
    expect(err).toBe(
      "sealift: error: There is no command `sealift schmea`\nhint: Did you mean `sealift schema`?\n",
    );
  });

  test.skipIf(process.platform !== "linux")(
    "holds no path of the machine that built it",
    async () => {
      const bytes = Buffer.from(await Bun.file(binary).bytes());
      for (const path of [join(import.meta.dir, "../.."), join(tmpdir(), "sealift-build-")]) {
        expect(bytes.includes(path)).toBe(false);
      }
    },
  );
});
