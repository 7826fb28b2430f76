/** A passphrase at the terminal: both launchers and the command line ask there, show nothing, and say so where there is none. */
import { afterAll, describe, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { embeddedLauncher, hostPlatform } from "../../lib/launcher/mod.ts";
import { keyMaterial, writePackage } from "../../lib/pspf/mod.ts";
import { bytesSlot, options } from "../pspf/fixture.ts";
import { testIf } from "../support/need.ts";

const MAIN = join(import.meta.dir, "../../main.ts");
const PHRASE = "пароль и ещё слова";
const folder = mkdtempSync(join(tmpdir(), "sealift-prompt-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const missing = ["script", "setsid"].filter((name) => Bun.which(name) === null);
const withTerminal = testIf(missing.length === 0 ? true : `${missing.join(", ")} not installed`);

async function packageOf(language: "rust" | "go"): Promise<string> {
  const path = join(folder, `${language}.psp`);
  const keySource = "prompt";
  const key = async () => keyMaterial(new TextEncoder().encode(PHRASE), keySource);
  const slot = bytesSlot("secret", "hidden\n", {
    operations: ["zstd", "aes256gcm"],
    encryption: { keySource, key },
  });
  const execution = { argv: ["/bin/cat", "{workenv}/secret"] };
  await writePackage(
    path,
    options([slot], {
      launcher: await embeddedLauncher(language, hostPlatform()),
      manifest: { package: { name: language, version: "1" }, execution },
    }),
  );
  return path;
}

function environment(name: string) {
  const home = join(folder, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return { PATH: process.env.PATH ?? "", HOME: home, SEALIFT_CACHE: join(home, "cache") };
}

/** Runs a command on a terminal of its own and answers its one question. */
async function onTerminal(command: string, answer: string, env: Record<string, string>) {
  const child = Bun.spawn(["script", "-qefc", command, "/dev/null"], {
    env,
    cwd: folder,
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let answered = false;
  const decoder = new TextDecoder();
  for await (const piece of child.stdout) {
    shown += decoder.decode(piece, { stream: true });
    if (answered || !shown.includes("Passphrase of slot secret: ")) continue;
    answered = true;
    child.stdin.write(answer);
    child.stdin.flush();
  }
  child.stdin.end();
  return { code: await child.exited, shown };
}

describe.each(["rust", "go"] as const)("the %s launcher", (language) => {
  withTerminal("asks, and shows nothing of the answer", async () => {
    const file = await packageOf(language);
    const env = environment(`${language}-asks`);
    // One character is typed and taken back; then the terminal must be what it was.
    const command = `sh -c '${file}; stty -a'`;
    const { code, shown } = await onTerminal(command, `${PHRASE}й\u007f\r`, env);
    expect(code).toBe(0);
    expect(shown).toStartWith("Passphrase of slot secret: \r\nhidden\r\n");
    expect(shown).toMatch(/\nisig icanon .* echo /);
  });

  withTerminal("says that another passphrase is wrong", async () => {
    const file = await packageOf(language);
    const { code, shown } = await onTerminal(file, "wrong\r", environment(`${language}-wrong`));
    expect(code).toBe(103);
    expect(shown).toContain("slot secret is encrypted and its key (prompt) is not the right one");
  });

  withTerminal("ends at Ctrl-C with the terminal as it was", async () => {
    const file = await packageOf(language);
    const command = `sh -c '${file}; echo "code $?"; stty -a'`;
    const { shown } = await onTerminal(command, "half\u0003", environment(`${language}-int`));
    expect(shown).toStartWith("Passphrase of slot secret: \r\n");
    expect(shown).toContain("code 130");
    expect(shown).toMatch(/\nisig icanon .* echo /);
  });

  withTerminal("says that there is no terminal", async () => {
    const file = await packageOf(language);
    const child = Bun.spawn(["setsid", "-w", file], {
      env: environment(`${language}-none`),
      stdio: ["ignore", "ignore", "pipe"],
    });
    const err = await child.stderr.text();
    expect([await child.exited, err]).toEqual([
      105,
      "sealift: error: slot secret is encrypted and its key (prompt) is missing: there is no terminal to ask for it\n" +
        "hint: Give the key and start again: env: is a variable, file: a file, prompt a question on the terminal.\n",
    ]);
  });
});

describe("sealift extract", () => {
  withTerminal("asks, and shows nothing of the answer", async () => {
    const file = await packageOf("rust");
    const command = `${process.execPath} ${MAIN} extract ${file} secret -o secret.txt`;
    const { code, shown } = await onTerminal(command, `${PHRASE}\r`, environment("cli"));
    expect([code, shown]).toEqual([0, expect.stringContaining("secret → ")]);
    expect(shown).not.toContain(PHRASE);
    expect(readFileSync(join(folder, "secret.txt"), "utf8")).toBe("hidden\n");
  });

  withTerminal("says that there is no terminal", async () => {
    const file = await packageOf("rust");
    const command = ["setsid", "-w", process.execPath, MAIN, "extract", file, "secret", "-o", "no"];
    const child = Bun.spawn(command, {
      cwd: folder,
      env: environment("cli-none"),
      stdio: ["ignore", "ignore", "pipe"],
    });
    const err = await child.stderr.text();
    expect([await child.exited, err]).toEqual([4, expect.stringContaining("no terminal")]);
  });
});
