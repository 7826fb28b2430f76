import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../main.ts");
let folder: string;
let app: string;

const MANIFEST = `[package]
name = "demo"
version = "1.0"
[execution]
argv = ["/bin/sh", "{workenv}/bin/run.sh"]
[execution.entries]
other = ["/bin/sh", "-c", "echo other"]
[[slots]]
id = "script"
source = "run.sh"
target = "bin/run.sh"
[[slots]]
id = "tree"
source = "tree/"
target = "share"
`;
const SCRIPT = `#!/bin/sh
case "$1" in
  exit) exit "$2" ;;
  pid) echo $$ ;;
  kill) kill -TERM $$ ;;
  args) shift; printf '[%s]' "$@" ;;
  sigpipe) grep SigIgn /proc/self/status ;;
  *) cat "$SEALIFT_WORKENV/share/a.txt" ;;
esac
`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "package-"));
  mkdirSync(join(folder, "tree"));
  writeFileSync(join(folder, "tree/a.txt"), "hello\n");
  writeFileSync(join(folder, "run.sh"), SCRIPT);
  writeFileSync(join(folder, "sealift.toml"), MANIFEST);
  app = join(folder, "app.psp");
  const { code, err } = await sealift(["pack", "--key-seed", "test123", "-o", app]);
  if (code !== 0) throw new Error(err);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function sealift(words: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, SEALIFT_CACHE: join(folder, "cache"), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const code = await child.exited;
  return { code, out, err, pid: child.pid, signal: child.signalCode };
}

function damaged(name: string, at: number): string {
  const bytes = readFileSync(app);
  bytes[at < 0 ? bytes.length + at : at]! ^= 0xff;
  const path = join(folder, name);
  writeFileSync(path, bytes, { mode: 0o755 });
  return path;
}

describe("pack", () => {
  test("answers what it made, in text and as one JSON document", async () => {
    const out = join(folder, "again.psp");
    const { code, out: text } = await sealift([
      "pack",
      ".",
      "--key-seed",
      "test123",
      "-o",
      out,
      "--json",
    ]);
    const data = JSON.parse(text);
    expect([code, data.schema, data.ok, data.name, data.outputs[0].path]).toEqual([
      0,
      "sealift.pack/1",
      true,
      "demo",
      out,
    ]);
    expect(data.outputs[0].host_programs).toEqual(["/bin/sh"]);
    expect(readFileSync(out).equals(readFileSync(app))).toBe(true);
    const plan = await sealift(["pack", "--dry-run", "--key-seed", "x"]);
    expect([plan.code, plan.out]).toEqual([
      0,
      expect.stringContaining("would write dist/demo.psp"),
    ]);
    expect(existsSync(join(folder, "dist"))).toBe(false);
  });

  test("exits with 3 for a manifest, 4 for a file that exists, 2 for a flag, 1 for a failed test", async () => {
    const bad = join(folder, "bad.toml");
    writeFileSync(bad, MANIFEST.replace("target", "traget"));
    const { code, err } = await sealift(["pack", "-m", bad]);
    expect([code, err]).toEqual([
      3,
      expect.stringContaining(
        "bad.toml:11: slots[0].traget is not a known key\nhint: Did you mean `target`?",
      ),
    ]);
    expect((await sealift(["pack", "-o", app, "--key-seed", "x"])).code).toBe(4);
    expect((await sealift(["pack", "--compression", "lz4", "--key-seed", "x"])).code).toBe(2);
    expect((await sealift(["pack", "a", "-m", "b"])).code).toBe(2);
    const failed = await sealift([
      "pack",
      "--key-seed",
      "x",
      "-o",
      "t.psp",
      "--test-command",
      "demo exit 9",
    ]);
    expect([failed.code, failed.err]).toEqual([1, expect.stringContaining("ended with 9")]);
    expect(existsSync(join(folder, "t.psp"))).toBe(false);
  });
});

