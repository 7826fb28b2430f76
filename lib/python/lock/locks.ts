/**
 * `--frozen`: which lock of a project counts, and what it says. Every kind ends as the same list of packages; only a lock is read, and
 * nothing is resolved anew.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { FormatError, UsageError } from "../../base/mod.ts";
import { settingsOf } from "../index/index-settings.ts";
import { evaluateMarker } from "../pep/marker.ts";
import { normaliseName } from "../pep/names.ts";
import { fitsRequirement, parseRequirement } from "../pep/requirement.ts";
import { checkExtras, checkGroups, extraLines } from "../project/groups.ts";
import type { PythonProject } from "../project/project.ts";
import { compileLock, exportLock, type Resolver } from "../resolve/uv.ts";
import { parseToml, readLockText } from "./lock-text.ts";
import { type LockedPackage, lockError, type LockTarget, type LockWish } from "./locked.ts";
import { readPdmLock } from "./pdm-lock.ts";
import { readPipfileLock } from "./pipfile-lock.ts";
import { readPoetryLock } from "./poetry-lock.ts";
import { readPylock } from "./pylock.ts";
import { checkUvLock } from "./uv-lock.ts";

/** Names of locks in the order in which they count. */
const LOCKS = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock"];
/** Counts last, because it often is no lock. */
const REQUIREMENTS = "requirements.txt";

export interface Locked {
  packages: LockedPackage[];
  /** Absolute path of the lock. */
  lock: string;
  /** Folder that relative paths of the packages start from. */
  base: string;
  notes: string[];
}

/** The locks in the folder of a project, the one that counts first. */
export function locksOf(project: PythonProject): string[] {
  const { lock, root, build } = project;
  const own = build.requirementFiles.map((file) => join(root, file));
  const names = LOCKS.map((name) => join(root, name));
  const all = [...names, ...workspaceLocks(root), ...own, join(root, REQUIREMENTS)];
  const there = all.filter((path) => existsSync(path));
  const ordered = lock === undefined ? there : [lock, ...there];
  return ordered.filter((path, i) => ordered.indexOf(path) === i);
}

/** The uv.lock of the workspace that the project may be a member of: one lock for all of them, in a folder above. */
function workspaceLocks(root: string): string[] {
  for (let folder = dirname(root); folder !== dirname(folder); folder = dirname(folder)) {
    const lock = join(folder, "uv.lock");
    if (existsSync(lock)) return isWorkspace(join(folder, "pyproject.toml")) ? [lock] : [];
  }
  return [];
}

function isWorkspace(manifest: string): boolean {
  return existsSync(manifest) && /^\[tool\.uv\.workspace\]/m.test(readFileSync(manifest, "utf8"));
}

/** What the lock of the project says. `FROZEN_MISSING` when it has none; `FROZEN_EXTRA` for settings that a lock cannot follow. */
export async function readLock(
  resolver: Resolver,
  project: PythonProject,
  target: LockTarget,
): Promise<Locked> {
  const [lock, ...others] = locksOf(project);
  if (lock === undefined) throw noLock(project);
  refuseAdditions(project, lock);
  const kind = kindOf(lock);
  const packages = await READERS[kind]({ resolver, project, target, lock, wish: wishOf(project) });
  if (kind === "pylock" || kind === "requirements") checkCovers(project, packages, target, lock);
  const ignored = others.map((path) => basename(path)).filter((name) => name !== REQUIREMENTS);
  const notes =
    ignored.length === 0 ? [] : [`${basename(lock)} counts, and not ${ignored.join(", ")}`];
  // uv tells paths for the folder that it is asked in.
  return { packages, lock, base: kind === "uv" ? project.root : dirname(lock), notes };
}

/** These locks do not say what they were made of, but what the project requires must be in them. */
function checkCovers(
  project: PythonProject,
  packages: LockedPackage[],
  { markers }: LockTarget,
  lock: string,
): void {
  const versions = new Map(packages.map(({ name, version }) => [name, version]));
  for (const line of project.dependencies) {
    const found = parseRequirement(line);
    if (found === undefined || found.name === normaliseName(project.name)) continue;
    if (found.marker !== undefined && !evaluateMarker(found.marker, markers, project.manifest))
      continue;
    const version = versions.get(found.name);
    if (versions.has(found.name) && (version === undefined || fitsRequirement(version, found)))
      continue;
    const has = version === undefined ? "it is not in it" : `it holds ${version}`;
    throw lockError(lock, "LOCK_STALE", `the project requires ${line}, and ${has}`);
  }
}

interface Reading {
  resolver: Resolver;
  project: PythonProject;
  target: LockTarget;
  lock: string;
  wish: LockWish;
}

type Kind = "uv" | "pylock" | "poetry" | "pdm" | "pipfile" | "requirements";

function kindOf(lock: string): Kind {
  const name = basename(lock);
  if (name === "uv.lock") return "uv";
  if (name === "poetry.lock") return "poetry";
  if (name === "pdm.lock") return "pdm";
  if (name === "Pipfile.lock") return "pipfile";
  return /^pylock(?:\.[^.]+)?\.toml$/.test(name) ? "pylock" : "requirements";
}

function wishOf({ build }: PythonProject): LockWish {
  const names = (list: string[]) => [...new Set(list.map(normaliseName))];
  return { extras: names(build.extras), groups: names(build.groups) };
}

