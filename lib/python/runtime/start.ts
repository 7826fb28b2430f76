/**
 * How a packed application starts. Decision: a work environment is a virtual environment (PEP 405) over the shared runtime.
 *
 *   {workenv}/bin/python3.11   link to the runtime, made at first start, because only then its place is known
 *   {workenv}/pyvenv.cfg       names the runtime
 *   {workenv}/lib/python3.11/site-packages/   the project, and a `.pth` file that names the shared dependencies
 *   {workenv}/libexec/NAME     the start script of each command, sealed: python -I libexec/NAME
 *   {workenv}/bin/NAME         the same with a first line, for programs that call each other by name
 *
 * So `sys.executable` is right, and children started with it (`-m`, spawned workers, reloaders) see the same packages without any PYTHON*
 * variable; data files lie under `sys.prefix`. Measured against `python -I` with an explicit sys.path: no difference (177 ms each for
 * `http --version`; a bare interpreter starts in 8.7 ms this way and in 9.1 ms directly). One small program of our own writes the first three.
 *
 * On Windows the folders are `Scripts` and `Lib/site-packages`. Links to programs need a privilege there, and the redirector that a venv
 * has instead would start a second process for each one: so python.exe and its DLLs become hard links to the runtime's (copies on
 * another volume). The interpreter finds its library by pyvenv.cfg as before. `Scripts/NAME.cmd` stands for `bin/NAME`.
 *
 * A further Python of the same package has all this in a folder of its own, `{workenv}/python-3.9`, with slots of its own.
 */
import type { TreeEntry } from "../../codec/mod.ts";
import { type ObjectReference, parseObjectReference } from "../pep/names.ts";
import type { RuntimeSettings } from "../project/runtime-table.ts";
import type { Layout } from "./target.ts";

/** Which of the Pythons of a package: its folder in a work environment and its slots. */
export interface Place {
  /** Placeholder of the environment's root. */
  workenv: string;
  /** The same as a path inside the app slot; empty for the first Python. */
  folder: string;
  /** Ids of the slots. */
  runtime: string;
  site: string;
  app: string;
}

/** @param suffix `3.9` for a further Python, empty for the first */
export function placeOf(suffix: string): Place {
  const end = suffix === "" ? "" : `-${suffix}`;
  const folder = suffix === "" ? "" : `python${end}`;
  return {
    workenv: suffix === "" ? "{workenv}" : `{workenv}/${folder}`,
    folder,
    runtime: `runtime${end}`,
    site: `site${end}`,
    app: `app${end}`,
  };
}

/** Where the preparing program lies in a work environment. */
function preparePath(layout: Layout): string {
  return `${layout.base}/sealift/prepare.py`;
}

