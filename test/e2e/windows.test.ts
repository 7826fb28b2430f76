/** Packages for Windows, made on Linux by the finished program and started under wine: what only that system can show. */
import { afterAll, beforeAll, expect } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  cpSync,
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

import { embeddedLauncher } from "../../lib/launcher/mod.ts";
import { freshBinary } from "../../scripts/binary.ts";
import { freePort } from "../launcher/service.ts";
import { testIf } from "../support/need.ts";
import { must, needWine, type StartOptions, startWine, type Wine } from "./wine.ts";

const SECONDS = 1000;
const DEEP = Array.from({ length: 5 }, () => "d".repeat(60)).join("/");

const available = await needWine();
const check = (name: string, body: () => Promise<void>) =>
  testIf(available)(name, body, 60 * SECONDS);
let folder: string;
let wine: Wine;
let app: string;

beforeAll(async () => {
  if (available !== true) return;
  folder = mkdtempSync(join(tmpdir(), "windows-"));
  const environment = { ...process.env, GOOS: "windows", GOARCH: "amd64", CGO_ENABLED: "0" };
  const program = join(folder, "program.exe");
  const source = join(import.meta.dir, "windows-program.go");
  [wine] = await Promise.all([
    startWine(folder),
    must(["go", "build", "-ldflags=-s -w", "-o", program, source], environment, folder),
  ]);
  app = await pack("app", MANIFEST, {
    "vol.txt": "fresh",
    "temp.txt": "temporary",
    "lazy.txt": "lazy",
    "app.ini": "default",
    "run.cmd": '@"%~dp0bin\\program.exe" args %*\r\n',
    [`tree/${DEEP}/file.txt`]: "deep",
    "tree/zoë 日本.txt": "unicode",
  });
}, 300 * SECONDS);
afterAll(async () => {
  if (available !== true) return;
  await wine.stop();
  rmSync(folder, { recursive: true, force: true });
});

const MANIFEST = `[package]
name = "app"
version = "1"
[execution]
argv = ["{workenv}/bin/program"]
[execution.entries]
lazy = ["program", "read", "{slot:lazy}"]
deep = ["program.exe", "read", "{workenv}/tree/${DEEP}/file.txt", "{workenv}/tree/zoë 日本.txt"]
state = ["program", "read", "{workenv}/vol.txt", "{slot:settings}", "{workenv}/etc/app.ini", "{workenv}/setup.txt"]
hello = ["program", "args", "hello"]
batch = ["{workenv}/run.cmd"]
[execution.env]
MODE = "packed"
[execution.runtime.env]
unset = ["secret_*", "temp"]
pass = ["SECRET_KEPT"]
[[slots]]
id = "program"
source = "program.exe"
target = "bin/program.exe"
[[slots]]
id = "again"
source = "program.exe"
target = "fresh/program.exe"
lifecycle = "volatile"
[[slots]]
id = "batch"
source = "run.cmd"
target = "run.cmd"
[[slots]]
id = "tree"
source = "tree/"
target = "tree"
share = false
[[slots]]
id = "volatile"
source = "vol.txt"
target = "vol.txt"
lifecycle = "volatile"
[[slots]]
id = "lazy"
source = "lazy.txt"
target = "lazy.txt"
lifecycle = "lazy"
[[slots]]
id = "settings"
source = "app.ini"
target = "app.ini"
lifecycle = "config"
[[slots]]
id = "shared"
source = "program.exe"
target = "shared.bin"
share = true
[[setup]]
type = "write_file"
path = "{workenv}/etc/app.ini"
content = "home={workenv}"
[[setup]]
type = "execute"
command = ["{workenv}/bin/program", "write", "setup.txt", "made by setup"]
`;