const READERS: Record<Kind, (reading: Reading) => Promise<LockedPackage[]>> = {
  async uv({ resolver, project, target, lock, wish }) {
    if (project.build.usePip) {
      throw new UsageError(
        "USE_PIP_UV",
        "build.use_pip and uv.lock contradict each other: only uv reads its lock",
        {
          hint: "Export it once with `uv export --format pylock.toml`, or leave use_pip out.",
        },
      );
    }
    checked(project, wish);
    checkUvLock(await readLockText(lock), lock, project);
    return readPylock(await exportLock(resolver, project.root, wish), lock, target);
  },
  async pylock({ target, lock, wish }) {
    return readPylock(await readLockText(lock), lock, target, wish);
  },
  async poetry({ project, target, lock, wish }) {
    checkGroups(wish.groups, project.groups.names, project.manifest);
    const document = await manifestOf(lock, "pyproject.toml");
    return readPoetryLock(await readLockText(lock), lock, document, target, wish);
  },
  async pdm({ project, target, lock, wish }) {
    checked(project, wish);
    const document = await manifestOf(lock, "pyproject.toml");
    const roots = [
      ...project.dependencies,
      ...wish.extras.flatMap((name) => extraLines(project.extras, name)),
      ...wish.groups.flatMap((name) => project.groups.lines(name)),
    ];
    return readPdmLock(await readLockText(lock), lock, { document, roots }, target, wish);
  },
  async pipfile({ resolver, project, target, lock, wish }) {
    const document = await manifestOf(lock, "Pipfile");
    const ownIndex = settingsOf(resolver.ctx).main !== undefined;
    // What pipenv installs for development has no other name in any manifest.
    const groups = project.build.noDevDeps ? wish.groups : [...wish.groups, "develop"];
    const all = { ...wish, groups };
    return readPipfileLock(await readLockText(lock), lock, { document, ownIndex }, target, all);
  },
  async requirements({ resolver, project, target, lock, wish }) {
    const [name] = [...wish.extras, ...wish.groups];
    if (name !== undefined) {
      throw new UsageError(
        "FROZEN_FLAT",
        `${lock}: a file of requirements has no extras and groups, but ${name} is wanted`,
        {
          hint: "Make the file with them (`uv pip compile --extra …`), or use another kind of lock.",
        },
      );
    }
    const { text, known } = await frozenRequirements(resolver, project, lock);
    return readPylock(text, lock, target, undefined, known);
  },
};

/** Extras and groups are the project's; the lock knows them under the same names. */
function checked(project: PythonProject, wish: LockWish): void {
  if (project.extras !== undefined)
    checkExtras(wish.extras, Object.keys(project.extras), project.manifest);
  checkGroups(wish.groups, project.groups.names, project.manifest);
}

/** The manifest beside the lock, that the lock was made of. */
async function manifestOf(lock: string, name: string): Promise<Record<string, unknown>> {
  const path = join(dirname(lock), name);
  if (!existsSync(path)) {
    throw new FormatError(
      "LOCK_MANIFEST",
      `${lock}: stands there without the ${name} that it was made of`,
      {
        hint: `Put ${name} beside it.`,
        details: { file: lock, manifest: path },
      },
    );
  }
  return parseToml(await readLockText(path), path);
}

/** What a lock cannot follow would be missing in the package without a word. */
function refuseAdditions({ build }: PythonProject, lock: string): void {
  const files = build.requirementFiles.some((file) => basename(file) !== basename(lock));
  const [key] = [
    build.extraPackages.length > 0 ? "extra_packages" : [],
    build.folders.length > 0 ? "dependencies" : [],
    files ? "requirements_file" : [],
    build.constraintFiles.length > 0 ? "constraints" : [],
  ].flat();
  if (key === undefined) return;
  throw new UsageError("FROZEN_EXTRA", `--frozen and build.${key} contradict each other`, {
    hint: "Put these packages and versions into the lock.",
    details: { lock, key: `build.${key}` },
  });
}

function noLock({ root }: PythonProject): UsageError {
  return new UsageError("FROZEN_MISSING", `--frozen: ${root} holds no lock`, {
    hint: "Make one with `uv lock`, `poetry lock`, `pdm lock`, `pipenv lock` or `uv pip compile --generate-hashes`, or leave --frozen out.",
    details: { looked: [...LOCKS, REQUIREMENTS] },
  });
}

/** Hashed requirements: uv finds the files, and only those count that have a hash which the requirements name. */
async function frozenRequirements(
  resolver: Resolver,
  project: PythonProject,
  file: string,
): Promise<{ text: string; known: Set<string> }> {
  const known = new Set(
    (await readLockText(file))
      .match(/(?<=--hash[= ]sha256:)[0-9a-fA-F]{64}/g)
      ?.map((hash) => hash.toLowerCase()),
  );
  if (known.size === 0) {
    throw new FormatError("REQUIREMENTS_HASH", `${file}: has no hashes`, {
      hint: "Make it with `uv pip compile --generate-hashes`.",
      details: { file },
    });
  }
  if (project.build.usePip) {
    throw new UsageError(
      "USE_PIP_UV",
      "build.use_pip and a frozen file of requirements contradict each other: uv finds the files of one",
      {
        hint: "Use a pylock.toml (`pip lock`), or leave --frozen out: pip itself checks the hashes of a requirements_file.",
      },
    );
  }
  const text = await compileLock(resolver, dirname(file), [basename(file)], {
    noDependencies: true,
  });
  return { text, known };
}
