/** Applications packed as a user packs them, and started in a home of their own. Their build backend needs nothing from an index. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { loadProject, type PackOptions, packProject } from "../../lib/pack/mod.ts";
import { context } from "./place.ts";

/** A PEP 517 backend in the project itself: everything below `src/`, and the scripts of pyproject.toml. */
const BACKEND = `
import base64, hashlib, os, tomllib, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with open("pyproject.toml", "rb") as f:
        project = tomllib.load(f)["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    info = "%s-%s.dist-info" % (name, version)
    files = {}
    for folder, _, names in os.walk("src"):
        for n in names:
            path = os.path.join(folder, n)
            with open(path, "rb") as f:
                files[os.path.relpath(path, "src")] = f.read()
    files[info + "/METADATA"] = ("Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (project["name"], version)).encode()
    files[info + "/WHEEL"] = b"Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    groups = [("console_scripts", project.get("scripts", {})), ("gui_scripts", project.get("gui-scripts", {}))]
    files[info + "/entry_points.txt"] = "".join("[%s]\\n" % g + "".join("%s = %s\\n" % i for i in s.items()) for g, s in groups).encode()
    row = lambda p, d: "%s,sha256=%s,%d" % (p, base64.urlsafe_b64encode(hashlib.sha256(d).digest()).decode().rstrip("="), len(d))
    files[info + "/RECORD"] = "\\n".join([row(p, d) for p, d in files.items()] + [info + "/RECORD,,", ""]).encode()
    wheel = "%s-%s-py3-none-any.whl" % (name, version)
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as z:
        for path in sorted(files):
            z.writestr(path, files[path])
    return wheel
`;

const HEAD = `[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "demo-app"
version = "1.0"
`;

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

export class Application implements Disposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-application-")));
  readonly root = join(this.folder, "project");
  readonly package = join(this.folder, "out", "demo-app.psp");

  /** `manifest` follows the head of pyproject.toml, inside of [project]. */
  constructor(manifest: string, files: Record<string, string> = {}) {
    mkdirSync(join(this.folder, "home"));
    this.put({ "pyproject.toml": HEAD + manifest, "backend.py": BACKEND, ...files });
  }

  put(files: Record<string, string>): void {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  async pack(options: PackOptions = {}) {
    const env = { ...process.env, HOME: this.folder, XDG_CONFIG_HOME: join(this.folder, "config") };
    return await packProject(context({ env }), await loadProject(this.root), {
      keySeed: "test123",
      compression: "zstd:1",
      output: this.package,
      force: true,
      ...options,
    });
  }

  /** Starts the package with an environment of its own: PATH, folders below this one, and `more`. */
  async start(words: string[] = [], more: Record<string, string> = {}): Promise<Finished> {
    return await this.startAs(this.package, words, more);
  }

  async startAs(
    file: string,
    words: string[] = [],
    more: Record<string, string> = {},
  ): Promise<Finished> {
    const done = await run([file, ...words], { env: { ...this.env, ...more }, timeoutMs: 120_000 });
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code: done.code, stdout: text(done.stdout), stderr: text(done.stderr) };
  }

  get env(): Record<string, string> {
    return {
      PATH: "/usr/bin:/bin",
      HOME: join(this.folder, "home"),
      SEALIFT_CACHE: join(this.folder, "cache"),
      SEALIFT_DATA: join(this.folder, "data"),
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
