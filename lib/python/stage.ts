/**
 * A Python project as slots that are ready to run: `runtime` and `site` (shared by all applications of a machine) and `app`.
 * Everything happens here, at pack time: resolution, download, unpacking, bytecode, the relocatable interpreter. How the three
 * find each other on the target stands in start.ts.
 */
import { type Context, FormatError, sourceDateEpoch, UsageError } from "../base/mod.ts";
import { arrangeTree, type TreeEntry } from "../codec/mod.ts";
import { checkEntryPoints, commandsOf, defaultCommand, isBuilt, withCommands } from "./commands.ts";
import { bundleLibraries, libraryNames } from "./native/native.ts";
import { markerEnvironment } from "./pep/marker.ts";
import { satisfiesPython } from "./pep/specifier.ts";
import { compatibleTags, platformTags, type PlatformTagsOf, rankTags } from "./pep/tags.ts";
import { buildEnvironment } from "./prepare/prepare.ts";
import { type Collected, collectWheels } from "./prepare/wheels.ts";
import type { IndexWishes } from "./project/index-keys.ts";
import type { PythonProject } from "./project/project.ts";
import { indexSettings, type PythonContext } from "./resolve/index-settings.ts";
import type { LockTarget } from "./resolve/pylock.ts";
import type { ResolveOptions } from "./resolve/resolve.ts";
import { findTool } from "./resolve/tools.ts";
import { type Resolver, uvPlatform } from "./resolve/uv.ts";
import { withArchive } from "./runtime/archive.ts";
import { findPython, type Interpreter, requireLinux } from "./runtime/interpreter.ts";
import { type Runtime, stageRuntime } from "./runtime/runtime.ts";
import { prepareCommand, prepareEntry, startCommand, startScript } from "./runtime/start.ts";
import { platformOf, systemOf, type Target } from "./runtime/target.ts";
import {
  compileWheels,
  nativeItems,
  prefixEntries,
  siteEntries,
  type StagedWheel,
  withReplaced,
} from "./wheel/site.ts";