describe("verify", () => {
  test("passes a sealed package with every byte covered", async () => {
    const { code, out } = await sealift(["verify", app, "--json"]);
    const data = JSON.parse(out);
    expect([code, data.ok, data.coverage.percent]).toEqual([0, true, 100]);
    expect(data.checks.every((check: { ok: boolean }) => check.ok)).toBe(true);
    expect((await sealift(["verify", app])).out).toContain("signature covers 100 %");
  });

  test("exits with 1 for a changed byte, and with 3 for what is no package", async () => {
    const launcher = await sealift(["verify", damaged("launcher.psp", 1000), "--json"]);
    expect([launcher.code, JSON.parse(launcher.out).ok]).toEqual([1, false]);
    expect(launcher.out).toContain("SEAL_LAUNCHER");
    const slot = await sealift(["verify", damaged("slot.psp", -8201)]);
    expect([slot.code, slot.out]).toEqual([1, expect.stringContaining("NOT verified")]);
    expect((await sealift(["verify", damaged("trailer.psp", -1)])).code).toBe(3);
    expect((await sealift(["verify", join(folder, "run.sh")])).code).toBe(3);
    expect((await sealift(["verify", join(folder, "none")])).code).toBe(4);
  });

  test("--strict demands a trust store, --trust and --key judge the signer", async () => {
    const strict = await sealift(["verify", app, "--strict", "--json"]);
    expect([strict.code, strict.out]).toEqual([1, expect.stringContaining("TRUST_STORE")]);
    const trust = join(folder, "trust.d");
    mkdirSync(trust);
    await sealift(["keygen", "--out-dir", join(folder, "keys")]);
    const [stranger = ""] = readdirSync(join(folder, "keys")).filter((name) =>
      name.endsWith(".pub"),
    );
    writeFileSync(join(trust, "a.pub"), readFileSync(join(folder, "keys", stranger)));
    expect((await sealift(["verify", app, "--trust", trust])).code).toBe(1);
    expect((await sealift(["verify", app, "--key", join(trust, "a.pub")])).code).toBe(1);
    const seed = "d27367ba3d436463c468ecc68cfd2735b4d33b6be611355d72ac03666b47335d";
    expect((await sealift(["verify", app, "--key", seed])).code).toBe(0);
  });
});

