/** Which commands a package has, and which one is the default. */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { FormatError } from "../base/mod.ts";
import type { TreeEntry } from "../codec/mod.ts";
import { normaliseName, parseObjectReference } from "./pep/names.ts";
import type { PythonProject } from "./project/project.ts";
import { startScript } from "./runtime/start.ts";
import type { StagedWheel } from "./wheel/site.ts";

/** The project's commands replace scripts of the same name that dependencies bring. */
export function withCommands(entries: TreeEntry[], commands: Map<string, string>): TreeEntry[] {
  const own = [...commands].map(([name, reference]) => startScript(name, reference));
  const taken = new Set(own.map((entry) => entry.path.toLowerCase()));
  return [...own, ...entries.filter((entry) => !taken.has(entry.path.toLowerCase()))];
}

/** Every command of the package: name → object reference. */
export function commandsOf(
  project: PythonProject,
  own: StagedWheel | undefined,
): Map<string, string> {
  const commands = new Map(
    Object.entries({
      ...project.scripts,
      ...project.guiScripts,
      ...own?.consoleScripts,
      ...own?.guiScripts,
    }),
  );
  for (const [name, { reference }] of Object.entries(project.entries))
    commands.set(name, reference);
  if (project.entryPoint !== undefined && commandFor(project.entryPoint, commands) === undefined) {
    const name = commands.has(project.packageName)
      ? `${project.packageName}-entry`
      : project.packageName;
    commands.set(name, project.entryPoint);
  }
  refuseTwins(project, [...commands.keys()]);
  return commands;
}

/** Commands are files, entries and links; some systems fold their names. */
function refuseTwins(project: PythonProject, names: string[]): void {
  for (const [i, name] of names.entries()) {
    const twin = names.slice(0, i).find((other) => other.toLowerCase() === name.toLowerCase());
    if (twin === undefined) continue;
    throw new FormatError(
      "COMMAND_TWINS",
      `${project.manifest}: the commands ${twin} and ${name} differ only in case`,
      {
        hint: "Rename one of them: names of files that differ only in case are one file on some systems.",
        details: { file: project.manifest, commands: [twin, name] },
      },
    );
  }
}

/** The entry `tests` of a project that brings its tests: pytest where it is packed, else unittest. */
export function testEntry(
  project: PythonProject,
  commands: Map<string, string>,
  program: string,
  wheels: StagedWheel[],
): Record<string, string[]> {
  if (!project.build.environment.includeTests) return {};
  const hasPytest = wheels.some((wheel) => normaliseName(wheel.name) === "pytest");
  const runner = hasPytest
    ? ["pytest", "-p", "no:cacheprovider", "{slot:tests}"]
    : ["unittest", "discover", "-s", "{slot:tests}", "-t", "{slot:tests}"];
  const name = commands.has("tests") ? `${project.packageName}-tests` : "tests";
  // Without -O, which takes assertions away, and without writing bytecode beside the tests.
  return { [name]: [program, "-I", "-B", "-m", ...runner] };
}

function commandFor(reference: string, commands: Map<string, string>): string | undefined {
  return [...commands].find(([, known]) => known === reference)?.[0];
}

/**
 * entry_point, else the command named like the package or project, else the first (and often only) one.
 * @param scripts commands without an object reference (scripts.ts); they come after the others
 */
export function defaultCommand(
  project: PythonProject,
  commands: Map<string, string>,
  scripts: string[] = [],
): string {
  if (project.entryPoint !== undefined) {
    const named = [project.packageName, `${project.packageName}-entry`].find(
      (n) => commands.get(n) === project.entryPoint,
    );
    const found = named ?? commandFor(project.entryPoint, commands);
    if (found !== undefined) return found;
  }
  const names = [...commands.keys(), ...scripts];
  return [project.packageName, project.name].find((name) => names.includes(name)) ?? names[0] ?? "";
}

/**
 * Whether the project itself is built to a wheel: as it says itself, else when it has a setup.py or the module of one of its
 * commands lies in its folder. A manifest with nothing but dependencies and an entry point in one of them is not built.
 */
export function isBuilt(project: PythonProject): boolean {
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
