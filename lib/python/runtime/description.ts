/**
 * What a relocatable Python is, read from its files, because it may be for a system that this machine cannot run: version and ABI from
 * the names of its library and its program, the patch release from `PYTHON.json`, `patchlevel.h` or the text inside of the library, system
 * and machine from the program's header, the C library from its loader.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { join } from "node:path";

import { FormatError, ioError } from "../../base/mod.ts";
import { readBinary } from "../native/binary.ts";
import { readElf } from "../native/elf.ts";
import { glibcFloor } from "../native/libraries.ts";
import type { Target } from "./target.ts";

/** glibc that wheels may ask for though the interpreter itself runs on an older one: what most wheels are built for. */
const USUAL_GLIBC = 28;
const MAX_TEXT = 16 << 20;

/**
 * The Python whose prefix is `prefix`.
 * @param build what tells this build from others: the digest of its archive, the name that uv has for it
 * @throws FormatError `PYTHON_ARCHIVE` naming `origin`
 */
export function readTarget(prefix: string, build: string, origin: string): Target {
  const shape = windowsShape(prefix) ?? unixShape(prefix);
  if (shape === undefined)
    throw bad(origin, "holds no bin/python3.x with its library, and no python.exe with its DLL");
  const program = join(prefix, shape.program);
  const binary = readBinary(program);
  const [machine] = binary?.machines ?? [];
  if (binary === undefined || machine === undefined)
    throw bad(origin, `${shape.program} is no program for a system that packages are for`);
  if ((binary.platform === "win32") !== shape.windows)
    throw bad(origin, `${shape.program} is for ${binary.platform}, and its folders are not`);
  const minor = [3, shape.minor] as [number, number];
  const library = join(prefix, shape.library);
  return {
    executable: program,
    version: version(prefix, shape, origin),
    minor,
    build,
    cacheTag: `cpython-${minor.join("")}`,
    abiFlags: shape.abiFlags,
    platform: binary.platform,
    machine: MACHINES[binary.platform][machine] ?? machine,
    libc: binary.platform === "linux" ? libc(program) : { name: "none", version: [0, 0] },
    prefix,
    stdlib: library,
    platstdlib: library,
    buildPaths: buildPaths(library),
  };
}

/** What `platform.machine()` says. */
const MACHINES: Record<"linux" | "darwin" | "win32", Record<string, string>> = {
  linux: { amd64: "x86_64", arm64: "aarch64" },
  darwin: { amd64: "x86_64", arm64: "arm64" },
  win32: { amd64: "AMD64", arm64: "ARM64" },
};

interface Shape {
  windows: boolean;
  /** Relative to the prefix. */
  program: string;
  library: string;
  minor: number;
  abiFlags: string;
  /** Files that hold the version as text, relative to the prefix. */
  texts: string[];
}

function windowsShape(prefix: string): Shape | undefined {
  const dll = names(prefix).find((name) => /^python3\d+t?\.dll$/i.test(name));
  const [, minor, abiFlags = ""] = /^python3(\d+)(t?)\.dll$/i.exec(dll ?? "") ?? [];
  if (dll === undefined || minor === undefined || !isFile(join(prefix, "python.exe")))
    return undefined;
  if (!isFile(join(prefix, "Lib", "os.py"))) return undefined;
  return {
    windows: true,
    program: "python.exe",
    library: "Lib",
    minor: Number(minor),
    abiFlags,
    texts: [dll],
  };
}

function unixShape(prefix: string): Shape | undefined {
  for (const program of names(join(prefix, "bin"))) {
    const [, minor] = /^python3\.(\d+)$/.exec(program) ?? [];
    if (minor === undefined || !isFile(join(prefix, "bin", program))) continue;
    const abiFlags = ["", "t"].find((flags) =>
      isFile(join(prefix, "lib", `${program}${flags}`, "os.py")),
    );
    if (abiFlags === undefined) continue;
    const libraries = names(join(prefix, "lib")).filter((name) =>
      name.startsWith(`libpython3.${minor}`),
    );
    return {
      windows: false,
      program: `bin/${program}`,
      library: `lib/${program}${abiFlags}`,
      minor: Number(minor),
      abiFlags,
      texts: [`bin/${program}`, ...libraries.map((name) => `lib/${name}`)],
    };
  }
  return undefined;
}