describe("run", () => {
  test("passes arguments, output and exit code on", async () => {
    expect(await sealift(["run", app])).toMatchObject({ code: 0, out: "hello\n" });
    expect((await sealift(["run", app, "--", "exit", "42"])).code).toBe(42);
    expect((await sealift(["run", app, "--", "args", "a b", "--json", "--", ""])).out).toBe(
      "[a b][--json][--][]",
    );
    expect((await sealift(["run", app], { SEALIFT_ENTRY: "other" })).out).toBe("other\n");
  });

  test("becomes the program: same process, its signals, and none of them ignored", async () => {
    const { out, pid } = await sealift(["run", app, "--", "pid"]);
    expect(Number(out)).toBe(pid);
    expect((await sealift(["run", app, "--", "kill"])).signal).toBe("SIGTERM");
    expect((await sealift(["run", app, "--", "sigpipe"])).out).toContain("0000000000000000");
  });

  test("starts nothing that does not verify", async () => {
    const file = damaged("run.psp", -8201);
    const { code, out, err } = await sealift(["run", file]);
    expect([code, out, err]).toEqual([
      1,
      "",
      expect.stringContaining("do not match their SHA-256"),
    ]);
  });

  test("starts a file without the execute bit, and one for another system, with the launcher inside sealift", async () => {
    const plain = join(folder, "plain.psp");
    writeFileSync(plain, readFileSync(app), { mode: 0o644 });
    chmodSync(plain, 0o644);
    expect(await sealift(["run", plain, "--", "exit", "7"])).toMatchObject({ code: 7 });
    const foreign = join(folder, "foreign.psp");
    const made = await sealift([
      "pack",
      "--key-seed",
      "x",
      "--platform",
      "windows_amd64",
      "-o",
      foreign,
    ]);
    expect(made.code).toBe(0);
    expect(await sealift(["run", foreign])).toMatchObject({ code: 0, out: "hello\n" });
    expect((await sealift(["run", foreign, "--dry-run"])).out).toContain("embedded launcher");
  });

  test("a trust store decides, and who runs it may relax that to a warning", async () => {
    const trust = join(folder, "run-trust.d");
    mkdirSync(trust);
    await sealift(["keygen", "--out-dir", join(folder, "run-keys")]);
    const [stranger = ""] = readdirSync(join(folder, "run-keys")).filter((name) =>
      name.endsWith(".pub"),
    );
    writeFileSync(join(trust, "a.pub"), readFileSync(join(folder, "run-keys", stranger)));
    const env = { SEALIFT_TRUST_DIR: trust };
    expect(await sealift(["run", app], env)).toMatchObject({ code: 1, out: "" });
    const relaxed = await sealift(["run", app], { ...env, SEALIFT_VALIDATION: "relaxed" });
    expect([relaxed.code, relaxed.out, relaxed.err]).toEqual([
      0,
      "hello\n",
      expect.stringContaining("warning"),
    ]);
    expect((await sealift(["run", app], { ...env, SEALIFT_VALIDATION: "off" })).code).not.toBe(0);
  });

  test("starts a package for the earlier launchers with our own", async () => {
    const file = join(folder, "compat.psp");
    const manifest = join(folder, "compat.toml");
    writeFileSync(manifest, MANIFEST.replace(/\[execution.entries\]\nother.*\n/, ""));
    await sealift([
      "pack",
      "-m",
      manifest,
      "--compat",
      "flavorpack",
      "--key-seed",
      "x",
      "-o",
      file,
    ]);
    const { code, out } = await sealift(["run", file, "--json"]);
    expect([code, JSON.parse(out).launcher]).toEqual([0, "embedded"]);
    expect((await sealift(["run", file])).out).toBe("hello\n");
    expect(
      JSON.parse((await sealift(["verify", file, "--json"])).out).coverage.percent,
    ).toBeLessThan(100);
  });

  test("--json answers with the exit code and keeps the program off stdout", async () => {
    const { code, out, err } = await sealift(["run", app, "--json"]);
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      { schema: "sealift.run/1", exit: 0, launcher: "own" },
    ]);
    expect(err).toContain("hello");
  });
});

describe("inspect", () => {
  test("shows what is inside", async () => {
    const { code, out } = await sealift(["inspect", app, "--json"]);
    const data = JSON.parse(out);
    expect([code, data.name, data.sealed, data.problems]).toEqual([0, "demo", true, []]);
    expect(data.slots.map((slot: { id: string }) => slot.id)).toEqual(["script", "tree"]);
    expect((await sealift(["inspect", app, "--slots"])).out).toContain("original_size");
    expect((await sealift(["inspect", app, "--compression"])).out).toContain("total");
  });

  test("also shows a package whose signature is wrong, and says so", async () => {
    const { code, out } = await sealift(["inspect", damaged("sig.psp", -8200 + 4 + 130)]);
    expect([code, out]).toEqual([0, expect.stringContaining("SEAL_SIGNATURE")]);
    expect(out).toContain("nobody whose signature holds");
  });
});

