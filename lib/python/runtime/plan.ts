/**
 * Which files of a Python go into a package, and where. On Linux the shared libraries beyond the C library come along from wherever the
 * loader finds them; on macOS and Windows only relocatable builds are packed, whose libraries lie in their own folder.
 */
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";

import { EnvironmentError, FormatError } from "../../base/mod.ts";
import { readBinary } from "../native/binary.ts";
import { isElf } from "../native/elf.ts";
import { type LoaderView, resolveLibraries } from "../native/libraries.ts";
import type { OptionalPart } from "../project/python-table.ts";
import { isLeftFile, isLeftFolder, isLeftModule } from "./left-out.ts";
import { layoutOf, type Target } from "./target.ts";

export interface CopyPlan {
  /** `elf`: may be stripped, and needs a relative search path. */
  files: { from: string; to: string; elf: boolean }[];
  /** Shared libraries from elsewhere. */
  libraries: { from: string; to: string }[];
  /** Extension modules whose libraries are not in `view`. */
  omitted: string[];
}

type Include = readonly OptionalPart[];

/** What goes where, relative to the new prefix. `PYTHON_LAYOUT`, `PYTHON_LIBRARY`, `PYTHON_PART`. */
export function planCopy(target: Target, include: Include, view: LoaderView): CopyPlan {
  const files = [
    ...programs(target, include),
    ...standardLibrary(target, include),
    ...tclFiles(target, include),
  ];
  requireParts(target, include, files);
  if (target.platform === "linux") return withLibraries(target, files, view);
  const libraries = target.platform === "darwin" ? dylibs(target, files) : [];
  return { files: [...files, ...libraries], libraries: [], omitted: [] };
}

type Planned = CopyPlan["files"][number];

function programs(target: Target, include: Include): Planned[] {
  const { program } = layoutOf(target);
  if (target.platform !== "win32")
    return [{ from: target.executable, to: program, elf: target.platform === "linux" }];
  const beside = names(target.prefix).filter((name) => /^pythonw?\.exe$|\.dll$/i.test(name));
  const modules = names(join(target.prefix, "DLLs"))
    .filter((name) => !isLeftModule(name, include))
    .map((name) => `DLLs/${name}`);
  return [...beside, ...modules]
    .map((path) => ({ from: join(target.prefix, path), to: path, elf: false }))
    .filter(({ from }) => statSync(from).isFile());
}

function standardLibrary(target: Target, include: Include): Planned[] {
  const files: Planned[] = [];
  for (const folder of new Set([target.stdlib, target.platstdlib])) {
    const inPrefix = relative(target.prefix, folder).replaceAll("\\", "/");
    if (inPrefix.startsWith("..")) throw outsidePrefix(target, folder);
    for (const path of libraryFiles(folder, "", include)) {
      const from = join(folder, path);
      const elf = target.platform === "linux" && path.endsWith(".so") && isElf(from);
      files.push({ from, to: `${inPrefix}/${path}`, elf });
    }
  }
  return files;
}

/** Files of the standard library that travel, sorted by the walk; links are followed, because their targets may stay behind. */
function* libraryFiles(root: string, folder: string, include: Include): Generator<string> {
  for (const name of names(join(root, folder))) {
    const path = folder === "" ? name : `${folder}/${name}`;
    const info = statSync(join(root, path), { throwIfNoEntry: false });
    if (info?.isDirectory()) {
      if (!isLeftFolder(path, include)) yield* libraryFiles(root, path, include);
    } else if (info?.isFile() && !isLeftFile(path, include)) {
      yield path;
    }
  }
}

/** Tcl and Tk are libraries with scripts of their own, which relocatable builds have below their prefix. */
function tclFiles(target: Target, include: Include): Planned[] {
  if (!include.includes("tkinter") && !include.includes("idlelib")) return [];
  const at = target.platform === "win32" ? "" : "lib/";
  const folder = join(target.prefix, at);
  const tcl = /^(?:tcl|tk|itcl|thread|tdbc)\d*(?:\.\d+)*$/i;
  return names(folder)
    .filter((name) => tcl.test(name) && statSync(join(folder, name)).isDirectory())
    .flatMap((name) =>
      [...libraryFiles(join(folder, name), "", [])].map((path) => {
        const from = join(folder, name, path);
        const elf = target.platform === "linux" && isElf(from);
        return { from, to: `${at}${name}/${path}`, elf };
      }),
    );
}

