/**
 * From what the project needs to the Python of one platform, and to the one of this machine that works for it. Sources in order: an
 * archive for the platform, a program by its path, an interpreter of this machine, one that uv fetches.
 */
import { resolve } from "node:path";

import { EnvironmentError, findProgram, FormatError, UsageError } from "../../base/mod.ts";
import type { PythonContext } from "../index/index-settings.ts";
import type { PythonProject } from "../project/project.ts";
import { isRemote, type PythonArchive, type PythonSource } from "../project/python-table.ts";
import { isArchiveName, unpackArchive } from "./archive.ts";
import { readTarget } from "./description.ts";
import { type Interpreter, probePython } from "./interpreter.ts";
import { localPythons } from "./local.ts";
import { installManaged, type ManagedPython, managedPythons } from "./managed.ts";
import { needText, type PythonNeed, pythonNeed, unfitVersion, wishRank } from "./need.ts";
import { platformOf, type Target } from "./target.ts";

export interface PythonChoice {
  /** What goes into the package. */
  target: Target;
  /** The target runs here, and is `host`. */
  runs: boolean;
  /** A build that brings all it needs: nothing of this machine is added to it, so that it runs wherever it was made for. */
  portable: boolean;
  /** Runs here: uv asks it, and wheels are built with it. */
  host: Interpreter;
  /** Reads and writes the target's bytecode; `undefined` = none is at hand. */
  compiler: Interpreter | undefined;
}

export interface PythonAsked {
  /** The platform of the package. */
  platform: string;
  /** Of this machine. */
  hostPlatform: string;
  /** `--python`: a version, a program, or an archive. */
  python?: string | undefined;
  /** `--python-source`; default: what the manifest says. */
  source?: PythonSource | undefined;
  /** A Python beside the first: `3.9`, and the entry that asks for it. */
  further?: { version: string; by: string } | undefined;
}

/** Everything about the search that does not change while it goes on. */
interface Search {
  ctx: PythonContext;
  project: PythonProject;
  need: PythonNeed;
  source: PythonSource;
  hostPlatform: string;
  /** What was looked at, and why it does not fit. */
  refused: string[];
}

/**
 * The Python for `asked.platform`. `PYTHON_MISSING` and `PYTHON_UNFIT` say what was looked at, why it does not fit and what would.
 */
export async function choosePython(
  ctx: PythonContext,
  project: PythonProject,
  asked: PythonAsked,
): Promise<PythonChoice> {
  const { platform, hostPlatform, further } = asked;
  const wish: Wish = further === undefined ? askedWish(asked.python) : { version: further };
  const need = pythonNeed(project, wish.version);
  const source = asked.source ?? project.python.source;
  const search: Search = { ctx, project, need, source, hostPlatform, refused: [] };
  const archive = wish.archive ?? archiveFor(project, platform, wish.version !== undefined);
  if (archive !== undefined) return await fromArchive(search, archive, platform);
  const path = wish.path ?? (wish.version === undefined ? project.python.path : undefined);
  if (path !== undefined) return await fromPath(search, path, platform);
  const isHost = platform === hostPlatform;
  if (isHost && source !== "managed" && isMovable(platform)) {
    const local = await findLocal(search, need);
    if (local !== undefined) return native(local);
  }
  if (source === "local") throw await notFound(search, platform);
  // A package for several platforms holds one minor version everywhere, and here is who can compile for it.
  const narrowed = isHost ? need : await narrowedNeed(search);
  const managed = await findManaged(search, narrowed, platform);
  if (managed === undefined) throw await notFound(search, platform);
  return await described(search, managed.prefix, { build: managed.key, origin: managed.key });
}

interface Wish {
  version?: { version: string; by: string };
  archive?: PythonArchive;
  path?: string;
}

function askedWish(python: string | undefined): Wish {
  if (python === undefined) return {};
  if (/^\d+(?:\.\d+){0,2}$/.test(python)) return { version: { version: python, by: "--python" } };
  const [, location = python, sha256] = /^(.*)#sha256=([0-9a-f]{64})$/i.exec(python) ?? [];
  if (!isArchiveName(location)) return { path: python };
  const place = isRemote(location) ? location : resolve(location);
  return { archive: { location: place, ...(sha256 && { sha256: sha256.toLowerCase() }) } };
}

/** A version on the command line is not asked of the manifest's archive, but one for exactly this platform may have it. */
function archiveFor(
  project: PythonProject,
  platform: string,
  hasVersion: boolean,
): PythonArchive | undefined {
  const { archives, archive } = project.python;
  return hasVersion ? undefined : (archives[platform] ?? archive);
}