/** Arguments: work environment, runtime, dependencies, interpreter below the runtime, version, then the `.pth` files of the dependencies. */
const PREPARE = `\
"""Turns this work environment into a virtual environment over a shared runtime. Runs once, before the first start."""
import os
import sys

workenv, runtime, site, program, packages, version = sys.argv[1:7]
windows = os.name == "nt"
name = os.path.basename(program)
bin_folder = os.path.join(workenv, "Scripts" if windows else "bin")
packages = os.path.join(workenv, *packages.split("/"))
interpreter = os.path.join(bin_folder, name)


def write(path, data, mode=0o644):
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def link(target, path):
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def twin(source, path):
    if os.path.lexists(path):
        os.unlink(path)
    try:
        os.link(source, path)
    except OSError:
        with open(source, "rb") as file:
            write(path, file.read())


def first_line():
    # The kernel cuts long first lines and splits them at blanks; a shell reads the rest in that case.
    line = b"#!" + os.fsencode(interpreter)
    if len(line) <= 120 and not any(c in line for c in b" \\t"):
        return line + b"\\n"
    quoted = b"'" + os.fsencode(interpreter).replace(b"'", b"'\\\\''") + b"'"
    return b"#!/bin/sh\\n'''exec' " + quoted + b' "$0" "$@"\\n' + b"' '''\\n"


os.makedirs(bin_folder, exist_ok=True)
os.makedirs(packages, exist_ok=True)
home = os.path.dirname(os.path.join(runtime, program))
config = "home = %s\\ninclude-system-site-packages = false\\nversion = %s\\n" % (home, version)
write(os.path.join(workenv, "pyvenv.cfg"), config.encode("utf-8", "surrogateescape"))
if windows:
    for file in os.listdir(runtime):
        if file.lower().endswith((".exe", ".dll")):
            twin(os.path.join(runtime, file), os.path.join(bin_folder, file))
else:
    link(os.path.join(runtime, program), interpreter)
    for alias in ("python3", "python"):
        link(name, os.path.join(bin_folder, alias))
# Escaped to ASCII, because the encoding of .pth files depends on the locale.
# The .pth files are known, so that no start has to list the folder for them. site.py reads this file twice in a virtual environment.
lines = ["import sys; %a in sys.path or sys.path.append(%a)" % (site, site)]
lines += ["import site; site.addpackage(%a, %a, None)" % (site, pth) for pth in sys.argv[7:]]
write(os.path.join(packages, "_sealift.pth"), ("\\n".join(lines) + "\\n").encode("ascii"))
libexec = os.path.join(workenv, "libexec")
for script in sorted(os.listdir(libexec)) if os.path.isdir(libexec) else []:
    if windows:
        command = '@"%%~dp0python.exe" -I "%%~dp0..\\\\libexec\\\\%s" %%*\\r\\n' % script
        write(os.path.join(bin_folder, script + ".cmd"), os.fsencode(command))
        continue
    with open(os.path.join(libexec, script), "rb") as file:
        write(os.path.join(bin_folder, script), first_line() + file.read(), 0o755)
`;

export function prepareEntry(layout: Layout): TreeEntry {
  return textEntry(preparePath(layout), PREPARE);
}

/** The setup command that runs it; `pth` are the `.pth` files at the root of the dependencies. */
export function prepareCommand(
  place: Place,
  layout: Layout,
  version: string,
  pth: string[],
): string[] {
  const { workenv } = place;
  const runtime = `{slot:${place.runtime}}`;
  return [
    ...[`${runtime}/${layout.program}`, "-I", "-S", "-B", `${workenv}/${preparePath(layout)}`],
    ...[workenv, runtime, `{slot:${place.site}}`, layout.program, layout.packages, version],
    ...pth,
  ];
}

/** The command that starts `name`; flags stand before the script. `windowed`: without a console, which only Windows tells apart. */
export function startCommand(
  { workenv }: Place,
  layout: Layout,
  name: string,
  { optimisation, bytecode, windowed }: RuntimeSettings & { windowed: boolean },
): string[] {
  const flags = ["-I"];
  if (optimisation > 0) flags.push(optimisation === 1 ? "-O" : "-OO");
  // Without bytecode, none is written on the target either: what was unpacked stays as it was signed.
  if (bytecode === undefined) flags.push("-B");
  const program =
    layout.windows && windowed ? layout.started.replace(/\.exe$/, "w.exe") : layout.started;
  return [`${workenv}/${program}`, ...flags, `${workenv}/libexec/${name}`];
}

/** What console-script wrappers do; guarded, because spawned workers import the main script again. */
export function startScript(name: string, reference: string): TreeEntry {
  const { module, attributes }: ObjectReference = parseObjectReference(reference, name);
  const [first = ""] = attributes;
  const text = `import sys\n\nfrom ${module} import ${first}\n\nif __name__ == "__main__":\n    sys.exit(${attributes.join(".")}())\n`;
  return textEntry(`libexec/${name}`, text);
}

export function textEntry(path: string, text: string): TreeEntry {
  return bytesEntry(path, new TextEncoder().encode(text));
}

export function bytesEntry(path: string, bytes: Uint8Array, mode = 0o644): TreeEntry {
  return { path, type: "file", mode, size: bytes.length, source: { bytes } };
}
