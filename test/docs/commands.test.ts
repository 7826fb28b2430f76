/** Every command line that the documentation shows is run as it stands, page by page, in a folder of its own. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freshBinary } from "../../scripts/binary.ts";
import { readPage } from "./pages.ts";

const ROOT = join(import.meta.dir, "..", "..");
const PAGES = [
  "README.md",
  ...[...new Bun.Glob("docs/{tutorial,how-to,explanation}/**/*.md").scanSync(ROOT)].sort(),
];
const work = mkdtempSync(join(tmpdir(), "sealift-docs-"));
const release = join(work, "release");
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: serveRelease });

beforeAll(async () => {
  const binary = await freshBinary();
  await must([binary, "keygen", "--out-dir", work, "--name", "publisher"]);
  const words = ["--host-only", "--key", join(work, "publisher.key"), "--out", release];
  const url = `http://127.0.0.1:${server.port}`;
  await must([process.execPath, join(ROOT, "scripts/release.ts"), ...words, "--url", url]);
}, 240_000);
afterAll(() => {
  server.stop(true);
  rmSync(work, { recursive: true, force: true });
}, 60_000);

describe("the documentation", () => {
  for (const path of PAGES) {
    const page = readPage(readFileSync(join(ROOT, path), "utf8"));
    if (page.commands === 0) continue;
    test(
      `${path}: ${page.commands} command lines do what the page says`,
      () => runPage(path, page.script),
      240_000,
    );
  }
});

async function runPage(path: string, script: string): Promise<void> {
  const folder = join(work, path.replaceAll("/", "_"));
  mkdirSync(join(folder, "home"), { recursive: true });
  cpSync(join(ROOT, "docs", "examples"), join(folder, "examples"), { recursive: true });
  const text = script.replaceAll(
    "https://sealift.example/releases",
    `http://127.0.0.1:${server.port}`,
  );
  const child = Bun.spawn(["sh", "-eu", "-c", text], {
    cwd: folder,
    env: {
      ...process.env,
      PATH: `${join(ROOT, "dist")}:${process.env.PATH}`,
      HOME: join(folder, "home"),
      XDG_CONFIG_HOME: join(folder, "home", ".config"),
      XDG_DATA_HOME: join(folder, "home", ".local", "share"),
      SEALIFT_CACHE: process.env.SEALIFT_TEST_CACHE ?? join(work, "cache"),
      LC_ALL: "C.UTF-8",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ code, output: code === 0 ? "" : `${out}\n${err}` }).toEqual({ code: 0, output: "" });
}

async function must(command: string[]): Promise<void> {
  const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "pipe"] });
  const [err, code] = await Promise.all([child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`\`${command.join(" ")}\` exited with ${code}: ${err}`);
}

/** The release page of the documentation, simulated on loopback. */
function serveRelease(request: Request): Response {
  const path = join(release, new URL(request.url).pathname);
  return existsSync(path)
    ? new Response(Bun.file(path))
    : new Response("not found", { status: 404 });
}
