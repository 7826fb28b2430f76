/**
 * `build.use_pip`: pip instead of uv, for those who may not use the other. `pip install --dry-run --report` resolves, `pip wheel` builds;
 * downloads and installation stay sealift's. pip answers for the interpreter that runs it, so the target is this machine.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as v from "valibot";

import { EnvironmentError, FormatError, NetworkError, run, UsageError } from "../../base/mod.ts";
import { settingsOf } from "../index/index-settings.ts";
import { parseLockText } from "../lock/lock-text.ts";
import {
  checkFileName,
  gitSource,
  type LockedPackage,
  lockError,
  type LockTarget,
  noWheel,
} from "../lock/locked.ts";
import { normaliseName } from "../pep/names.ts";
import { parseWheelName, wheelRank } from "../pep/tags.ts";
import { extraLines } from "../project/groups.ts";
import type { PythonProject } from "../project/project.ts";
import type { ResolveOptions } from "./build.ts";
import type { Requirements } from "./fresh.ts";
import { pipEnvironment, scrubbed } from "./uv-run.ts";
import type { Resolver } from "./uv.ts";

const Text = v.optional(v.string());
const Item = v.looseObject({
  metadata: v.looseObject({ name: v.string(), version: v.string() }),
  download_info: v.looseObject({
    url: v.string(),
    subdirectory: Text,
    archive_info: v.optional(
      v.looseObject({ hash: Text, hashes: v.optional(v.record(v.string(), v.string())) }),
    ),
    vcs_info: v.optional(v.looseObject({ vcs: v.string(), commit_id: v.string() })),
    dir_info: v.optional(v.looseObject({})),
  }),
});
type Item = v.InferOutput<typeof Item>;
const Report = v.looseObject({ version: v.string(), install: v.array(Item) });

/** What pip would install. `RESOLVE` with pip's explanation, `RESOLVE_NETWORK`, `PIP_MISSING`, `USE_PIP_PLATFORM`. */
export async function pipResolution(
  resolver: Resolver,
  project: PythonProject,
  requirements: Requirements,
  target: LockTarget,
  options: ResolveOptions,
): Promise<{ packages: LockedPackage[]; notes: string[] }> {
  refuseForeign(resolver);
  const { folder, manifest, extras, files, constraints } = requirements;
  const asFolder = manifest !== undefined && project.dynamicDependencies;
  const lines = [
    ...(asFolder ? [`${folder}${extras.length === 0 ? "" : `[${extras.join(",")}]`}`] : []),
    ...(manifest === undefined || asFolder ? [] : project.dependencies),
    ...(asFolder ? [] : extras.flatMap((name) => extraLines(project.extras, name))),
    ...requirements.lines,
  ];
  const work = join(options.scratch, "pip");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const list = join(work, "requirements.txt");
  const report = join(work, "report.json");
  writeFileSync(list, lines.map((line) => `${line}\n`).join(""));
  const argv = ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", report];
  for (const file of [...files, list]) argv.push("--requirement", file);
  for (const file of constraints) argv.push("--constraint", file);
  const warnings = await pip(resolver, argv, { cwd: folder, what: "Resolving the dependencies" });
  const { install } = parseLockText(Report, await Bun.file(report).text(), report, "JSON");
  const own = normaliseName(project.name);
  const others = install.filter(
    ({ metadata }) => !asFolder || normaliseName(metadata.name) !== own,
  );
  const notes = [...warnings.matchAll(YANKED)].map(([, name = "", version = "", reason = ""]) =>
    [`${name} ${version} was withdrawn from the index`, reason].filter(Boolean).join(": "),
  );
  return { packages: others.map((item) => locked(item, project.manifest, target)), notes };
}

function locked(item: Item, manifest: string, target: LockTarget): LockedPackage {
  const { download_info: info, metadata } = item;
  const name = normaliseName(metadata.name);
  const { subdirectory } = info;
  const head = {
    name,
    version: metadata.version,
    ...(subdirectory !== undefined && { subdirectory }),
  };
  if (info.vcs_info !== undefined) {
    if (info.vcs_info.vcs !== "git")
      throw lockError(
        manifest,
        "LOCK_SOURCE",
        `${name} comes from ${info.vcs_info.vcs}; only git is supported`,
      );
    return {
      ...head,
      source: "git",
      git: gitSource(info.url, info.vcs_info.commit_id, name, manifest),
    };
  }
  const local = info.url.startsWith("file:") ? Bun.fileURLToPath(info.url) : undefined;
  if (info.dir_info !== undefined) return { ...head, source: "directory", path: local ?? info.url };
  const file = checkFileName(
    decodeURIComponent(new URL(info.url).pathname.split("/").at(-1) ?? ""),
    name,
    manifest,
  );
  const { hash, hashes } = info.archive_info ?? {};
  const sha256 = hashes?.sha256 ?? /^sha256=([0-9a-f]{64})$/.exec(hash ?? "")?.[1];
  if (sha256 === undefined) throw lockError(manifest, "LOCK_HASH", `${file} has no SHA-256`);
  const isWheel = file.endsWith(".whl");
  if (isWheel && wheelRank(parseWheelName(file), target.tags) === undefined)
    throw noWheel({ name, version: metadata.version, lock: manifest }, [{ file }], target);
  const location = local === undefined ? { url: info.url } : { path: local };
  return {
    ...head,
    source: "file",
    artifact: { kind: isWheel ? "wheel" : "sdist", file, location, sha256 },
  };
}