function version(prefix: string, shape: Shape, origin: string): string {
  const found =
    fromJson(prefix) ?? fromHeader(prefix, shape) ?? fromTexts(prefix, shape) ?? undefined;
  if (found?.startsWith(`3.${shape.minor}.`)) return found;
  throw bad(
    origin,
    found === undefined
      ? "says nowhere which release of Python it is"
      : `calls itself ${found}, and its files are those of 3.${shape.minor}`,
  );
}

/** The description in full archives, which lies beside `install`. */
function fromJson(prefix: string): string | undefined {
  const path = join(prefix, "..", "PYTHON.json");
  if (!isFile(path) || statSync(path).size > MAX_TEXT) return undefined;
  try {
    const { python_version: text } = JSON.parse(readFileSync(path, "utf8")) as {
      python_version?: unknown;
    };
    return typeof text === "string" ? release(text) : undefined;
  } catch {
    return undefined;
  }
}

function fromHeader(prefix: string, shape: Shape): string | undefined {
  const folders = [`include/python3.${shape.minor}${shape.abiFlags}`, "include", "Include"];
  for (const folder of folders) {
    const path = join(prefix, folder, "patchlevel.h");
    if (!isFile(path) || statSync(path).size > MAX_TEXT) continue;
    const text = /^#define\s+PY_VERSION\s+"([^"]+)"/m.exec(readFileSync(path, "latin1"))?.[1];
    if (text !== undefined) return release(text);
  }
  return undefined;
}

/**
 * The interpreter holds its version as a text that ends with NUL. Linkers let it share the end of another one, such as a folder's
 * name; then all that end in a version must agree.
 */
function fromTexts(prefix: string, shape: Shape): string | undefined {
  const pattern = new RegExp(
    `([^\\d.])(3\\.${shape.minor}\\.\\d{1,3}(?:(?:a|b|rc)\\d{1,2})?)\\+?\\0`,
    "g",
  );
  const shared = new Set<string>();
  for (const path of shape.texts.filter((name) => isFile(join(prefix, name)))) {
    for (const text of pieces(join(prefix, path))) {
      for (const [, before, found = ""] of text.matchAll(pattern)) {
        if (before === "\0") return release(found);
        shared.add(found);
      }
    }
  }
  const [only] = shared;
  return shared.size === 1 && only !== undefined ? release(only) : undefined;
}

function release(text: string): string | undefined {
  return /^3\.\d+\.\d+(?:(?:a|b|rc)\d+)?/.exec(text)?.[0];
}

/** A file in overlapping pieces: full builds have hundreds of megabytes. */
function* pieces(path: string): Generator<string> {
  const [size, overlap] = [4 << 20, 64];
  const buffer = Buffer.alloc(size);
  const file = openSync(path, "r");
  try {
    for (let at = 0; ; at += size - overlap) {
      const got = readSync(file, buffer, 0, size, at);
      yield buffer.toString("latin1", 0, got);
      if (got < size) return;
    }
  } catch (error) {
    throw ioError(error, path);
  } finally {
    closeSync(file);
  }
}

function libc(program: string): Target["libc"] {
  const elf = readElf(program);
  const isMusl =
    /ld-musl/.test(elf.interpreter ?? "") ||
    elf.needed.some((name) => name.startsWith("libc.musl"));
  if (isMusl) return { name: "musl", version: [1, 2] };
  return { name: "glibc", version: [2, Math.max(glibcFloor([program])[1], USUAL_GLIBC)] };
}

/** Folders of the build, as sysconfig's data has them. */
function buildPaths(library: string): string[] {
  const data = names(library).find((name) => /^_sysconfigdata_.*\.py$/.test(name));
  if (data === undefined || statSync(join(library, data)).size > MAX_TEXT) return [];
  const text = readFileSync(join(library, data), "utf8");
  const paths = ["abs_builddir", "abs_srcdir"].flatMap(
    (key) => new RegExp(`['"]${key}['"]: ?\\n? *['"](/[^'"]+)['"]`).exec(text)?.[1] ?? [],
  );
  return [...new Set(paths)].sort();
}

function names(folder: string): string[] {
  return existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder).sort() : [];
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function bad(origin: string, what: string): FormatError {
  return new FormatError("PYTHON_ARCHIVE", `${origin}: ${what}`, {
    hint: "Use an archive of python-build-standalone (install_only, or full).",
    details: { path: origin },
  });
}
