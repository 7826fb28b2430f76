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
 */
import type { TreeEntry } from "../../codec/mod.ts";
import { type ObjectReference, parseObjectReference } from "../pep/names.ts";
import type { RuntimeSettings } from "../project/runtime-table.ts";

/** Where the preparing program lies in a work environment. */
export const PREPARE_PATH = "lib/sealift/prepare.py";

/** Arguments: work environment, runtime, dependencies, interpreter below the runtime, version, then the `.pth` files of the dependencies. */
const PREPARE = `\
"""Turns this work environment into a virtual environment over a shared runtime. Runs once, before the first start."""
import os
import sys

workenv, runtime, site, program, version = sys.argv[1:6]
name = os.path.basename(program)
bin_folder = os.path.join(workenv, "bin")
packages = os.path.join(workenv, "lib", name, "site-packages")
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
link(os.path.join(runtime, program), interpreter)
for alias in ("python3", "python"):
    link(name, os.path.join(bin_folder, alias))
# Escaped to ASCII, because the encoding of .pth files depends on the locale.
# The .pth files are known, so that no start has to list the folder for them. site.py reads this file twice in a virtual environment.
lines = ["import sys; %a in sys.path or sys.path.append(%a)" % (site, site)]
lines += ["import site; site.addpackage(%a, %a, None)" % (site, pth) for pth in sys.argv[6:]]
write(os.path.join(packages, "_sealift.pth"), ("\\n".join(lines) + "\\n").encode("ascii"))
libexec = os.path.join(workenv, "libexec")
for script in sorted(os.listdir(libexec)):
    with open(os.path.join(libexec, script), "rb") as file:
        write(os.path.join(bin_folder, script), first_line() + file.read(), 0o755)
`;

export function prepareEntry(): TreeEntry {
  return textEntry(PREPARE_PATH, PREPARE);
}

/** The setup command that runs it; `pth` are the `.pth` files at the root of the dependencies. */
export function prepareCommand(programPath: string, version: string, pth: string[]): string[] {
  const program = [`{slot:runtime}/${programPath}`, "-I", "-S", "-B", `{workenv}/${PREPARE_PATH}`];
  return [...program, "{workenv}", "{slot:runtime}", "{slot:site}", programPath, version, ...pth];
}

/** The command that starts `name`; flags stand before the script. */
export function startCommand(
  programName: string,
  name: string,
  { optimisation, bytecode }: RuntimeSettings,
): string[] {
  const flags = ["-I"];
  if (optimisation > 0) flags.push(optimisation === 1 ? "-O" : "-OO");
  // Without bytecode, none is written on the target either: what was unpacked stays as it was signed.
  if (bytecode === undefined) flags.push("-B");
  return [`{workenv}/bin/${programName}`, ...flags, `{workenv}/libexec/${name}`];
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