/** Packs a project with the program in it; the path of the package. */
async function pack(
  name: string,
  manifest: string,
  files: Record<string, string> = {},
  platform = "windows_amd64",
): Promise<string> {
  const root = join(folder, `${name}-project`);
  const all = { ...files, "sealift.toml": manifest };
  for (const [path, content] of Object.entries(all)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  copyFileSync(join(folder, "program.exe"), join(root, "program.exe"));
  const flags = ["--platform", platform, "--key-seed", "windows", "--compression", "zstd:3", "-q"];
  await must([await freshBinary(), "pack", root, ...flags], process.env, folder);
  const file = `${name}.${platform.startsWith("windows") ? "exe" : "psp"}`;
  copyFileSync(join(root, "dist", file), join(folder, file));
  return join(folder, file);
}

const start = (args: string[] = [], more: StartOptions = {}, file = app) =>
  wine.start([file, ...args], more);
const entry = (name: string, ...args: string[]) => start(args, { env: { SEALIFT_ENTRY: name } });

/** The folder of the user's local data, where wine puts it. */
function local(): string {
  const users = join(wine.drive, "users");
  const user = readdirSync(users).find((name) => name !== "Public") as string;
  return join(users, user, "AppData", "Local", "sealift");
}

function workenv(): string {
  const root = join(local(), "cache", "workenv");
  const names = readdirSync(root).filter((name) => name.startsWith("app-1-"));
  expect(names).toHaveLength(1);
  return join(root, names[0] as string);
}

/** A path of this machine as programs see it. */
const windowsPath = (path: string) => `Z:${path.replaceAll("/", "\\")}`;

check("many first starts at once make one work environment in the user's local data", async () => {
  const starts = Array.from({ length: 4 }, (_, i) => start(["args", `${i}`]));
  const outcomes = await Promise.all(starts);
  expect(outcomes.map(({ code, stdout, stderr }) => `${code} ${stdout}${stderr}`)).toEqual([
    "0 [0]",
    "0 [1]",
    "0 [2]",
    "0 [3]",
  ]);
  expect(existsSync(join(workenv(), ".sealift", "ready"))).toBe(true);
  expect(readdirSync(join(local(), "cache", "store"))).toHaveLength(1);
});

check("arguments, input, output and exit codes pass unchanged", async () => {
  const words = ["a b", 'q"x', "tr\\", "tr \\", "", "é 日本", "%PATH%", "&", "--help"];
  expect((await start(["args", ...words])).stdout).toBe(words.map((word) => `[${word}]`).join(""));
  expect((await start(["exit", "42"])).code).toBe(42);
  const name = windowsPath(app);
  for (const code of ["0xC0000005", "300"]) {
    const { stdout } = await wine.start([join(folder, "program.exe"), "code", name, "exit", code]);
    expect(Number(stdout)).toBe(Number(code));
  }
  const input = new TextEncoder().encode("line\r\nline\n\u001a after".repeat(5000));
  expect((await start(["cat"], { input })).stdout).toBe(new TextDecoder().decode(input));
});

check("names of variables ignore case, and the package's bin comes first in PATH", async () => {
  const names = ["MODE", "SECRET_A", "secret_kept", "SEALIFT_SELF", "SEALIFT_LAUNCHER_CLI", "PATH"];
  const env = { Secret_A: "x", SECRET_KEPT: "kept", mode: "mine", SEALIFT_LAUNCHER_CLI: "0" };
  const lines = (await start(["env", ...names, "TEMP"], { env })).stdout.split("\n");
  expect(lines.slice(0, 5)).toEqual([
    "MODE=packed true",
    "SECRET_A= false",
    "secret_kept=kept true",
    `SEALIFT_SELF=${windowsPath(app)} true`,
    "SEALIFT_LAUNCHER_CLI= false",
  ]);
  expect(lines[5]).toMatch(/^PATH=C:\\.*\\workenv\\app-1-[0-9a-f]{16}\\bin;.*system32/i);
  expect(lines[6]).toMatch(/^TEMP=.* true$/);
});

check("the name of the file chooses the entry, whatever its case", async () => {
  const renamed = join(folder, "HELLO.EXE");
  copyFileSync(app, renamed);
  expect((await start(["you"], {}, renamed)).stdout).toBe("[hello][you]");
  expect((await entry("deep")).stdout).toBe("deep <nil>\nunicode <nil>\n");
  expect((await entry("none")).code).toBe(105);
});

check("a batch file gets its arguments, and none that it cannot take", async () => {
  expect((await entry("batch", "a b", "x&y", "tr\\")).stdout).toBe("[a b][x&y][tr\\]");
  const { code, stderr } = await entry("batch", "a\nb");
  expect([code, stderr.includes("a line break")]).toEqual([104, true]);
});

check("settings stay, volatile files come back, lazy ones come when needed", async () => {
  const home = `C:${workenv().slice(wine.drive.length).replaceAll("/", "\\")}`;
  const state = `fresh <nil>\ndefault <nil>\nhome=${home} <nil>\nmade by setup <nil>\n`;
  writeFileSync(join(workenv(), "vol.txt"), "changed");
  expect((await entry("state")).stdout).toBe(state);
  writeFileSync(join(local(), "data", "app", "app.ini"), "mine");
  expect((await entry("state")).stdout).toBe(state.replace("default", "mine"));
  expect(existsSync(join(workenv(), "lazy.txt"))).toBe(false);
  expect((await entry("lazy")).stdout).toBe("lazy <nil>\n");
});

check("a damaged work environment is made anew", async () => {
  rmSync(join(workenv(), "bin", "program.exe"));
  expect((await start(["args", "1"])).stdout).toBe("[1]");
  writeFileSync(join(workenv(), ".sealift", "ready"), "sealift-ready 1\n");
  chmodSync(join(workenv(), "run.cmd"), 0o444);
  expect((await start(["args", "2"])).stdout).toBe("[2]");
  rmSync(join(local(), "cache", "store"), { recursive: true });
  // wine's server closes the files of a program that has ended a moment late; until then a start may find them in use.
  let third = await start(["args", "3"]);
  for (let i = 0; i < 4 && third.stdout === ""; i++) {
    await Bun.sleep(500);
    third = await start(["args", "3"]);
  }
  expect(third).toMatchObject({ stdout: "[3]", stderr: "" });
  writeFileSync(join(workenv(), "tree", "zoë 日本.txt"), "changed");
  const { stderr } = await start(["args"], { env: { SEALIFT_VERIFY: "full" } });
  expect(stderr).toContain("was changed and is made anew");
  expect((await entry("deep")).stdout).toContain("unicode");
});

check(
  "a killed package takes its program along; what a program leaves running goes on",
  async () => {
    const [killed, left] = [join(folder, "killed"), join(folder, "left")];
    const sleep = (path: string) => ["sleep", "1500", windowsPath(path)];
    const killer = [join(folder, "program.exe"), "kill", "700", windowsPath(app), ...sleep(killed)];
    const [{ code, stdout }] = await Promise.all([
      wine.start(killer),
      start(["background", ...sleep(left)]),
    ]);
    expect([code, stdout]).toEqual([0, ""]);
    await Bun.sleep(1800);
    expect([existsSync(killed), existsSync(left)]).toEqual([false, true]);
  },
);

check("a package may be renamed while it runs, and run twice with a volatile program", async () => {
  expect((await start(["rename"])).stdout).toBe("renamed");
  const own = `[package]\nname = "own"\nversion = "1"
[execution]\nargv = ["{workenv}/own.exe"]
[[slots]]\nid = "own"\nsource = "program.exe"\ntarget = "own.exe"\nlifecycle = "volatile"\n`;
  const file = await pack("own", own);
  const first = start(["sleep", "1200"], {}, file);
  await Bun.sleep(700);
  expect((await start(["args", "second"], {}, file)).stdout).toBe("[second]");
  expect((await first).code).toBe(0);
});

check("temp slots go after the run, and a shutdown slot runs after it", async () => {
  const manifest = `[package]\nname = "life"\nversion = "1"
[execution]\nargv = ["{workenv}/program", "read", "{slot:temp}"]
[execution.entries]\nfail = ["{workenv}/program", "exit", "9"]
[[slots]]\nid = "program"\nsource = "program.exe"\ntarget = "program.exe"
[[slots]]\nid = "temp"\nsource = "temp.txt"\nlifecycle = "temp"
[[slots]]\nid = "end"\nsource = "program.exe"\ntarget = "end.exe"\nlifecycle = "shutdown"\n`;
  const file = await pack("life", manifest, { "temp.txt": "temporary" });
  expect((await start([], {}, file)).stdout).toBe("temporary <nil>\nafter 0");
  const { code, stdout } = await start([], { env: { SEALIFT_ENTRY: "fail" } }, file);
  expect([code, stdout]).toEqual([9, "after 9"]);
  const root = join(local(), "cache", "workenv");
  const life = readdirSync(root).find((name) => name.startsWith("life")) as string;
  expect(readdirSync(join(root, life, ".sealift", "run"))).toEqual([]);
});

check("a service starts in the background, is asked about, starts again and stops", async () => {
  const port = await freePort();
  const manifest = `[package]\nname = "serving"\nversion = "1"
[execution]\nargv = ["{workenv}/program", "serve"]
[service]\nport = ${port}\nstop_timeout = 1
[[slots]]\nid = "program"\nsource = "program.exe"\ntarget = "program.exe"\n`;
  const file = await pack("serving", manifest);
  const command = async (...args: string[]): Promise<Record<string, unknown>> => {
    const env = { SEALIFT_LAUNCHER_CLI: "1" };
    const { code, stdout, stderr } = await start(["--json", ...args], { env, leaves: true }, file);
    return { stderr, ...(JSON.parse(stdout) as Record<string, unknown>), code };
  };
  expect(await command("status")).toMatchObject({ code: 3, state: "stopped" });
  const first = await command("start", "a b");
  expect(first).toMatchObject({ code: 0, started: true, port });
  expect(await command("start")).toMatchObject({ started: false, pid: first.pid });
  expect(await command("status")).toMatchObject({ code: 0, state: "running", accepts: true });
  expect(await command("logs")).toMatchObject({ lines: ["up [a b]"] });
  expect((await start([], {}, file)).code).toBe(104);
  expect(await command("restart")).toMatchObject({ code: 0, started: true });
  expect(await command("stop")).toMatchObject({ code: 0, stopped: true });
  expect(await command("stop")).toMatchObject({ code: 0, stopped: false });
  expect(await command("status")).toMatchObject({ code: 3, state: "stopped", accepts: false });
});

check("a changed byte anywhere is refused, and so is a signer that nobody trusts", async () => {
  const bytes = readFileSync(app);
  const damaged = join(folder, "damaged.exe");
  for (const at of [200, 1_000_000, bytes.length - 9000]) {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] as number) ^ 1;
    writeFileSync(damaged, copy);
    rmSync(join(workenv(), ".sealift", "ready"), { force: true });
    const { code, stdout } = await start(["args", "no"], {}, damaged);
    expect([at, code, stdout]).toEqual([at, 107, ""]);
    await start();
  }
  const store = join(local(), "..", "..", "Roaming", "sealift", "trust.d");
  const key = join(folder, "other");
  await must([await freshBinary(), "keygen", "-o", key, "-q"], process.env, folder);
  mkdirSync(store, { recursive: true });
  cpSync(`${key}.pub`, join(store, "other.pub"));
  const { code, stderr } = await start(["args"]);
  expect([code, stderr.includes("is not in the trust store C:\\")]).toEqual([107, true]);
  expect((await start(["args", "x"], { env: { SEALIFT_VALIDATION: "relaxed" } })).stdout).toBe(
    "[x]",
  );
  rmSync(store, { recursive: true });
});