async function fromArchive(
  search: Search,
  archive: PythonArchive,
  platform: string,
): Promise<PythonChoice> {
  const { prefix, digest, origin } = await unpackArchive(search.ctx, archive, search.project.root);
  const target = readTarget(prefix, digest, origin);
  checkPlatform(target, platform, origin);
  const why = unfitVersion(target.version, search.need);
  if (why !== undefined) throw unfit(search, origin, `Python ${target.version}, ${why}`);
  return await described(search, prefix, { build: digest, origin });
}

async function fromPath(search: Search, path: string, platform: string): Promise<PythonChoice> {
  const { ctx, project, need } = search;
  const program = findProgram(path, ctx.env, project.root);
  if (program === undefined) {
    throw new EnvironmentError("PYTHON_MISSING", `${path} is no program`, {
      hint: "Name a version such as 3.12, the path of an interpreter, or an archive.",
      details: { path },
    });
  }
  const found = await probePython(program, ctx);
  checkPlatform(found, platform, found.executable);
  if (!isMovable(platform)) throw unmovable(found, platform);
  const why = unfitInterpreter(found, need);
  if (why !== undefined) throw unfit(search, path, why);
  return native(found);
}

/** The choice for a relocatable tree: it runs here, or an interpreter of this machine stands beside it. */
async function described(
  search: Search,
  prefix: string,
  { build, origin }: { build: string; origin: string },
): Promise<PythonChoice> {
  const target = readTarget(prefix, build, origin);
  if (platformOf(target) === search.hostPlatform) {
    const running = await probeTree(search, target);
    if (running !== undefined) return { ...native(running), portable: true };
  }
  const compiler = await findCompiler(search, target);
  const host = compiler ?? (await anyHost(search));
  return { target, runs: false, portable: true, host, compiler };
}

/** One for another C library than this machine's is for this platform and does not run. */
async function probeTree(search: Search, target: Target): Promise<Interpreter | undefined> {
  try {
    return await probePython(target.executable, search.ctx);
  } catch (error) {
    if (target.libc.name === "musl" && error instanceof EnvironmentError) return undefined;
    throw error;
  }
}

function native(host: Interpreter): PythonChoice {
  return { target: host, runs: true, portable: false, host, compiler: host };
}

/** Installed interpreters know where they are installed; only those of Linux can be made to forget it. */
function isMovable(platform: string): boolean {
  return platform.startsWith("linux_");
}

/** The best that fits of this machine; what does not fit goes into `refused`. */
async function findLocal(search: Search, need: PythonNeed): Promise<Interpreter | undefined> {
  let best: { rank: number; python: Interpreter } | undefined;
  for await (const python of localPythons(search.ctx, need)) {
    const why = unfitInterpreter(python, need);
    if (why !== undefined) {
      search.refused.push(`${python.executable} is ${why}`);
      continue;
    }
    const rank = wishRank(python.version, need) ?? 0;
    if (rank === 0) return python;
    if (best === undefined || rank < best.rank) best = { rank, python };
  }
  return best?.python;
}

function unfitInterpreter(python: Interpreter, need: PythonNeed): string | undefined {
  if (python.implementation !== "cpython") return `${python.implementation}, not CPython`;
  const why = unfitVersion(python.version, need);
  return why && `Python ${python.version}, ${why}`;
}

/** The newest release that fits. */
async function findManaged(
  search: Search,
  need: PythonNeed,
  platform: string,
): Promise<{ prefix: string; key: string } | undefined> {
  const best = fitting(await managedPythons(search.ctx, platform), need)[0];
  if (best === undefined) return undefined;
  const prefix = await installManaged(search.ctx, best, search.project.python.mirror);
  return { prefix, key: best.key };
}

function fitting(list: ManagedPython[], need: PythonNeed): ManagedPython[] {
  const final = list.filter(({ version }) => /^[\d.]+$/.test(version));
  return final
    .filter(({ version }) => unfitVersion(version, need) === undefined)
    .sort((a, b) => (wishRank(a.version, need) ?? 0) - (wishRank(b.version, need) ?? 0));
}

/** Open wishes end at the minor version that this machine would take for itself. */
async function narrowedNeed(search: Search): Promise<PythonNeed> {
  const { project, need, source } = search;
  const archive = archiveFor(project, search.hostPlatform, false);
  const own =
    archive !== undefined
      ? await archiveTarget(search, archive)
      : source === "managed"
        ? undefined
        : await findLocal({ ...search, refused: [] }, need);
  if (own === undefined || unfitVersion(own.version, need) !== undefined) return need;
  const minor = own.minor.join(".");
  const named = need.versions.filter(({ version }) => `${version}.`.startsWith(`${minor}.`));
  const versions = named.length > 0 ? named : [{ version: minor, by: own.executable }];
  return { ...need, versions };
}