export interface PythonOptions {
  /** `linux_amd64` and so on; must be that of the interpreter. */
  platform: string;
  /** `--python`: a version, a program, or an archive. */
  python?: string | undefined;
  /** Only what a lock says. */
  frozen?: boolean | undefined;
  /** Of the command line: where packages come from. */
  index?: IndexWishes | undefined;
  /** Existing empty folder for this run, removed by the caller. */
  scratch: string;
  /** Nothing but caches and `scratch` is written. */
  dryRun?: boolean | undefined;
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
  /** `sha256` is that of the wheel, or of its RECORD when it was built here. */
  packages: { name: string; version: string; file: string; sha256: string; license?: string }[];
  /** SHA-256 over the dependencies. */
  dependencyHash: string;
  /** SHA-256 over the project's sources (see prepare/source.ts); absent when it is not built. */
  sourceHash?: string;
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
  machine: Context,
  project: PythonProject,
  options: PythonOptions,
): Promise<StagedPython> {
  const outer = { ...machine, env: buildEnvironment(project, options.platform, machine.env) };
  const wishes = [options.index ?? {}, project.build.index] as const;
  const ctx: PythonContext = {
    ...outer,
    index: indexSettings(...wishes, project.root, outer.env),
  };
  return await withArchive(ctx, options, async (wish) => {
    const python = await findPython(ctx, {
      cwd: project.root,
      ...((wish ?? project.python.version) !== undefined && {
        python: wish ?? project.python.version,
      }),
      ...(project.requiresPython !== undefined && { requiresPython: project.requiresPython }),
    });
    requireLinux(python);
    checkPlatform(python, options.platform);
    const runtime = await stageRuntime(ctx, python, project.runtime.bytecode);
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
  const collected = await collect(ctx, project, options, python, runtime);
  const { resolution, own, bytecode } = collected;
  const programName = `python${python.minor.join(".")}`;
  const sitePath = `lib/${programName}/site-packages`;
  const ownWheels = own === undefined ? [] : [own];
  const native = await independent(ctx, python, ownWheels, resolution.wheels, `${sitePath}/`);
  const tree = (wheels: StagedWheel[]) =>
    siteEntries(wheels, bytecode, python.cacheTag, project.runtime.optimisation);
  const site = arrangeTree([...tree(native.site), ...native.siteLibraries]);
  const ownTree = tree(native.own);
  const commands = commandsOf(project, own);
  checkEntryPoints(commands, [...site, ...ownTree], runtime, python);
  const app = arrangeTree([
    prepareEntry(),
    ...under(sitePath, ownTree),
    ...withCommands(prefixEntries([...native.own, ...native.site], programName), commands),
    ...native.appLibraries,
  ]);
  const pth = site.map((entry) => entry.path).filter((path) => /^[^/{}]+\.pth$/.test(path));
  const main = defaultCommand(project, commands);
  // A package is called by its own name and then starts its default command, also when a script has that name.
  const start = (name: string) =>
    startCommand(programName, name === project.packageName ? main : name, project.runtime);
  return {
    version: own?.version ?? project.version ?? "0",
    slots: [
      slot("runtime", `python-${python.version}`, "runtime", runtime.entries, options.platform),
      slot("site", "dependencies", "site", site, options.platform),
      slot("app", ".", "", app, options.platform),
    ],
    execution: {
      argv: start(main),
      entries: Object.fromEntries([...commands.keys()].map((name) => [name, start(name)])),
    },
    runtime: { env: { unset: UNSET } },
    setup: [{ type: "execute", command: prepareCommand(runtime.programPath, python.version, pth) }],
    report: report(python, runtime, collected, native, [...bytecode.skipped.values()].flat()),
  };
}

/** The dependencies and, when the project is one itself, its own wheel: found, fetched, built, checked and compiled. */
async function collect(
  ctx: Context,
  project: PythonProject,
  options: PythonOptions,
  python: Interpreter,
  runtime: Runtime,
) {
  const system = systemOf(python, targetGlibc(python, runtime), ctx.env);
  const target = lockTarget(python, system);
  const resolver: Resolver = {
    ctx,
    uv: () => findTool(ctx, "uv"),
    python,
    pythonVersion: python.version,
    platform: uvPlatform(system),
    tags: target.tags,
  };
  const how: ResolveOptions = {
    frozen: options.frozen === true,
    scratch: options.scratch,
    epoch: sourceDateEpoch(ctx.env),
  };
  const collected = await collectWheels(resolver, project, target, how, {
    ...options,
    isBuilt: isBuilt(project),
    isNative: true,
  });
  const { resolution, own } = collected;
  const wheels = own === undefined ? resolution.wheels : [own, ...resolution.wheels];
  checkRequirements(wheels, python);
  const bytecode = await compileWheels(ctx, wheels, python, runtime, project.runtime.bytecode);
  return { ...collected, bytecode };
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

function lockTarget(target: Target, system: PlatformTagsOf): LockTarget {
  const platforms = platformTags(system);
  const tagTarget = {
    implementation: "cpython" as const,
    version: target.minor,
    abiFlags: target.abiFlags,
    platforms,
  };
  return {
    markers: markerEnvironment(target),
    pythonVersion: target.version,
    tags: rankTags(compatibleTags(tagTarget)),
  };
}

function checkPlatform(python: Interpreter, platform: string): void {
  const own = platformOf(python);
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

interface Independent {
  own: StagedWheel[];
  site: StagedWheel[];
  siteLibraries: TreeEntry[];
  appLibraries: TreeEntry[];
  external: string[];
  glibc: [number, number];
}

/** Extension modules and programs of the wheels, made independent of this machine's libraries: one folder of libraries for each slot. */
async function independent(
  ctx: Context,
  python: Interpreter,
  own: StagedWheel[],
  dependencies: StagedWheel[],
  packages: string,
): Promise<Independent> {
  const siteItems = nativeItems(dependencies, "site");
  const appItems = [
    ...nativeItems(own, "site", packages),
    ...nativeItems([...own, ...dependencies], "prefix"),
  ];
  const site = await bundleLibraries(
    ctx,
    python,
    siteItems,
    "sealift.libs",
    libraryNames(appItems),
  );
  const app = await bundleLibraries(
    ctx,
    python,
    appItems,
    "lib/sealift/libs",
    libraryNames(siteItems),
  );
  const replaced = new Map([...site.replaced, ...app.replaced]);
  return {
    own: withReplaced(own, replaced),
    site: withReplaced(dependencies, replaced),
    siteLibraries: site.entries,
    appLibraries: app.entries,
    external: [...new Set([...site.external, ...app.external])].sort(),
    glibc: [2, Math.max(site.glibc[1], app.glibc[1])],
  };
}

function report(
  python: Interpreter,
  runtime: Runtime,
  collected: Collected,
  native: Independent,
  skipped: string[],
): PythonReport {
  const { resolution } = collected;
  const notes = [...collected.notes];
  if (runtime.omitted.length > 0)
    notes.push(`left out, because their libraries are missing here: ${runtime.omitted.join(", ")}`);
  if (native.external.length > 0) notes.push(`the target must have ${native.external.join(", ")}`);
  if (skipped.length > 0)
    notes.push(
      `${skipped.length} files are no valid Python ${python.version} and have no bytecode`,
    );
  const { version, executable } = python;
  const glibc =
    runtime.glibc === undefined ? undefined : `2.${Math.max(runtime.glibc[1], native.glibc[1])}`;
  return {
    python: { version, executable, ...(glibc !== undefined && { glibc }) },
    resolution: resolution.source,
    packages: resolution.wheels.map((w) => ({
      name: w.name,
      version: w.version,
      file: w.file,
      sha256: w.key,
      ...(w.license !== undefined && { license: w.license }),
    })),
    dependencyHash: resolution.hash,
    ...(collected.sources !== undefined && { sourceHash: collected.sources }),
    notes,
  };
}
