/**
 * The rules of the house as pure functions over file texts; `scripts/check.ts` runs them on the checkout.
 * Architecture: a room of `lib/` imports from lower floors only, and only through the other room's `mod.ts`; no cycles; only
 * `lib/cli` writes to the terminal.
 */
import { posix } from "node:path";

import { codeOnly } from "./code.ts";

export interface SourceFile {
  /** Relative to the repository, with `/`. */
  path: string;
  text: string;
}

export interface Problem {
  path: string;
  line?: number;
  message: string;
}

export const FLOORS: Readonly<Record<string, number>> = {
  base: 0,
  codec: 1,
  trust: 1,
  pspf: 2,
  python: 2,
  launcher: 3,
  workenv: 3,
  evidence: 3,
  pack: 4,
  airgap: 4,
  registry: 4,
  script: 4,
  journal: 4,
  service: 5,
  cli: 6,
};

const MAX_LINES = 400;

/** Every rule over every file. */
export function checkSources(files: readonly SourceFile[]): Problem[] {
  return [
    ...files.flatMap((file) => [
      ...checkLength(file),
      ...checkName(file.path),
      ...checkImports(file),
      ...checkTerminal(file),
    ]),
    ...checkCycles(files),
  ];
}

export function checkLength({ path, text }: SourceFile): Problem[] {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return lines <= MAX_LINES
    ? []
    : [{ path, message: `${lines} lines; the limit is ${MAX_LINES}: split it by idea` }];
}

export function checkName(path: string): Problem[] {
  const problems: Problem[] = [];
  for (const part of path.replace(/\.[^/]*$/, "").split("/")) {
    if (/^_?(?:utils?|helpers?|misc|common|shared)$/i.test(part)) {
      problems.push({ path, message: `\`${part}\` says nothing: name it by what it is` });
    }
  }
  const base = posix.basename(path);
  if (path.endsWith(".ts") && !/^_?[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.d)?\.ts$/.test(base)) {
    problems.push({ path, message: "file names are one lower-case word, or several with dashes" });
  }
  return problems;
}

/** Floors and faces. */
export function checkImports(file: SourceFile): Problem[] {
  const from = roomOf(file.path);
  const problems: Problem[] = [];
  for (const { specifier, line } of importsOf(file.text)) {
    if (!specifier.startsWith(".")) continue;
    const target = resolve(file.path, specifier);
    const to = roomOf(target);
    const report = (message: string) => problems.push({ path: file.path, line, message });
    if (file.path === "main.ts" && target !== "lib/cli/mod.ts")
      report("main.ts imports lib/cli/mod.ts and nothing else");
    if (from === undefined) continue;
    if (to === undefined) {
      // JSON is data that the program carries, such as the conformance cases.
      if (/^(?:scripts|test|main\.ts)/.test(target) && !target.endsWith(".json"))
        report(`lib does not know ${target}`);
      continue;
    }
    if (from === to) continue;
    const [own, other] = [FLOORS[from], FLOORS[to]];
    if (own === undefined || other === undefined) {
      report(`the room ${own === undefined ? from : to} has no floor: add it to scripts/rules.ts`);
    } else if (other >= own) {
      report(
        `${from} (floor ${own}) may not import ${to} (floor ${other}): move it down or pass it in`,
      );
    }
    if (target !== `lib/${to}/mod.ts`) report(`import ${to} through its face, lib/${to}/mod.ts`);
  }
  return problems;
}

/** Who may talk to the terminal, and how. */
export function checkTerminal({ path, text }: SourceFile): Problem[] {
  if (!path.startsWith("lib/") || path.endsWith(".d.ts")) return [];
  const cli = path.startsWith("lib/cli/");
  const rules: [pattern: RegExp, message: string][] = [
    [/\bprocess\.exit\(/, "process.exit loses output: set process.exitCode, in lib/cli"],
    [
      /\bprocess\.(?:stdout|stderr)\b/,
      "process.stdout and process.stderr cost 6 ms: use lib/cli/output.ts",
    ],
  ];
  if (!cli) {
    rules.push(
      [/\bconsole\./, "only lib/cli prints: return a value or use the progress of the context"],
      [/\bBun\.(?:stdout|stderr)\b/, "only lib/cli prints: return a value"],
      [/\bprocess\.(?:exitCode|argv|stdin)\b/, "only lib/cli knows the command line"],
      [/\bisTTY\b|\bisatty\b/, "only lib/cli knows the terminal"],
    );
  }
  const code = codeOnly(text);
  return rules.filter(([pattern]) => pattern.test(code)).map(([, message]) => ({ path, message }));
}

/** Cycles of modules in `lib/` that load each other. Types and lazy imports do not load. */
export function checkCycles(files: readonly SourceFile[]): Problem[] {
  const graph = new Map<string, string[]>();
  for (const { path, text } of files) {
    if (!path.startsWith("lib/") || path.endsWith(".d.ts")) continue;
    const loaded = importsOf(text).filter(
      ({ specifier, loads }) => loads && specifier.startsWith("."),
    );
    graph.set(
      path,
      loaded.map(({ specifier }) => resolve(path, specifier)),
    );
  }
  const problems: Problem[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      const cycle = [...trail.slice(trail.indexOf(path)), path];
      problems.push({ path, message: `these load each other: ${cycle.join(" → ")}` });
      return;
    }
    state.set(path, "open");
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    state.set(path, "done");
  };
  for (const path of graph.keys()) visit(path, []);
  return problems;
}

