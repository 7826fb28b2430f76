/** Commands that a wheel brings as files: programs as they are, Python scripts through the packed interpreter. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { loadProject, packProject } from "../../lib/pack/mod.ts";
import { codeOf, writeWheel } from "./fixture.ts";
import { attempt, context } from "./place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-scripts-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DATA = "demo-1.0.data/scripts";
const FILES = {
  [`${DATA}/tool`]: '#!/bin/sh\necho "tool $1"\n',
  [`${DATA}/greet`]: '#!python\nimport sys\nprint("greet", sys.argv[1], sys.flags.isolated)\n',
};

function own() {
  return context({
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: join(folder, "config") },
  });
}

async function pack(manifest: string, name: string): Promise<string> {
  const output = join(folder, name);
  const options = { output, keySeed: "scripts", compression: "zstd:1", force: true };
  await packProject(own(), await loadProject(manifest), options);
  return output;
}

async function start(file: string, entry: string | undefined): Promise<string> {
  const env = {
    PATH: "/usr/bin:/bin",
    HOME: folder,
    SEALIFT_CACHE: join(folder, "cache"),
    ...(entry !== undefined && { SEALIFT_ENTRY: entry }),
  };
  const { code, stdout, stderr } = await run([file, "me"], { env, timeoutMs: 120_000 });
  expect(new TextDecoder().decode(stderr)).toBe("");
  expect(code).toBe(0);
  return new TextDecoder().decode(stdout).trim();
}

function place(files: Record<string, string>): string {
  return writeWheel(mkdtempSync(join(folder, "wheel-")), { name: "demo", files });
}

const wheel = place(FILES);
const packed = await attempt(async () => ({ file: await pack(wheel, "demo.psp") }));

test.if(process.platform === "linux" && typeof packed !== "string")(
  "a wheel without entry points starts by the files that it brings",
  async () => {
    if (typeof packed === "string") throw new Error(packed);
    expect(await start(packed.file, "tool")).toBe("tool me");
    expect(await start(packed.file, "greet")).toBe("greet me 1");
    // The first one by name, because none is called like the project.
    expect(await start(packed.file, undefined)).toBe("greet me 1");
  },
);

test.if(process.platform === "linux" && typeof packed !== "string")(
  "execution.argv needs no command of Python, and no script beside it",
  async () => {
    const root = mkdtempSync(join(folder, "project-"));
    const lock = `lock-version = "1.0"\npackages = []\n`;
    writeFileSync(join(root, "pylock.toml"), lock);
    const manifest = join(root, "pyproject.toml");
    const text = '[project]\nname = "app"\nversion = "1.0"\n[tool.sealift.execution]\n';
    writeFileSync(
      manifest,
      `${text}argv = ["{workenv}/bin/python", "-c", "import sys; print(sys.argv)"]\n`,
    );
    expect(await start(await pack(manifest, "app.psp"), undefined)).toBe("['-c', 'me']");
  },
);

test("nothing to start is an error, and a wheel's says what to do", async () => {
  const empty = place({ "demo/__init__.py": "" });
  const problem = await pack(empty, "empty.psp").catch((error: unknown) => error);
  if (typeof packed === "string") return;
  expect(await codeOf(() => Promise.reject(problem))).toBe("ENTRY_MISSING");
  expect((problem as { hint?: string }).hint).toContain("pyproject.toml that depends on it");
});