check("CLI mode answers, and a stub runs packages of other systems by its own rules", async () => {
  const env = { SEALIFT_LAUNCHER_CLI: "1" };
  expect(JSON.parse((await start(["info", "--json"], { env })).stdout)).toMatchObject({
    name: "app",
    sealed: true,
    launcher: { tool: "sealift-go" },
  });
  expect((await start(["verify"], { env })).code).toBe(0);
  const stub = join(folder, "stub.exe");
  writeFileSync(stub, (await embeddedLauncher("go", "windows_amd64")).bytes);
  expect((await wine.start([stub, "--stub-version"])).stdout).toMatch(/ windows_amd64\r?\n$/);
  const run = (file: string) => wine.start([stub, "--run-package", windowsPath(file), "args", "x"]);
  expect((await run(app)).stdout).toBe("[x]");
  const manifest = `[package]\nname = "reserved"\nversion = "1"
[execution]\nargv = ["/bin/true"]
[[slots]]\nid = "tree"\nsource = "tree/"\ntarget = "tree"\n`;
  const foreign = await pack("reserved", manifest, { "tree/aux.txt": "x" }, "linux_amd64");
  const { code, stderr } = await run(foreign);
  expect([code, stderr.includes("aux.txt: holds a name that Windows reserves")]).toEqual([
    103,
    true,
  ]);
});