async function archiveTarget(search: Search, archive: PythonArchive): Promise<Target | undefined> {
  const { prefix, digest, origin } = await unpackArchive(search.ctx, archive, search.project.root);
  const target = readTarget(prefix, digest, origin);
  return platformOf(target) === search.hostPlatform ? target : undefined;
}

/** Of this machine with the target's bytecode: installed, the project's archive for this platform, or one that uv fetches. */
async function findCompiler(search: Search, target: Target): Promise<Interpreter | undefined> {
  const minor = target.minor.join(".");
  const need: PythonNeed = { versions: [{ version: minor, by: "the target" }], bounds: [] };
  // The number changes only before the first release candidate.
  const fits = (python: Interpreter) =>
    python.cacheTag === target.cacheTag && /^[\d.]+$|rc\d+$/.test(python.version);
  const local = await findLocal({ ...search, refused: [] }, need);
  if (local !== undefined && fits(local)) return local;
  const { archives, archive } = search.project.python;
  for (const item of [archives[search.hostPlatform], archive]) {
    const own = item && (await archiveTarget(search, item));
    if (own !== undefined && own.cacheTag === target.cacheTag)
      return await probePython(own.executable, search.ctx);
  }
  if (search.source === "local") return undefined;
  const managed = await findManaged(search, need, search.hostPlatform).catch(unreachable);
  if (managed === undefined) return undefined;
  const { executable } = readTarget(managed.prefix, managed.key, managed.key);
  return await probePython(executable, search.ctx);
}

/** The want of a compiler has an error of its own, which says more than the failed attempt. */
function unreachable(error: unknown): undefined {
  if ((error as { code?: string }).code === "PYTHON_FETCH") return undefined;
  throw error;
}

/** Any that can stand in where only some Python is asked for. */
async function anyHost(search: Search): Promise<Interpreter> {
  const any: PythonNeed = { versions: [], bounds: [] };
  const found = await findLocal({ ...search, refused: [] }, any);
  if (found !== undefined) return found;
  throw await notFound({ ...search, need: any }, search.hostPlatform);
}

function checkPlatform(target: Target, platform: string, origin: string): void {
  const own = platformOf(target);
  if (own === platform) return;
  throw new UsageError(
    "PYTHON_PLATFORM",
    `${origin} is a Python for ${own}, and the package is for ${platform}`,
    {
      hint: `Name an archive for it in [tool.sealift.python.archives], or pack for ${own}.`,
      details: { python: own, platform },
    },
  );
}

function unmovable(python: Interpreter, platform: string): FormatError {
  return new FormatError(
    "PYTHON_PLATFORM",
    `${python.executable} is installed for ${platform}, and runs from no other folder`,
    {
      hint: "Name an archive with `--python`, or take one that uv fetches: `--python-source managed`.",
      details: { platform, executable: python.executable },
    },
  );
}

function unfit(search: Search, name: string, why: string): UsageError {
  return new UsageError("PYTHON_UNFIT", `${name} is ${why}`, {
    hint: `Name another one with --python; needed is ${needText(search.need)}.`,
    details: { needed: needText(search.need) },
  });
}

/** What was found and refused, and what would do. */
async function notFound(search: Search, platform: string): Promise<EnvironmentError> {
  const { need, source, ctx } = search;
  const refused = [...new Set(search.refused)];
  // The first search asks only those that may fit; a person wants to see them all.
  if (platform === search.hostPlatform) {
    for await (const python of localPythons(ctx, { versions: [], bounds: [] })) {
      const why = unfitInterpreter(python, need);
      if (why !== undefined) refused.push(`${python.executable} is ${why}`);
    }
  }
  const list = [...new Set(refused)].map((line) => `\n  ${line}`).join("");
  const would = await managedPythons(ctx, platform).catch(() => []);
  const best = fitting(would, need)[0];
  const wanted = needText(need);
  const hint =
    best === undefined
      ? "Install it, or name an interpreter or an archive with `--python`."
      : `uv can fetch ${best.version}: ${source === "local" ? "`--python-source managed`" : "`--python-source managed`, not offline"}.`;
  return new EnvironmentError(
    "PYTHON_MISSING",
    `No Python ${wanted} for ${platform} was found${list}`,
    { hint, details: { wanted, platform, refused } },
  );
}
