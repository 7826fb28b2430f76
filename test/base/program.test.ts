import { describe, expect, test } from "bun:test";
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, run, stopPrograms } from "../../lib/base/mod.ts";

const posix = test.skipIf(process.platform === "win32");
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error.code as string,
  );

describe("run()", () => {
  posix("gives exit code, both outputs, and passes input", async () => {
    const result = await run(["sh", "-c", "cat; echo warn >&2; exit 3"], { input: "hello" });
    expect([result.code, text(result.stdout), text(result.stderr)]).toEqual([3, "hello", "warn\n"]);
  });

  posix("passes arguments without a shell", async () => {
    const result = await run(["printf", "%s|", "a b", "$HOME", "`id`", ""]);
    expect(text(result.stdout)).toBe("a b|$HOME|`id`||");
  });

  posix("reports the signal that ended a program", async () => {
    expect(await run(["sh", "-c", "kill -9 $$"])).toMatchObject({ code: 137, signal: "SIGKILL" });
  });

  posix("uses the environment it is given and nothing else", async () => {
    const result = await run(["env"], { env: { PATH: process.env.PATH, A: "1" } });
    expect(text(result.stdout).trim().split("\n").sort()).toEqual([
      "A=1",
      `PATH=${process.env.PATH}`,
    ]);
  });

  test.skipIf(process.platform !== "linux")(
    "waits while a program is still open for writing",
    async () => {
      const path = join(mkdtempSync(join(tmpdir(), "program-")), "true");
      writeFileSync(path, await Bun.file("/bin/true").bytes(), { mode: 0o755 });
      const open = openSync(path, "r+");
      setTimeout(() => closeSync(open), 60);
      expect((await run([path])).code).toBe(0);
    },
  );

  posix("ends with stopPrograms()", async () => {
    const sleeping = run(["sleep", "30"]);
    setTimeout(stopPrograms, 60);
    expect(await sleeping).toMatchObject({ code: 143, signal: "SIGTERM" });
  });

  posix("stops a program that does not end", async () => {
    expect(await codeOf(run(["sleep", "30"], { timeoutMs: 50 }))).toBe("PROGRAM_TIMEOUT");
    // Its child keeps the output open.
    const parent = ["sh", "-c", "sleep 5 & echo on; sleep 5"];
    expect(await codeOf(run(parent, { timeoutMs: 50 }))).toBe("PROGRAM_TIMEOUT");
  });

  posix("stops a program that writes without end", async () => {
    expect(await codeOf(run(["yes"], { maxOutput: 100_000 }))).toBe("PROGRAM_OUTPUT");
  });

  posix("does not fail when a program ignores its input", async () => {
    expect((await run(["true"], { input: "x".repeat(1 << 20) })).code).toBe(0);
  });

  test("names a program that is not there", async () => {
    expect(await codeOf(run(["no-such-program"]))).toBe("PROGRAM_MISSING");
    expect(await codeOf(run([]))).toBe("PROGRAM_MISSING");
  });
});

describe("findProgram()", () => {
  posix("takes the first executable file in PATH and skips relative folders", () => {
    const folder = mkdtempSync(join(tmpdir(), "path-"));
    for (const name of ["a", "b", "c"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "a", "tool"), "not executable");
    mkdirSync(join(folder, "b", "tool"));
    writeFileSync(join(folder, "c", "tool"), "#!/bin/sh\n");
    chmodSync(join(folder, "c", "tool"), 0o755);
    const PATH = `.::relative:${["a", "b", "c"].map((name) => join(folder, name)).join(":")}`;
    expect(findProgram("tool", { PATH })).toBe(join(folder, "c", "tool"));
    expect(findProgram("tool", { PATH: "c" }, folder)).toBeUndefined();
    expect(findProgram("./c/tool", { PATH: "" }, folder)).toBe(join(folder, "c", "tool"));
    expect(findProgram("tool", {})).toBeUndefined();
  });
});
