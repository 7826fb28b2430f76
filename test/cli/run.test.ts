import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as v from "valibot";

import { errorDocument, helpDocument, versionDocument } from "../../lib/cli/schemas.ts";
import manifest from "../../package.json";

const ROOT = join(import.meta.dir, "../..");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Options {
  program?: string;
  env?: Record<string, string>;
  stdout?: "pipe" | number;
}

async function sealift(words: string[], options: Options = {}) {
  const script = join(ROOT, options.program ?? "test/cli/program.ts");
  const env = { PATH: process.env.PATH, HOME: folder, ...options.env };
  const child = Bun.spawn([process.execPath, script, ...words], {
    cwd: folder,
    env,
    stdin: "ignore",
    stdout: options.stdout ?? "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    typeof child.stdout === "object" ? new Response(child.stdout).text() : "",
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
}

describe("results", () => {
  test("go to stdout, as text or as one JSON document", async () => {
    const text = await sealift(["echo", "--", "--help", "-x", "--"]);
    expect([text.code, text.err, JSON.parse(text.out).rest]).toEqual([
      0,
      "",
      ["--help", "-x", "--"],
    ]);
    const { out, code } = await sealift(["echo", "--json"]);
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      { schema: "sealift.x/1", ok: true, rest: [] },
    ]);
    expect(out.trimEnd().split("\n")).toHaveLength(1);
  });

  test("of a verdict that says no: exit code 1 and ok false", async () => {
    const { out, code } = await sealift(["verdict", "--json"]);
    expect([code, JSON.parse(out)]).toEqual([1, { schema: "sealift.x/1", ok: false, found: 3 }]);
  });

  test("can be raw bytes, but not with --json", async () => {
    const { out, code } = await sealift(["bytes"]);
    expect([code, out.length]).toEqual([0, 100_003]);
    expect(JSON.parse((await sealift(["bytes", "--json"])).out).code).toBe("OUTPUT_JSON");
  });

  test("that break the published schema are a bug and are not printed", async () => {
    const { out, code } = await sealift(["wrong", "--json"]);
    expect([code, JSON.parse(out).code]).toEqual([6, "OUTPUT_SCHEMA"]);
  });

  test("are whole, and a reader that goes away is no error", async () => {
    expect((await sealift(["long"])).out.length).toBe(1_000_012);
    const script = `"${process.execPath}" "${ROOT}/test/cli/program.ts" long | head -c 3; echo " \${PIPESTATUS[0]}"`;
    const child = Bun.spawn(["bash", "-c", script], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([out.split(" ")[0], err]).toEqual(['{"t', ""]);
  });

  test.skipIf(process.platform !== "linux")("that cannot be written are an error", async () => {
    const { openSync, closeSync } = await import("node:fs");
    const full = openSync("/dev/full", "w");
    const { code, err } = await sealift(["verdict"], { stdout: full });
    closeSync(full);
    expect([code, err]).toEqual([
      4,
      expect.stringContaining("cannot be written to standard output (ENOSPC)"),
    ]);
  });
});

describe("errors", () => {
  test.each([
    ["check", 1, "DIGEST"],
    ["chekc", 2, "COMMAND_UNKNOWN"],
    ["", 2, "COMMAND_MISSING"],
    ["check --nope", 2, "OPTION_UNKNOWN"],
    ["check extra", 2, "ARGUMENT_EXTRA"],
    ["check -- extra", 2, "ARGUMENT_EXTRA"],
    ["environment", 4, "NO_TOOL"],
    ["system", 4, "FILE_MISSING"],
    ["network", 5, "HTTP_STATUS"],
    ["network --offline", 5, "OFFLINE"],
    ["bug", 6, "INTERNAL"],
    ["late", 6, "INTERNAL"],
    ["ask", 2, "CONFIRM"],
  ])("of `%s` exit with %d as JSON and as text", async (line, code, name) => {
    const words = line.split(" ").filter((word) => word !== "");
    const json = await sealift(["--json", ...words]);
    const [document] = json.out.split("\n");
    expect(v.parse(errorDocument, JSON.parse(document ?? ""))).toMatchObject({
      code: name,
      exit: code,
    });
    expect(json.code).toBe(code);
    const text = await sealift(words);
    expect(text.code).toBe(code);
    expect(text.err).toContain("sealift: error: ");
  });

  test("are one line, facts and a hint, without control characters", async () => {
    const { err, out } = await sealift(["check"]);
    expect(out).toBe("");
    expect(err).toBe(
      "sealift: error: a.psp: the digest\\u{1b}[2J differs\n  expected: aa\n  actual: bb\nhint: Copy it again.\n",
    );
  });

  test("show a stack only with --debug, or when it is our bug", async () => {
    expect((await sealift(["environment"])).err).not.toContain("    at ");
    expect((await sealift(["environment", "--debug"])).err).toContain("    at ");
    expect((await sealift(["bug"])).err).toContain("    at ");
  });

  test("are coloured only on demand when nobody looks", async () => {
    expect((await sealift(["environment"])).err).not.toContain("\u001b[");
    expect((await sealift(["environment", "--color=always"])).err).toContain("\u001b[31m");
  });
});

describe("global options", () => {
  const echo = async (words: string[], env = {}) =>
    JSON.parse((await sealift(["echo", ...words], { env })).out);

  test.each([
    [["--offline"], {}, true],
    [[], { SEALIFT_OFFLINE: "1" }, true],
    [[], { SEALIFT_OFFLINE: "yes" }, true],
    [[], { SEALIFT_OFFLINE: "0" }, false],
    [[], { SEALIFT_OFFLINE: "" }, false],
  ])("%j with %j: offline is %p", async (words, env, offline) => {
    expect((await echo(words, env)).offline).toBe(offline);
  });

  test("choose the cache: flag, variable, settings, home", async () => {
    writeFileSync(join(folder, "settings.toml"), 'offline = true\ncache_dir = "/from/settings"\n');
    const config = ["--config", "settings.toml"];
    expect(await echo(config)).toMatchObject({ cacheDir: "/from/settings", offline: true });
    expect((await echo(config, { SEALIFT_CACHE: "/from/env" })).cacheDir).toBe("/from/env");
    expect(
      (await echo([...config, "--cache-dir", "/flag"], { SEALIFT_CACHE: "/env" })).cacheDir,
    ).toBe("/flag");
    expect((await echo(["--cache-dir", "here"])).cacheDir).toBe(join(folder, "here"));
    expect((await echo([])).cacheDir).toBe(join(folder, ".cache", "sealift"));
  });

  test.each([
    ["offline = 1", "offline is not valid"],
    ["unknown = true", "unknown is not valid"],
    ["cache_dir = 'relative'", "cache_dir is not valid"],
    ["offline = ", "is not TOML"],
  ])("refuse the settings %j", async (text, message) => {
    writeFileSync(join(folder, "bad.toml"), text);
    const { err, code } = await sealift(["echo", "--config", "bad.toml"]);
    expect([code, err]).toEqual([3, expect.stringContaining(message)]);
  });

  test("never read settings from the current folder, and need those that are named", async () => {
    writeFileSync(join(folder, "config.toml"), "nonsense");
    writeFileSync(join(folder, "sealift.toml"), "nonsense");
    expect((await echo([])).offline).toBe(false);
    expect((await sealift(["echo", "--config", "none.toml"])).code).toBe(4);
  });
});

describe("signals", () => {
  test.skipIf(process.platform === "win32").each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends the program by that signal, and no half output is left",
    async (signal) => {
      const place = mkdtempSync(join(tmpdir(), "cli-signal-"));
      const child = Bun.spawn([process.execPath, join(ROOT, "test/cli/program.ts"), "slow"], {
        cwd: place,
        stdout: "pipe",
        stderr: "pipe",
      });
      for await (const _ of child.stderr) break;
      expect(readdirSync(place)).toHaveLength(1);
      child.kill(signal);
      await child.exited;
      expect(child.signalCode).toBe(signal);
      expect(readdirSync(place)).toEqual([]);
      rmSync(place, { recursive: true });
    },
  );
});

