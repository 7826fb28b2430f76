/**
 * Debian packages that some tests need (bubblewrap, qemu-user-static, …). As root they are installed on demand; else the
 * tests that need them are skipped with the reason.
 */
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LOCK = join(tmpdir(), "sealift-test-apt.lock");
const PATIENCE_MS = 300_000;

const answers = new Map<string, Promise<true | string>>();
let updated: Promise<boolean> | undefined;

/** `true` when all packages are installed (now), else why not. Asked once per process and set of packages. */
export function needPackages(names: readonly string[]): Promise<true | string> {
  const key = names.toSorted().join(" ");
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = provide(names);
  answers.set(key, answer);
  return answer;
}

async function provide(names: readonly string[]): Promise<true | string> {
  if (!existsSync("/usr/bin/dpkg-query")) return "this is not a Debian system";
  if (await areInstalled(names)) return true;
  const list = names.join(", ");
  if (process.getuid?.() !== 0) return `${list} not installed, and only root can install`;
  return await underLock(async () => {
    if (await areInstalled(names)) return true;
    updated ??= succeeds(["apt-get", "update", "-qq"]);
    if (!(await updated)) return `${list} not installed, and \`apt-get update\` failed`;
    const installed = await succeeds([
      "apt-get",
      "install",
      "-y",
      "-qq",
      "--no-install-recommends",
      ...names,
    ]);
    return installed && (await areInstalled(names))
      ? true
      : `${list} cannot be installed by apt-get`;
  });
}

async function areInstalled(names: readonly string[]): Promise<boolean> {
  const child = Bun.spawn(["dpkg-query", "-W", "-f", "${db:Status-Status}\n", ...names], {
    stdout: "pipe",
    stderr: "ignore",
  });
  const lines = (await new Response(child.stdout).text()).trim().split("\n");
  return (await child.exited) === 0 && lines.every((line) => line === "installed");
}

async function succeeds(argv: string[]): Promise<boolean> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return (
    (await Bun.spawn(argv, { env, stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited) ===
    0
  );
}

/** One process at a time: apt-get refuses a second one. A lock that outlived its holder is taken after five minutes. */
async function underLock<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      mkdirSync(LOCK);
      break;
    } catch {
      const info = statSync(LOCK, { throwIfNoEntry: false });
      if (info !== undefined && Date.now() - info.mtimeMs > PATIENCE_MS)
        rmSync(LOCK, { recursive: true, force: true });
      await Bun.sleep(200);
    }
  }
  try {
    return await action();
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}
