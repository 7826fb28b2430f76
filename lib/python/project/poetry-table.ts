/** `[tool.poetry]` of projects made for Poetry before version 2, in place of `[project]`. */
import { normaliseName } from "../pep/names.ts";
import { poetryRequirements, requirementLine, specifiersOf } from "../pep/poetry.ts";

type Table = Record<string, unknown>;

/**
 * The same facts as `[project]` has them. Requirements and commands of a package are left to what its build backend makes of them;
 * with `package-mode = false` there is none, so the requirements are read here.
 */
export function poetryAsProject(poetry: Table, manifest: string, root: string): Table {
  const { name, version, description, license, extras } = poetry;
  const { python, ...dependencies } = (poetry.dependencies ?? {}) as Table;
  const facts = { name, version, description, license, ...pythonFact(python, manifest) };
  if (isPackage(poetry))
    return { ...facts, "optional-dependencies": extras, dynamic: ["version", "dependencies"] };
  const where = `${manifest}: tool.poetry.dependencies`;
  const all = Object.entries(dependencies).flatMap(([key, value]) =>
    poetryRequirements(key, value, where),
  );
  const lines = (items: typeof all) => items.map((item) => requirementLine(item, root, where));
  const named = Object.entries((extras ?? {}) as Record<string, string[]>).map(([extra, list]) => {
    const names = [list].flat().map((item) => normaliseName(String(item)));
    return [extra, lines(all.filter((item) => names.includes(item.name)))];
  });
  return {
    ...facts,
    version: version ?? "0",
    dependencies: lines(all.filter((item) => !item.optional)),
    "optional-dependencies": Object.fromEntries(named) as Table,
  };
}

/** Whether Poetry builds the project itself. */
export function isPackage(poetry: Table): boolean {
  return poetry["package-mode"] !== false;
}

/** Whether a dependency lies in a folder beside the project. */
export function hasFolders(poetry: Table | undefined): boolean {
  return Object.values((poetry?.dependencies ?? {}) as Table)
    .flat()
    .some((entry) => typeof entry === "object" && entry !== null && "path" in entry);
}

/** `python = "^3.9"`; alternatives have no standard notation, and the lock and the wheel say them again. */
function pythonFact(constraint: unknown, manifest: string): Table {
  if (typeof constraint !== "string") return {};
  const specifiers = specifiersOf(constraint, `${manifest}: tool.poetry.dependencies.python`);
  return specifiers.length === 1 ? { "requires-python": specifiers[0] } : {};
}