/** A part that was asked for and is not there would be missed at the user's. */
function requireParts(target: Target, include: Include, files: Planned[]): void {
  const { library } = layoutOf(target);
  for (const part of include) {
    const isThere = files.some(({ to }) => to.startsWith(`${library}/${part}/`));
    const needsTcl = part === "tkinter" || part === "idlelib";
    const hasTcl =
      files.some(({ to }) => /(?:^|\/)_tkinter\.[^/]*$/.test(to)) &&
      (names(join(target.prefix, target.platform === "win32" ? "" : "lib")).some((name) =>
        /^(?:lib)?tcl\d*/i.test(name),
      ) ||
        existsSync(join(target.prefix, "tcl")));
    if (isThere && (!needsTcl || hasTcl)) continue;
    throw new FormatError(
      "PYTHON_PART",
      `python.include: ${target.executable} has no ${isThere ? `Tcl of its own for ${part}` : part} to pack`,
      {
        hint: 'Use an archive, or source = "managed" in [tool.sealift.python].',
        details: { part, executable: target.executable },
      },
    );
  }
}

/** The closure of shared libraries; a module whose library is missing here stays behind. */
function withLibraries(target: Target, files: Planned[], view: LoaderView): CopyPlan {
  const program = layoutOf(target).program;
  const modules = files.filter((file) => file.elf).map((file) => realpathSync(file.from));
  const closure = resolveLibraries(target.executable, modules, view);
  const lost = new Set(closure.missing.keys());
  const kept = files.filter((file) => !lost.has(realpathSync(file.from)));
  if (kept[0]?.to !== program) throw missingLibrary(target, closure.missing);
  return {
    files: kept,
    libraries: [...closure.libraries].map(([name, from]) => ({ from, to: `lib/${name}` })),
    omitted: files.filter((file) => !kept.includes(file)).map((file) => basename(file.to)),
  };
}

/** Libraries of the prefix that the program or a module loads, transitively; those of the system stay where they are. */
function dylibs(target: Target, files: Planned[]): Planned[] {
  const known = new Set(files.map((file) => file.from));
  const found: Planned[] = [];
  const queue = files.filter(({ to }) => !/\.(?:py|txt)$/.test(to)).map(({ from }) => from);
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const name of readBinary(at)?.loads ?? []) {
      const from = dylibPath(target, at, name);
      if (from === undefined || known.has(from)) continue;
      known.add(from);
      queue.push(from);
      found.push({ from, to: relative(target.prefix, from).replaceAll("\\", "/"), elf: false });
    }
  }
  return found;
}

/** `@rpath` and absolute names of the build machine are found in `lib`, the only place that these builds use. */
function dylibPath(target: Target, by: string, name: string): string | undefined {
  const places = [
    name.replace(/^@executable_path(?=\/)/, dirname(target.executable)),
    name.replace(/^@loader_path(?=\/)/, dirname(by)),
    join(target.prefix, "lib", basename(name)),
  ].map((path) => join(path));
  const inside = (path: string) => !relative(target.prefix, path).startsWith("..");
  return places.find((path) => path.startsWith("/") && inside(path) && existsSync(path));
}

function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function outsidePrefix(target: Target, folder: string): EnvironmentError {
  return new EnvironmentError(
    "PYTHON_LAYOUT",
    `${target.executable}: its library ${folder} lies outside its prefix ${target.prefix}`,
    {
      hint: "Name another interpreter with `--python`.",
      details: { prefix: target.prefix, folder },
    },
  );
}

function missingLibrary(target: Target, missing: Map<string, string[]>): EnvironmentError {
  const needed = [...new Set([...missing.values()].flat())].sort();
  return new EnvironmentError(
    "PYTHON_LIBRARY",
    `${target.executable} needs ${needed.join(", ")}, not found on this machine`,
    {
      hint: "Install what provides it, or name another interpreter with `--python`.",
      details: { missing: needed },
    },
  );
}
