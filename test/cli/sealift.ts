/** Runs `sealift` as a user does, in a home of its own. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../main.ts");

export interface Answer {
  code: number;
  out: string;
  err: string;
  /** The document of `--json`. */
  json: Record<string, any>;
}

export function makeHome() {
  const home = mkdtempSync(join(tmpdir(), "sealift-home-"));
  const cache = join(home, ".cache", "sealift");
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const env = { PATH: process.env.PATH ?? "", HOME: home, NO_COLOR: "1" };

  /** `sealift WORDS`; `more` goes over the environment. */
  async function run(words: string[], more: Record<string, string> = {}): Promise<Answer> {
    const child = Bun.spawn([process.execPath, MAIN, ...words], {
      cwd: home,
      env: { ...env, ...more },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out, err, json: words.includes("--json") ? JSON.parse(out) : {} };
  }

  return {
    home,
    cache,
    env,
    run,
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}