describe("the program itself", () => {
  const real = { program: "main.ts" };

  test.each(["--version", "-V", "--version --quiet", "schema --version"])(
    "says its version: %s",
    async (line) => {
      expect(await sealift(line.split(" "), real)).toEqual({
        out: `sealift ${manifest.version}\n`,
        err: "",
        code: 0,
      });
    },
  );

  test("prints help with every command, on stdout", async () => {
    const { out, code } = await sealift(["--help"], real);
    expect(code).toBe(0);
    expect(out).toContain("Usage: sealift COMMAND");
    expect(out).toContain("completions");
  });

  test.each(["schema --help", "help schema", "schema -h", "schema --help -- x"])(
    "prints help of a command: %s",
    async (line) => {
      const { out, code } = await sealift(line.split(" "), real);
      expect(code).toBe(0);
      for (const part of [
        "Usage: sealift schema [NAME]",
        "Arguments:",
        "Global options:",
        "Examples:",
      ]) {
        expect(out).toContain(part);
      }
    },
  );

  test("prints help as data", async () => {
    const { out } = await sealift(["schema", "--help", "--json"], real);
    expect(v.parse(helpDocument, JSON.parse(out))).toMatchObject({
      schema: "sealift.help/1",
      ok: true,
      usage: "sealift schema [NAME] [OPTIONS]",
    });
  });

  test("says as data what is inside", async () => {
    const { out, code } = await sealift(["--version", "--json"], real);
    expect(code).toBe(0);
    expect(v.parse(versionDocument, JSON.parse(out)).version).toBe(manifest.version);
  });
});
