import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram } from "../../lib/base/mod.ts";
import { completionScript, completionWords, SHELLS } from "../../lib/cli/completion.ts";
import { needPackages } from "../support/debian.ts";
import { testIf } from "../support/need.ts";

const present = new Map<string, true | string>();
for (const shell of ["bash", "zsh", "fish"])
  present.set(shell, findProgram(shell) === undefined ? await needPackages([shell]) : true);

/** What bash offers for a line whose last word is being typed. */
async function offered(line: string[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "completion-"));
  try {
    const script = join(folder, "sealift.bash");
    writeFileSync(script, await completionScript("bash"));
    const words = line.map((word) => `'${word}'`).join(" ");
    const body = `source "$0"; COMP_WORDS=(sealift ${words}); COMP_CWORD=${line.length}; _sealift; printf '%s\n' "\${COMPREPLY[@]}"`;
    const child = Bun.spawn(["bash", "-eu", "-c", body, script], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(err).toBe("");
    return out.split("\n").filter((word) => word !== "");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("completions", () => {
  test("know commands, verbs, options, aliases and choices", async () => {
    const words = await completionWords();
    expect(words[""]).toContain("verify");
    expect(words.launchers).toContain("list");
    expect(words.helpers).toEqual(words.launchers as string[]);
    expect(words["helpers list"]).toEqual(words["launchers list"] as string[]);
    expect(words.completions).toEqual(expect.arrayContaining([...SHELLS, "--json", "-q"]));
  });

  test("hold nothing that a shell would read as code", async () => {
    for (const [key, list] of Object.entries(await completionWords())) {
      expect(key).toMatch(/^[a-z -]*$/);
      for (const word of list) expect(word).toMatch(/^[A-Za-z0-9-]+$/);
    }
  });

  testIf(present.get("bash") ?? "unknown")("of bash complete what is typed", async () => {
    expect(await offered(["comp"])).toEqual(["completions"]);
    expect(await offered(["completions", "z"])).toEqual(["zsh"]);
    expect(await offered(["--json", "helpers", "li"])).toEqual(["list"]);
    expect(await offered(["launchers", "list", "--off"])).toEqual(["--offline"]);
  });

  for (const [shell, flag] of [
    ["bash", "-n"],
    ["zsh", "-n"],
    ["fish", "--no-execute"],
  ] as const) {
    testIf(present.get(shell) ?? "unknown")(`of ${shell} are valid scripts`, async () => {
      const child = Bun.spawn([shell, flag, "/dev/stdin"], {
        stdin: new TextEncoder().encode(await completionScript(shell)),
        stderr: "pipe",
      });
      expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, ""]);
    });
  }
});