/** The wheel of a folder or source distribution into `out`. */
export async function pipWheel(
  resolver: Pick<Resolver, "ctx" | "python">,
  source: string,
  out: string,
  call: { what: string; env: Record<string, string>; environment?: string | undefined },
): Promise<void> {
  const isolation = call.environment === undefined ? [] : ["--no-build-isolation"];
  const argv = ["wheel", "--quiet", "--no-deps", ...isolation, "--wheel-dir", out, source];
  await pip(resolver, argv, {
    cwd: out,
    what: call.what,
    env: call.env,
    program: call.environment,
  });
}

interface PipCall {
  cwd: string;
  what: string;
  env?: Record<string, string>;
  /** Interpreter that runs pip; default: the resolver's. */
  program?: string | undefined;
}

/** Runs pip; gives what it wrote to its standard error. */
async function pip(
  { ctx, python }: Pick<Resolver, "ctx" | "python">,
  argv: string[],
  call: PipCall,
): Promise<string> {
  const settings = settingsOf(ctx);
  const offline = ctx.offline ? ["--no-index"] : [];
  const program = call.program ?? python.executable;
  const { code, stderr } = await run(
    [
      program,
      "-m",
      "pip",
      "--no-input",
      "--disable-pip-version-check",
      "--no-color",
      ...argv,
      ...offline,
    ],
    {
      cwd: call.cwd,
      env: {
        ...pipEnvironment(ctx.env, settings),
        ...call.env,
        PYTHONHOME: undefined,
        PYTHONPATH: undefined,
      },
      timeoutMs: 1_800_000,
    },
  );
  const words = scrubbed(new TextDecoder().decode(stderr), settings).trim();
  if (code === 0) return words;
  if (/No module named pip\b/.test(words)) {
    throw new EnvironmentError("PIP_MISSING", `build.use_pip: ${program} has no pip`, {
      hint: "Install it with `python -m ensurepip`, choose another Python with --python, or leave use_pip out.",
      details: { program },
    });
  }
  const explanation = words.split("\n").slice(-40).join("\n");
  const details = { code, stderr: explanation };
  if (ctx.offline) {
    throw new NetworkError(
      "RESOLVE_OFFLINE",
      `${call.what} failed without the network:\n${explanation}`,
      {
        hint: "Name a folder of wheels with --find-links: pip keeps nothing that it could resolve from.",
        details,
      },
    );
  }
  if (UNREACHABLE.test(words)) {
    throw new NetworkError(
      "RESOLVE_NETWORK",
      `${call.what} failed, because the index cannot be reached:\n${explanation}`,
      {
        hint: "Check the connection, the proxy variables and the address of the index (--index-url).",
        details,
      },
    );
  }
  throw new FormatError("RESOLVE", `${call.what} failed:\n${explanation}`, {
    hint: "The explanation is pip's; change the requirements or the Python version accordingly.",
    details,
  });
}

const YANKED =
  /yanked version: '([^']+)' candidate \(version (\S+)[^]*?Reason for being yanked: (?:<none given>|([^\n]*))/g;
const UNREACHABLE =
  /Max retries exceeded|Connection (?:refused|reset|aborted)|NewConnectionError|NameResolutionError|Read timed out|SSLError|HTTPError: 5\d\d/i;

/** pip resolves for what runs it. */
function refuseForeign({ python, platform, pythonVersion }: Resolver): void {
  const systems: Record<string, RegExp> = {
    linux: /manylinux|linux-musl/,
    darwin: /apple-darwin/,
    win32: /windows/,
  };
  const machine = python.machine
    .toLowerCase()
    .replace("amd64", "x86_64")
    .replace("arm64", "aarch64");
  const isHere =
    platform.startsWith(machine) &&
    systems[python.platform]?.test(platform) === true &&
    python.version === pythonVersion;
  if (isHere) return;
  throw new UsageError(
    "USE_PIP_PLATFORM",
    `build.use_pip: pip cannot resolve for ${platform} with Python ${pythonVersion} here`,
    {
      hint: "Leave use_pip out, pack from a lock with --frozen, or pack on such a machine.",
      details: { platform, python: python.version },
    },
  );
}