describe("extract", () => {
  test("gives a file, a folder, the tar, or bytes on standard output", async () => {
    expect((await sealift(["extract", app, "script", "-o", "-"])).out).toBe(SCRIPT);
    const file = join(folder, "out.sh");
    expect((await sealift(["extract", app, "0", "-o", file])).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(SCRIPT);
    const tree = join(folder, "out");
    expect((await sealift(["extract", app, "tree", "-o", tree])).code).toBe(0);
    expect(readFileSync(join(tree, "a.txt"), "utf8")).toBe("hello\n");
    const tar = await sealift(["extract", app, "tree", "--raw-tar", "-o", "-"]);
    expect(tar.out).toStartWith("a.txt");
  });

  test("overwrites nothing without --force, and refuses what is not there", async () => {
    const file = join(folder, "mine");
    writeFileSync(file, "mine");
    expect((await sealift(["extract", app, "script", "-o", file])).code).toBe(4);
    expect(readFileSync(file, "utf8")).toBe("mine");
    const full = join(folder, "full");
    mkdirSync(full);
    writeFileSync(join(full, "a.txt"), "mine");
    expect((await sealift(["extract", app, "tree", "-o", full])).code).toBe(4);
    expect((await sealift(["extract-all", app, full])).code).toBe(4);
    expect(readFileSync(join(full, "a.txt"), "utf8")).toBe("mine");
    expect((await sealift(["extract", app, "none"])).code).toBe(2);
    expect((await sealift(["extract", app, "tree", "-o", "-"])).code).toBe(2);
  });

  test("extract-all makes one place per slot, or the work environment", async () => {
    const all = join(folder, "all");
    expect((await sealift(["extract-all", app, all, "--json"])).code).toBe(0);
    expect(readdirSync(all).sort()).toEqual(["script", "tree"]);
    const env = join(folder, "env");
    await sealift(["extract-all", app, env, "--by", "target"]);
    expect(readFileSync(join(env, "share/a.txt"), "utf8")).toBe("hello\n");
    expect(
      (await sealift(["extract-all", damaged("x.psp", -8201), join(folder, "never")])).code,
    ).toBe(1);
  });
});

describe("init and demo", () => {
  const project = (name: string, files: Record<string, string>): string => {
    const path = join(folder, name);
    mkdirSync(path);
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(path, file), text, { mode: text.startsWith("#!") ? 0o755 : 0o644 });
    }
    return path;
  };

  test("init writes a manifest that packs and runs as it is", async () => {
    const path = project("greet", { "greet.sh": '#!/bin/sh\necho "hi $1"\n', "data.txt": "x" });
    expect((await sealift(["init", path, "--yes"])).code).toBe(0);
    const out = join(folder, "greet.psp");
    expect((await sealift(["pack", path, "--key-seed", "x", "-o", out])).code).toBe(0);
    expect((await sealift(["run", out, "--", "you"])).out).toBe("hi you\n");
    expect((await sealift(["init", path, "--yes"])).code).toBe(4);
  });

  test("init without a terminal needs --yes, and shows the manifest with --dry-run", async () => {
    const path = project("ask", { "a.sh": "#!/bin/sh\n" });
    expect((await sealift(["init", path])).code).toBe(2);
    const { out } = await sealift(["init", path, "--yes", "--dry-run"]);
    expect(out).toContain('argv = ["/bin/sh", "{workenv}/app/a.sh"]');
    expect(existsSync(join(path, "sealift.toml"))).toBe(false);
    expect((await sealift(["init", project("nothing", { "a.txt": "" }), "--yes"])).err).toContain(
      "holds no package.json",
    );
    const python = project("setup", { "setup.py": "from setuptools import setup\nsetup()\n" });
    expect((await sealift(["init", python, "--yes"])).err).toContain("hint: Run `sealift pack`");
  });

  test("demo makes, packs and runs a project", async () => {
    const { code, out } = await sealift(["demo", "--dir", join(folder, "demo"), "--json"]);
    expect([code, JSON.parse(out).output]).toEqual([0, "Hello, sealift!"]);
    const tool = await sealift(["demo", "cli-tool", "--dir", join(folder, "tool"), "--json"]);
    expect(JSON.parse(tool.out).output).toBe("first: Packed once.\nsecond: Runs everywhere.");
    expect((await sealift(["demo", "hello"])).err).toContain("Did you mean hello-world?");
    const none = await sealift(["demo", "web-app", "--dir", join(folder, "web")], {
      PATH: "/nonexistent",
    });
    expect([none.code, none.err]).toEqual([
      4,
      expect.stringContaining("packs node, and this machine has none"),
    ]);
  });
});
