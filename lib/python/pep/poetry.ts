/**
 * Poetry's own notation of requirements (`^1.2`, `~1.2`, `{ version = "…", python = "…" }`) as the standard one: specifiers of
 * PEP 440 and markers of PEP 508. Pure; what has no meaning there is a `FormatError("POETRY_REQUIREMENT")`.
 */
import { FormatError, quoted } from "../../base/mod.ts";
import { normaliseName } from "./names.ts";

/** One requirement, of one of perhaps several entries for its name. */
export interface PoetryRequirement {
  /** Normalised. */
  name: string;
  /** Normalised. */
  extras: string[];
  /** PEP 440 specifiers of which one must fit; empty when any version does. */
  specifiers: string[];
  /** Joined from `markers`, `python` and `platform`. */
  marker?: string;
  optional: boolean;
  /** Where it comes from when that is not the index: `git+URL@REV`, a URL, or a path. */
  source?: { url: string } | { path: string };
}

/** `name = value` of a table of dependencies; a list has an entry for each of several cases. */
export function poetryRequirements(
  name: string,
  value: unknown,
  where: string,
): PoetryRequirement[] {
  return [value].flat().map((item) => requirement(name, item, `${where}.${name}`));
}

function requirement(name: string, value: unknown, where: string): PoetryRequirement {
  const table = typeof value === "string" ? { version: value } : value;
  if (typeof table !== "object" || table === null) throw bad(where, "is no requirement");
  const entry = table as Record<string, unknown>;
  const marker = allOf([
    text(entry.markers),
    ...(text(entry.python) === undefined ? [] : [pythonMarker(text(entry.python) ?? "", where)]),
    text(entry.platform) === undefined ? undefined : `sys_platform == "${text(entry.platform)}"`,
  ]);
  const source = sourceOf(entry);
  return {
    name: normaliseName(name),
    extras: Array.isArray(entry.extras)
      ? entry.extras.map((extra) => normaliseName(String(extra)))
      : [],
    specifiers: specifiersOf(text(entry.version) ?? "*", where),
    optional: entry.optional === true,
    ...(marker !== undefined && { marker }),
    ...(source !== undefined && { source }),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

function sourceOf(entry: Record<string, unknown>): PoetryRequirement["source"] {
  const { git, rev, tag, branch, url, path, file, subdirectory } = entry;
  const below = text(subdirectory) === undefined ? "" : `#subdirectory=${text(subdirectory)}`;
  if (typeof git === "string") {
    const at = text(rev) ?? text(tag) ?? text(branch);
    // `git@host:path` is how SSH is written for Git, and no URL.
    const address = git.replace(/^([\w.-]+@[\w.-]+):(?!\/\/)/, "ssh://$1/");
    return { url: `git+${address}${at === undefined ? "" : `@${at}`}${below}` };
  }
  if (typeof url === "string") return { url: `${url}${below}` };
  const local = text(path) ?? text(file);
  return local === undefined ? undefined : { path: local };
}

/** The alternatives of a constraint, each as a PEP 440 specifier; none when any version fits. */
export function specifiersOf(constraint: string, where: string): string[] {
  const alternatives = constraint.split(/\s*\|\|?\s*/).map((part) => conjunction(part, where));
  return alternatives.includes("") ? [] : alternatives;
}

const PIECE = /(\^|~=|~|===|==|!=|<=|>=|<|>|=)?\s*(\*|v?\d[A-Za-z0-9.!+*_-]*)/y;

function conjunction(part: string, where: string): string {
  const pieces: string[] = [];
  const text = part.trim();
  for (let at = 0; at < text.length;) {
    PIECE.lastIndex = at;
    const found = PIECE.exec(text);
    if (found === null) throw bad(where, `has ${quoted(part, 100)}, which is no constraint`);
    pieces.push(specifier(found[1] ?? "", found[2] ?? "", where));
    at = PIECE.lastIndex;
    at += /^[\s,]*/.exec(text.slice(at))?.[0].length ?? 0;
  }
  if (pieces.length === 0) throw bad(where, "has an empty constraint");
  return pieces.filter((piece) => piece !== "").join(",");
}

function specifier(operator: string, version: string, where: string): string {
  if (version === "*") return "";
  if (operator === "^") return `>=${version},<${caretBound(version, where)}`;
  if (operator === "~") return `>=${version},<${tildeBound(version, where)}`;
  if (operator === "" || operator === "=") return `==${version}`;
  return `${operator}${version}`;
}

/** `^`: the first number that is not zero may not change. */
function caretBound(version: string, where: string): string {
  const { epoch, numbers } = release(version, where);
  const first = numbers.findIndex((n) => n > 0);
  return epoch + bumped(numbers, first < 0 ? numbers.length - 1 : first);
}

/** `~`: the minor version may not change where one is given. */
function tildeBound(version: string, where: string): string {
  const { epoch, numbers } = release(version, where);
  return epoch + bumped(numbers, Math.min(1, numbers.length - 1));
}

function release(version: string, where: string): { epoch: string; numbers: number[] } {
  const [, epoch = "", release] = /^v?(\d+!)?(\d+(?:\.\d+)*)/.exec(version) ?? [];
  if (release === undefined) throw bad(where, `has ${quoted(version, 100)}, which is no version`);
  return { epoch, numbers: release.split(".").map(Number) };
}

function bumped(numbers: number[], position: number): string {
  return numbers
    .slice(0, position + 1)
    .map((n, i) => (i === position ? n + 1 : n))
    .join(".");
}

/** `python = "^3.8"` as a marker. */
function pythonMarker(constraint: string, where: string): string | undefined {
  const alternatives = specifiersOf(constraint, where).map((part) =>
    part
      .split(",")
      .map((piece) => {
        const [, operator = "==", version = ""] = /^([=!<>~]+)(.*)$/.exec(piece) ?? [];
        const name =
          version.split(".").length > 2 && !version.endsWith("*")
            ? "python_full_version"
            : "python_version";
        return `${name} ${operator} "${version}"`;
      })
      .join(" and "),
  );
  if (alternatives.length === 0) return undefined;
  return alternatives.length === 1
    ? alternatives[0]
    : alternatives.map((a) => `(${a})`).join(" or ");
}

function allOf(markers: (string | undefined)[]): string | undefined {
  const given = markers.filter((marker) => marker !== undefined);
  return given.length < 2 ? given[0] : given.map((marker) => `(${marker})`).join(" and ");
}

/** As lines of a requirements file. A constraint with alternatives has no such line: `POETRY_REQUIREMENT`. */
export function requirementLine(item: PoetryRequirement, root: string, where: string): string {
  if (item.specifiers.length > 1) {
    throw bad(
      `${where}.${item.name}`,
      `allows ${item.specifiers.join(" or ")}, which cannot be resolved without the lock`,
      "Pack with --frozen and a poetry.lock, or give one range.",
    );
  }
  const extras = item.extras.length === 0 ? "" : `[${item.extras.join(",")}]`;
  const { source } = item;
  const from =
    source === undefined
      ? (item.specifiers[0] ?? "")
      : ` @ ${"url" in source ? source.url : Bun.pathToFileURL(`${root}/${source.path}`).href}`;
  return `${item.name}${extras}${from}${item.marker === undefined ? "" : ` ; ${item.marker}`}`;
}

function bad(where: string, what: string, hint = "Correct that requirement."): FormatError {
  return new FormatError("POETRY_REQUIREMENT", `${where} ${what}`, {
    hint,
    details: { field: where },
  });
}
