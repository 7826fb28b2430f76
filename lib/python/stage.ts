/**
 * A Python project as slots that are ready to run: `runtime` and `site` (shared by all applications of a machine) and `app`.
 * Everything happens here, at pack time: resolution, download, unpacking, bytecode, the relocatable interpreter. How the three
 * find each other on the target stands in start.ts.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { type Context, FormatError, sourceDateEpoch, UsageError } from "../base/mod.ts";
import { arrangeTree, type TreeEntry } from "../codec/mod.ts";
import { withArchive } from "./archive.ts";
import { findPython, type Interpreter, requireLinux } from "./interpreter.ts";
import { markerEnvironment } from "./marker.ts";
import { parseObjectReference } from "./names.ts";
import type { PythonProject } from "./project.ts";
import {
  buildProject,
  type Resolution,
  resolveDependencies,
  type ResolveOptions,
} from "./resolve.ts";
import { type Runtime, stageRuntime } from "./runtime.ts";
import { compileWheels, prefixEntries, siteEntries, type StagedWheel } from "./site.ts";
import { satisfiesPython } from "./specifier.ts";
import { prepareCommand, prepareEntry, startCommand, startScript } from "./start.ts";
import { compatibleTags, platformTags, rankTags } from "./tags.ts";
import { findTool } from "./tools.ts";
import { type Resolver, uvPlatform } from "./uv.ts";

export interface PythonOptions {
  /** `linux_amd64` and so on; must be that of the interpreter. */
  platform: string;
  /** `--python`: a version, a program, or an archive. */
  python?: string | undefined;
  /** Only what a lock says. */
  frozen?: boolean | undefined;
  /** Existing empty folder for this run, removed by the caller. */
  scratch: string;
}

/** A slot without its compression, which the packer chooses; its operations begin with `tar`. */
export interface StagedPythonSlot {
  id: "runtime" | "site" | "app";
  source: string;
  target: string;
  purpose: string;
  lifecycle: string;
  permissions: string;
  platform: string;
  share: boolean;
  content: { kind: "tree"; entries: TreeEntry[] };
}

export interface PythonReport {
  python: { version: string; executable: string; glibc?: string };
  /** `uv`, or the lock's file name. */
  resolution: string;
  packages: { name: string; version: string; file: string; sha256: string; license?: string }[];
  /** SHA-256 over the dependencies. */
  dependencyHash: string;
  /** What the author should know. */
  notes: string[];
}

export interface StagedPython {
  /** From the built wheel when the manifest leaves it open. */
  version: string;
  slots: StagedPythonSlot[];
  execution: { argv: string[]; entries: Record<string, string[]> };
  /** To be joined with the project's own rules. */
  runtime: { env: { unset: string[] } };
  /** Runs once, at first start. */
  setup: { type: "execute"; command: string[] }[];
  report: PythonReport;
}

