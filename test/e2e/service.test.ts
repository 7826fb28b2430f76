/** A web server of Python's own library, packed as a user does it, then started, asked, restarted and stopped through its launcher. */
import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, run } from "../../lib/base/mod.ts";
import { freshBinary } from "../../scripts/binary.ts";
import { freePort } from "../launcher/service.ts";
import { testIf } from "../support/need.ts";

const reason =
  process.platform !== "linux" || findProgram("python3") === undefined
    ? "needs Python on Linux"
    : true;
const folder = mkdtempSync(join(tmpdir(), "sealift-serving-"));
let binary: string;

beforeAll(async () => {
  if (reason === true) binary = await freshBinary();
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }), 60_000);

const SERVER = `import http.server
import json
import os
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(23)
        body = json.dumps({"pid": os.getpid(), "port": os.environ["PORT"], "args": sys.argv[1:], "version": "@VERSION@"})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    print("serving", flush=True)
    server.serve_forever()
`;

function project(version: string, port: number): string {
  const root = join(folder, version);
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "serving.py"), SERVER.replace("@VERSION@", version));
  writeFileSync(
    join(root, "pyproject.toml"),
    `[project]
name = "serving"
version = "${version}"
[project.scripts]
serving = "serving:main"
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
py-modules = ["serving"]
[tool.sealift.runtime]
persistent = true
port = ${port}
restart = "on-failure"
`,
  );
  return root;
}

const env = {
  PATH: process.env.PATH,
  HOME: folder,
  SEALIFT_CACHE: join(folder, "cache"),
  SEALIFT_DATA: join(folder, "data"),
};

async function must(argv: string[], more: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, { cwd: folder, env: { ...env, ...more } });
  if (code !== 0)
    throw new Error(`${argv.join(" ")}: ${code}\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

async function pack(version: string, port: number): Promise<string> {
  const file = join(folder, `serving-${version}.psp`);
  const cache = process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? folder, ".cache");
  await must([binary, "pack", project(version, port), "--key-seed", "serving", "-o", file], {
    XDG_CACHE_HOME: cache,
  });
  return file;
}

testIf(reason)(
  "a Python web server runs, comes back after a crash, is replaced by its next version, and stops",
  async () => {
    const port = await freePort();
    const [one, two] = [await pack("1.0.0", port), await pack("2.0.0", port)];
    const command = async (file: string, ...args: string[]) =>
      JSON.parse(await must([file, "--json", ...args], { SEALIFT_LAUNCHER_CLI: "1" })) as Record<
        string,
        unknown
      >;
    const ask = async () =>
      (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as Record<string, unknown>;
    try {
      const started = await command(one, "start", "--fast");
      expect(started).toMatchObject({ ok: true, started: true, port });
      const first = await ask();
      expect(first).toEqual({
        pid: started.pid,
        port: String(port),
        args: ["--fast"],
        version: "1.0.0",
      });
      await fetch(`http://127.0.0.1:${port}/crash`).catch(() => undefined);
      let again: Record<string, unknown> | undefined;
      for (let i = 0; i < 600 && again === undefined; i++) {
        await Bun.sleep(50);
        again = await ask().catch(() => undefined);
      }
      expect(again?.pid).not.toBe(first.pid);
      expect(await command(one, "status")).toMatchObject({ restarts: 1, exit: 23, accepts: true });
      expect(await command(two, "restart")).toMatchObject({ version: "2.0.0", started: true });
      expect(await ask()).toMatchObject({ version: "2.0.0", args: [] });
    } finally {
      await command(two, "stop");
    }
    await expect(ask()).rejects.toThrow();
  },
  240_000,
);