/** Names and hashes only, so that any mirror can serve the packages. */
export function checkLockFile(path: string, text: string): Problem[] {
  return text.includes('"resolved":')
    ? [{ path, message: "holds addresses of a registry: remove the `resolved` keys" }]
    : [];
}

/** Every dependency of the three manifests stands in the table of `docs/explanation/dependencies.md` with its exact version. */
export function checkDependencies(
  dependencies: Readonly<Record<string, string>>,
  table: string,
): Problem[] {
  const path = "docs/explanation/dependencies.md";
  const rows = table
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return Object.entries(dependencies).flatMap(([name, version]): Problem[] => {
    if (!/^v?\d+\.\d+\.\d+/.test(version))
      return [{ path, message: `${name}: ${version} is no exact version` }];
    const found = rows.some((cells) => cells.includes(`\`${name}\``) && cells.includes(version));
    return found ? [] : [{ path, message: `no row for ${name} ${version}` }];
  });
}

/** Names and versions of package.json. */
export function npmDependencies(text: string): Record<string, string> {
  const manifest = JSON.parse(text);
  return { ...manifest.dependencies, ...manifest.devDependencies };
}

/** Names and versions of Cargo.toml, without crates of our own; `=1.2.3` is an exact one there. */
export function cargoDependencies(text: string): Record<string, string> {
  const manifest = Bun.TOML.parse(text) as {
    dependencies?: Record<string, string | { version?: string; path?: string }>;
  };
  return Object.fromEntries(
    Object.entries(manifest.dependencies ?? {})
      .filter(([, value]) => typeof value === "string" || value.path === undefined)
      .map(([name, value]) => {
        const version = (typeof value === "string" ? value : value.version) ?? "";
        return [name, version.startsWith("=") ? version.slice(1) : `"${version}"`];
      }),
  );
}

/** Names and versions of the direct requirements in go.mod. */
export function goDependencies(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => !line.includes("// indirect"));
  const pairs = lines
    .map((line) => /^(?:require)?\s+(\S+\.\S+\/\S+) (v\S+)/.exec(line))
    .filter((match) => match !== null);
  return Object.fromEntries(pairs.map(([, name = "", version = ""]) => [name, version]));
}

interface Import {
  specifier: string;
  line: number;
  /** Whether importing it runs the module now: no type import, no `import()`. */
  loads: boolean;
}

/** Import and export statements (each begins a line) and `import("…")` with a literal. */
export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const lineAt = (index: number) => text.slice(0, index).split("\n").length;
  const statement = /^(import|export)\b(\s+type\b)?([^;"'`(]*?)(?:from\s*)?"([^"\n]+)"/gm;
  for (const match of text.matchAll(statement)) {
    const [, keyword, type, names = "", specifier = ""] = match;
    if (keyword === "export" && !/[*}]\s*(?:as\s+\w+\s*)?$/.test(names.trim())) continue;
    found.push({
      specifier,
      line: lineAt(match.index),
      loads: type === undefined && !onlyTypes(names),
    });
  }
  for (const match of text.matchAll(/\bimport\(\s*"([^"\n]+)"/g)) {
    found.push({ specifier: match[1] ?? "", line: lineAt(match.index), loads: false });
  }
  return found;
}

/** `{ type A, type B }` */
function onlyTypes(names: string): boolean {
  const list = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1];
  if (list === undefined) return false;
  const parts = list
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  return parts.length > 0 && parts.every((part) => part.startsWith("type "));
}

function roomOf(path: string): string | undefined {
  return /^lib\/([^/]+)\//.exec(path)?.[1];
}

function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier);
}