/** Variables of the machine that would change which code runs; a project passes the ones that it wants. */
const UNSET = ["PYTHON*", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"];

/**
 * Stages `project`. Errors: `EnvironmentError` `PYTHON_…`, `FormatError` `RESOLVE`, `WHEEL_…`, `ENTRY_…`, `SITE_COLLISION`,
 * `NetworkError`, `CheckError` for wrong digests. Nothing but caches and `scratch` is written.
 */
export async function stagePython(
  ctx: Context,
  project: PythonProject,
  options: PythonOptions,
): Promise<StagedPython> {
  return await withArchive(ctx, options, async (wish) => {
    const python = await findPython(ctx, {
      cwd: project.root,
      ...((wish ?? project.python) !== undefined && { python: wish ?? project.python }),
      ...(project.requiresPython !== undefined && { requiresPython: project.requiresPython }),
    });
    requireLinux(python);
    checkPlatform(python, options.platform);
    const runtime = await stageRuntime(ctx, python, project.optimisation);
    return await stageWith(ctx, project, options, python, runtime);
  });
}

async function stageWith(
  ctx: Context,
  project: PythonProject,
  options: PythonOptions,
  python: Interpreter,
  runtime: Runtime,
): Promise<StagedPython> {
  const glibc = targetGlibc(python, runtime);
  const uv = await findTool(ctx, "uv");
  const resolver: Resolver = { ctx, uv, python, platform: uvPlatform(python, glibc) };
  const how: ResolveOptions = {
    frozen: options.frozen === true,
    scratch: options.scratch,
    epoch: sourceDateEpoch(ctx.env),
  };
  const resolution = await resolveDependencies(resolver, project, lockTarget(python, glibc), how);
  const own = isBuilt(project) ? await buildProject(resolver, project.root, how) : undefined;
  checkRequirements(own === undefined ? resolution.wheels : [own, ...resolution.wheels], python);

  const all = own === undefined ? resolution.wheels : [own, ...resolution.wheels];
  const bytecode = await compileWheels(ctx, all, python, runtime, project.optimisation);
  const tree = (wheels: StagedWheel[]) =>
    siteEntries(wheels, bytecode, python.cacheTag, project.optimisation);
  const site = arrangeTree(tree(resolution.wheels));
  const programName = `python${python.minor.join(".")}`;
  const commands = commandsOf(project, own);
  const app = [
    prepareEntry(),
    ...under(`lib/${programName}/site-packages`, own === undefined ? [] : tree([own])),
    ...withCommands(prefixEntries(all, programName), commands),
  ];
  checkEntryPoints(commands, [...site, ...(own === undefined ? [] : tree([own]))], runtime, python);
  const hasPth = site.some((entry) => /^[^/]+\.pth$/.test(entry.path));
  const start = (name: string) => startCommand(programName, name, project.optimisation);
  return {
    version: own?.version ?? project.version ?? "0",
    slots: [
      slot("runtime", `python-${python.version}`, "runtime", runtime.entries, options.platform),
      slot("site", "dependencies", "site", site, options.platform),
      slot("app", ".", "", arrangeTree(app), options.platform),
    ],
    execution: {
      argv: start(defaultCommand(project, commands)),
      entries: Object.fromEntries([...commands.keys()].map((name) => [name, start(name)])),
    },
    runtime: { env: { unset: UNSET } },
    setup: [
      { type: "execute", command: prepareCommand(runtime.programPath, python.version, hasPth) },
    ],
    report: report(python, runtime, resolution, bytecode.skipped.values()),
  };
}

function slot(
  id: StagedPythonSlot["id"],
  source: string,
  target: string,
  entries: TreeEntry[],
  platform: string,
): StagedPythonSlot {
  const purpose = id === "runtime" ? "runtime" : id === "site" ? "library" : "code";
  const share = id !== "app";
  return {
    id,
    source,
    target,
    purpose,
    lifecycle: "runtime",
    permissions: "0755",
    platform,
    share,
    content: { kind: "tree", entries },
  };
}

function under(folder: string, entries: TreeEntry[]): TreeEntry[] {
  return entries.map((entry) => ({ ...entry, path: `${folder}/${entry.path}` }));
}

/** The project's commands replace scripts of the same name that dependencies bring. */
function withCommands(entries: TreeEntry[], commands: Map<string, string>): TreeEntry[] {
  const own = [...commands].map(([name, reference]) => startScript(name, reference));
  const taken = new Set(own.map((entry) => entry.path.toLowerCase()));
  return [...own, ...entries.filter((entry) => !taken.has(entry.path.toLowerCase()))];
}

/** Every command of the package: name → object reference. `ENTRY_MISSING` when there is none. */
function commandsOf(project: PythonProject, own: StagedWheel | undefined): Map<string, string> {
  const commands = new Map(
    Object.entries({
      ...project.scripts,
      ...project.guiScripts,
      ...own?.consoleScripts,
      ...own?.guiScripts,
    }),
  );
  if (project.entryPoint !== undefined && commandFor(project.entryPoint, commands) === undefined) {
    const name = commands.has(project.packageName)
      ? `${project.packageName}-entry`
      : project.packageName;
    commands.set(name, project.entryPoint);
  }
  if (commands.size > 0) return commands;
  throw new FormatError("ENTRY_MISSING", `${project.manifest}: names no command`, {
    hint: 'Add entry_point = "module:function" to [tool.sealift], or a line to [project.scripts].',
    details: { file: project.manifest },
  });
}

function commandFor(reference: string, commands: Map<string, string>): string | undefined {
  return [...commands].find(([, known]) => known === reference)?.[0];
}

/** entry_point, else the script named like the package or project, else the first (and often only) one. */
function defaultCommand(project: PythonProject, commands: Map<string, string>): string {
  if (project.entryPoint !== undefined) {
    const named = [project.packageName, `${project.packageName}-entry`].find(
      (n) => commands.get(n) === project.entryPoint,
    );
    const found = named ?? commandFor(project.entryPoint, commands);
    if (found !== undefined) return found;
  }
  const [first = ""] = commands.keys();
  return [project.packageName, project.name].find((name) => commands.has(name)) ?? first;
}

/**
 * Whether the project itself is built to a wheel: as it says itself, else when it has a setup.py or the module of one of its
 * commands lies in its folder. A manifest with nothing but dependencies and an entry point in one of them is not built.
 */
function isBuilt(project: PythonProject): boolean {
  if (project.isPackage !== undefined) return project.isPackage;
  if (existsSync(join(project.root, "setup.py"))) return true;
  const references = [
    ...Object.values(project.scripts),
    ...Object.values(project.guiScripts),
    project.entryPoint ?? [],
  ].flat();
  return references.some((reference) => {
    const top = parseObjectReference(reference, project.manifest).module.split(".")[0] ?? "";
    return [top, `${top}.py`, `src/${top}`, `src/${top}.py`].some((path) =>
      existsSync(join(project.root, path)),
    );
  });
}

/** A command whose module is in no slot would fail at the user's, so it fails here. */
function checkEntryPoints(
  commands: Map<string, string>,
  entries: TreeEntry[],
  runtime: Runtime,
  python: Interpreter,
): void {
  const paths = new Set(entries.map((entry) => entry.path));
  const library = `lib/python${python.minor.join(".")}/`;
  for (const entry of runtime.entries)
    if (entry.path.startsWith(library)) paths.add(entry.path.slice(library.length));
  for (const [name, reference] of commands) {
    const { module } = parseObjectReference(reference, name);
    const path = module.replaceAll(".", "/");
    const found =
      [`${path}.py`, `${path}/__init__.py`].some((p) => paths.has(p)) ||
      entries.some((entry) => entry.path.startsWith(`${path}.`) && entry.path.endsWith(".so"));
    if (found) continue;
    throw new FormatError(
      "ENTRY_MODULE",
      `The command ${name} starts ${reference}, but no package holds the module ${module}`,
      {
        hint: "Correct the entry point, or add the package that holds it to the dependencies.",
        details: { command: name, module },
      },
    );
  }
}

function checkRequirements(wheels: StagedWheel[], python: Interpreter): void {
  for (const wheel of wheels) {
    if (wheel.requiresPython === undefined || satisfiesPython(python.version, wheel.requiresPython))
      continue;
    throw new FormatError(
      "WHEEL_PYTHON",
      `${wheel.file} requires Python ${wheel.requiresPython}, and the target has ${python.version}`,
      {
        hint: "Choose another Python with `--python`, or another version of the package.",
        details: { file: wheel.file },
      },
    );
  }
}

/** The C library that wheels may ask for: what the runtime needs anyway, and no less than 2.28, which most wheels are built for. */
function targetGlibc(python: Interpreter, runtime: Runtime): [number, number] {
  if (python.libc.name !== "glibc") return [0, 0];
  const floor = Math.max(runtime.glibc?.[1] ?? 0, 28);
  return [2, Math.min(floor, python.libc.version[1])];
}

function lockTarget(python: Interpreter, glibc: [number, number]) {
  const libc = python.libc.name === "musl" ? "musl" : "glibc";
  const version = libc === "musl" ? python.libc.version : glibc;
  const platforms = platformTags({ os: "linux", machine: python.machine, libc, version });
  const target = {
    implementation: "cpython" as const,
    version: python.minor,
    abiFlags: python.abiFlags,
    platforms,
  };
  return {
    markers: markerEnvironment(python),
    pythonVersion: python.version,
    tags: rankTags(compatibleTags(target)),
  };
}

const MACHINES: Record<string, string> = { x86_64: "amd64", aarch64: "arm64" };

function checkPlatform(python: Interpreter, platform: string): void {
  const own = `${python.platform}_${MACHINES[python.machine] ?? python.machine}`;
  if (own === platform) return;
  throw new UsageError(
    "PYTHON_PLATFORM",
    `${python.executable} is a Python for ${own}, and the package is for ${platform}`,
    {
      hint: `Pack for ${own}, or on a machine of the other kind.`,
      details: { python: own, platform },
    },
  );
}

function report(
  python: Interpreter,
  runtime: Runtime,
  resolution: Resolution,
  skipped: Iterable<string[]>,
): PythonReport {
  const notes: string[] = [];
  if (runtime.omitted.length > 0)
    notes.push(`left out, because their libraries are missing here: ${runtime.omitted.join(", ")}`);
  const lost = [...skipped].flat();
  if (lost.length > 0)
    notes.push(`${lost.length} files are no valid Python ${python.version} and have no bytecode`);
  const { version, executable } = python;
  return {
    python: {
      version,
      executable,
      ...(runtime.glibc !== undefined && { glibc: runtime.glibc.join(".") }),
    },
    resolution: resolution.source,
    packages: resolution.wheels.map((w) => ({
      name: w.name,
      version: w.version,
      file: w.file,
      sha256: w.key,
      ...(w.license !== undefined && { license: w.license }),
    })),
    dependencyHash: resolution.hash,
    notes,
  };
}
