/** That each command leads to something that is there: what would fail at the user's fails here. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { FormatError } from "../base/mod.ts";
import type { TreeEntry } from "../codec/mod.ts";
import { parseObjectReference } from "./pep/names.ts";
import type { PythonProject } from "./project/project.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { layoutOf, type Target } from "./runtime/target.ts";

/** What the commands may import. */
export interface Importable {
  /** Below site-packages. */
  entries: TreeEntry[];
  runtime: Pick<Runtime, "entries">;
  target: Pick<Target, "platform" | "minor" | "abiFlags">;
}

/** `ENTRY_MODULE` for a module that is in no slot, `ENTRY_NAME` for a name that its source does not hold. */
export function checkEntryPoints(
  commands: Map<string, string>,
  project: Pick<PythonProject, "root">,
  importable: Importable,
): void {
  const files = new Map(importable.entries.map((entry) => [entry.path, entry]));
  const { library, modules } = layoutOf(importable.target);
  for (const entry of importable.runtime.entries) {
    const path = entry.path.slice(library.length + 1);
    if (entry.path.startsWith(`${library}/`) && !files.has(path)) files.set(path, entry);
  }
  for (const [command, reference] of commands) {
    const { module, attributes } = parseObjectReference(reference, command);
    const path = module.replaceAll(".", "/");
    const source = files.get(`${path}/__init__.py`) ?? files.get(`${path}.py`);
    const isExtension = (at: string) =>
      importable.entries.some(
        (entry) => entry.path.startsWith(`${at}.`) && modules.some((m) => entry.path.endsWith(m)),
      );
    if (isExtension(path)) continue;
    if (source === undefined) throw noModule(command, reference, project.root);
    const [name = ""] = attributes;
    const below = `${path}/${name}`;
    if (files.has(`${below}.py`) || files.has(`${below}/__init__.py`) || isExtension(below))
      continue;
    if (!mayHold(source, name)) throw noName(command, reference);
  }
}

/** Ways by which a module gets names that its source does not show. */
const DYNAMIC =
  /\bimport\s*\(?\s*\*|\b(?:__getattr__|globals|locals|vars|setattr|exec|__dict__|modules)\b/;

/** Whether the source could bind `name`: a name that it never writes cannot be imported from it. */
function mayHold({ source }: TreeEntry, name: string): boolean {
  if (source === undefined) return true;
  const text =
    typeof source === "string"
      ? readFileSync(source, "utf8")
      : new TextDecoder().decode(source.bytes);
  // Names are compared as Python reads them: NFKC (PEP 3131).
  return DYNAMIC.test(text) || text.normalize("NFKC").includes(name.normalize("NFKC"));
}

function noModule(command: string, reference: string, root: string): FormatError {
  const { module } = parseObjectReference(reference, command);
  const path = module.replaceAll(".", "/");
  const lying = [
    `${path}.py`,
    `src/${path}.py`,
    `${path}/__init__.py`,
    `src/${path}/__init__.py`,
  ].find((file) => existsSync(join(root, file)));
  return new FormatError(
    "ENTRY_MODULE",
    `The command ${command} starts ${reference}, but no package holds the module ${module}`,
    {
      hint:
        lying === undefined
          ? "Correct the entry point, or add the package that holds it to the dependencies."
          : `${lying} lies in the project, but its build leaves it out: name it there (setuptools: ${
              module.includes(".") || lying.endsWith("__init__.py") ? "packages" : "py-modules"
            } in [tool.setuptools]).`,
      details: { command, module },
    },
  );
}

function noName(command: string, reference: string): FormatError {
  const { module, attributes } = parseObjectReference(reference, command);
  const [name = ""] = attributes;
  return new FormatError(
    "ENTRY_NAME",
    `The command ${command} starts ${reference}, but the module ${module} does not know the name ${name}`,
    {
      hint: "Correct what stands behind the colon: the function that the command calls.",
      details: { command, module, name },
    },
  );
}
