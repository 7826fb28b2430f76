/**
 * Which shared libraries a set of programs and extension modules needs beyond the C library, found where the loader would find them:
 * DT_RPATH (own, then that of the loading files), DT_RUNPATH, the cache of `ldconfig`, the default folders (ld.so(8)).
 * The target has the C library and nothing else, so everything but the glibc family travels along, libstdc++ and libgcc_s too.
 */
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { findProgram, FormatError, quoted, run } from "../../base/mod.ts";
import { type Elf, readElf } from "./elf.ts";

/** What Debian's libc6 (and every other glibc package) brings. */
const C_LIBRARY = [
  /^ld-linux.*\.so\.\d+$/,
  /^ld64\.so\.\d+$/,
  /^lib(?:c|m|mvec|pthread|dl|rt|util|resolv|anl|thread_db|BrokenLocale)\.so\.\d+$/,
  /^libnss_(?:files|dns|compat|hesiod)\.so\.\d+$/,
  /^linux-vdso\.so\.\d+$/,
];

export function isCLibrary(name: string): boolean {
  return C_LIBRARY.some((pattern) => pattern.test(name));
}

export interface LoaderView {
  /** Library name → candidates, as `ldconfig -p` lists them. */
  cache: Map<string, string[]>;
  /** Searched last. */
  folders: string[];
}

/** Asks `ldconfig -p`; without it (musl, other systems) only the default folders are known. */
export async function loaderView(env: Record<string, string | undefined>): Promise<LoaderView> {
  const cache = new Map<string, string[]>();
  const path = `${env.PATH ?? ""}:/usr/sbin:/sbin`;
  if (findProgram("ldconfig", { PATH: path }) !== undefined) {
    const { stdout } = await run(["ldconfig", "-p"], { env: { PATH: path, LC_ALL: "C" } });
    for (const line of new TextDecoder().decode(stdout).split("\n")) {
      const [, name = "", file = ""] = /^\t(\S+) \([^)]*\) => (\/.+)$/.exec(line) ?? [];
      if (name !== "") cache.set(name, [...(cache.get(name) ?? []), file]);
    }
  }
  return { cache, folders: ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"] };
}

export interface Closure {
  /** Name asked for → real file. */
  libraries: Map<string, string>;
  /** Files whose needs cannot be met on this machine either: file → missing names. */
  missing: Map<string, string[]>;
}

interface Loaded {
  path: string;
  elf: Elf;
  parent: Loaded | undefined;
}

/**
 * Everything that `files` need, transitively. `main` is the program that loads them (its DT_RPATH counts for all).
 * `provided` names libraries that are there already (in the same tree) and need no copy.
 */
export function resolveLibraries(
  main: string,
  files: string[],
  view: LoaderView,
  provided: (name: string) => boolean = () => false,
): Closure {
  const program: Loaded = { path: main, elf: readElf(main), parent: undefined };
  const closure: Closure = { libraries: new Map(), missing: new Map() };
  const queue: Loaded[] = [program];
  for (const path of files) {
    if (path !== main) queue.push({ path, elf: readElf(path), parent: program });
  }
  const seen = new Set(queue.map((item) => item.path));
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
    for (const name of item.elf.needed) {
      if (isCLibrary(name) || provided(name)) continue;
      const placed = placedLibrary(name, item);
      const short = placed === undefined ? name : basename(name);
      checkLibraryName(short, item.path);
      const found = closure.libraries.get(short) ?? placed ?? locate(name, item, view);
      if (found === undefined) {
        closure.missing.set(item.path, [...(closure.missing.get(item.path) ?? []), name]);
        continue;
      }
      closure.libraries.set(short, found);
      if (seen.has(found)) continue;
      seen.add(found);
      queue.push({ path: found, elf: readElf(found), parent: item });
    }
  }
  return closure;
}

/** `$ORIGIN/../lib/libpython3.11.so.1.0`: a place relative to the file instead of a name, as relocatable interpreters have it. */
function placedLibrary(name: string, item: Loaded): string | undefined {
  if (!name.startsWith("$ORIGIN/../lib/")) return undefined;
  const path = join(dirname(realpathSync(item.path)), name.slice("$ORIGIN/".length));
  return existsSync(path) && fits(path, item.elf) ? realpathSync(path) : undefined;
}

/** The name becomes a file of the package, so a path (which the loader would open as it is) is refused. */
function checkLibraryName(name: string, by: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name)) return;
  throw new FormatError(
    "ELF_NEEDED",
    `${by}: needs ${quoted(name)}, which is not a plain library name`,
    {
      hint: "Rebuild it so that it asks for the library by its name.",
      details: { path: by, needed: name },
    },
  );
}

function locate(name: string, item: Loaded, view: LoaderView): string | undefined {
  const folders: string[] = [];
  if (item.elf.runpath.length === 0) {
    for (let by: Loaded | undefined = item; by !== undefined; by = by.parent) {
      if (by.elf.runpath.length === 0) folders.push(...expand(by.elf.rpath, by.path));
    }
  }
  folders.push(...expand(item.elf.runpath, item.path));
  const candidates = [
    ...folders.map((folder) => join(folder, name)),
    ...(view.cache.get(name) ?? []),
    ...view.folders.map((folder) => join(folder, name)),
  ];
  for (const path of candidates) {
    if (existsSync(path) && fits(path, item.elf)) return realpathSync(path);
  }
  return undefined;
}

/** `$ORIGIN` is the folder of the file itself; entries with other tokens depend on the loader's build and are skipped. */
function expand(entries: string[], path: string): string[] {
  const origin = dirname(realpathSync(path));
  return entries
    .map((entry) => entry.replaceAll("${ORIGIN}", origin).replaceAll("$ORIGIN", origin))
    .filter((entry) => !entry.includes("$") && entry.startsWith("/"));
}

/** The loader skips libraries of another class or machine, and files that are no libraries at all (linker scripts). */
function fits(path: string, by: Elf): boolean {
  try {
    const elf = readElf(path);
    return elf.bits === by.bits && elf.machine === by.machine;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** The newest `GLIBC_2.x` that any of `files` asks for, as `[2, x]`; what the target's C library must be at least. */
export function glibcFloor(files: string[]): [number, number] {
  let floor = 0;
  for (const path of files) {
    for (const names of readElf(path).versions.values()) {
      for (const name of names) {
        const minor = /^GLIBC_2\.(\d+)/.exec(name)?.[1];
        if (minor !== undefined) floor = Math.max(floor, Number(minor));
      }
    }
  }
  return [2, floor];
}
