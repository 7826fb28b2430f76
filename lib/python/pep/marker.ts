/**
 * Environment markers (PEP 508, with the `extras` and `dependency_groups` sets of PEP 751), evaluated for a target and not for this machine.
 * A recursive-descent parser over the grammar; depth and length are bounded, and a malformed marker is an error, never false.
 */
import { satisfies } from "@renovatebot/pep440";

import { FormatError, quoted } from "../../base/mod.ts";

export interface MarkerEnvironment {
  os_name: string;
  sys_platform: string;
  platform_machine: string;
  platform_python_implementation: string;
  platform_release: string;
  platform_system: string;
  platform_version: string;
  python_version: string;
  python_full_version: string;
  implementation_name: string;
  implementation_version: string;
  extras: string[];
  dependency_groups: string[];
}

const VERSIONS = new Set([
  "python_version",
  "python_full_version",
  "implementation_version",
  "platform_release",
]);
const SETS = new Set(["extras", "dependency_groups"]);
const MAX_LENGTH = 8192;
const MAX_DEPTH = 64;

type Value = { text: string } | { variable: keyof MarkerEnvironment };

/** Whether `marker` holds in `environment`. `FormatError("MARKER")` names `where`. */
export function evaluateMarker(
  marker: string,
  environment: MarkerEnvironment,
  where: string,
): boolean {
  return new MarkerReader(marker, environment, where).evaluate();
}

class MarkerReader {
  readonly #tokens: string[];
  #at = 0;
  #depth = 0;

  constructor(
    private readonly marker: string,
    private readonly environment: MarkerEnvironment,
    private readonly where: string,
  ) {
    this.#tokens = this.#split();
  }

  evaluate(): boolean {
    const result = this.#or();
    if (this.#at !== this.#tokens.length) throw this.#bad();
    return result;
  }

  #split(): string[] {
    if (this.marker.length > MAX_LENGTH) throw this.#bad();
    const token = /\s*("[^"]*"|'[^']*'|\(|\)|===|~=|==|!=|<=|>=|<|>|[A-Za-z_][A-Za-z0-9_.]*)\s*/y;
    const tokens: string[] = [];
    while (token.lastIndex < this.marker.length) {
      const found = token.exec(this.marker);
      if (found === null) throw this.#bad();
      tokens.push(found[1] ?? "");
    }
    return tokens;
  }

  // Both sides are always read, so that a malformed right side is found whatever the left one says.
  #or(): boolean {
    let result = this.#and();
    while (this.#take("or")) result = this.#and() || result;
    return result;
  }

  #and(): boolean {
    let result = this.#atom();
    while (this.#take("and")) result = this.#atom() && result;
    return result;
  }

  #atom(): boolean {
    if (!this.#take("(")) return this.#comparison();
    if (++this.#depth > MAX_DEPTH) throw this.#bad();
    const result = this.#or();
    if (!this.#take(")")) throw this.#bad();
    this.#depth--;
    return result;
  }

  #comparison(): boolean {
    const left = this.#value();
    const operator = this.#operator();
    const right = this.#value();
    return this.#compare(left, operator, right);
  }

  #operator(): string {
    if (this.#take("not")) {
      if (this.#take("in")) return "not in";
      throw this.#bad();
    }
    const token = this.#tokens[this.#at++] ?? "";
    if (token === "in" || /^[=!<>~]/.test(token)) return token;
    throw this.#bad();
  }

  #value(): Value {
    const token = this.#tokens[this.#at++] ?? "";
    if (token.startsWith('"') || token.startsWith("'")) return { text: token.slice(1, -1) };
    const name =
      token === "extra"
        ? "extras"
        : token.replace(/^os\.name$/, "os_name").replace(/^sys\.platform$/, "sys_platform");
    if (!Object.hasOwn(this.environment, name)) throw this.#bad();
    return { variable: name as keyof MarkerEnvironment };
  }

  #compare(left: Value, operator: string, right: Value): boolean {
    const set = [left, right].find((side) => "variable" in side && SETS.has(side.variable));
    if (set !== undefined) return this.#compareSet(set, set === left ? right : left, operator);
    const [a, b] = [this.#text(left), this.#text(right)];
    if (operator === "in") return b.includes(a);
    if (operator === "not in") return !b.includes(a);
    const version = [left, right].some((side) => "variable" in side && VERSIONS.has(side.variable));
    if (version) {
      const answer = compareVersions(left, a, operator, b);
      if (answer !== undefined) return answer;
    }
    if (operator === "==" || operator === "===") return a === b;
    if (operator === "!=") return a !== b;
    if (operator === "<=" || operator === ">=") return operator === "<=" ? a <= b : a >= b;
    if (operator === "<" || operator === ">") return operator === "<" ? a < b : a > b;
    throw this.#bad();
  }

  /** `extra == "x"` and `"x" in extras` mean the same. */
  #compareSet(set: Value, other: Value, operator: string): boolean {
    if (!("variable" in set) || !("text" in other)) throw this.#bad();
    const has = (this.environment[set.variable] as string[]).includes(other.text);
    if (operator === "in" || operator === "==") return has;
    if (operator === "not in" || operator === "!=") return !has;
    throw this.#bad();
  }

  #text(value: Value): string {
    return "text" in value ? value.text : (this.environment[value.variable] as string);
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #bad(): FormatError {
    return new FormatError(
      "MARKER",
      `${this.where}: ${quoted(this.marker, 200)} is not an environment marker`,
      {
        hint: "Write it as PEP 508 says, for example: python_version < '3.12' and sys_platform == 'linux'.",
        details: { marker: this.marker.slice(0, 200) },
      },
    );
  }
}

const MIRRORED: Record<string, string> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

/** By PEP 440 where both sides are versions; `undefined` where they are not, then text is compared. */
function compareVersions(left: Value, a: string, operator: string, b: string): boolean | undefined {
  const [version, op, bound] =
    "variable" in left ? [a, operator, b] : [b, MIRRORED[operator] ?? operator, a];
  if (!/^\d+(?:\.\d+)*(?:\.\*)?(?:(?:a|b|rc)\d+)?\+?$/.test(bound)) return undefined;
  return satisfies(version.replace(/\+$/, ""), `${op}${bound}`, { prereleases: true });
}

/** The marker environment of a CPython target. */
export function markerEnvironment(target: {
  version: string;
  minor: [number, number];
  platform: string;
  machine: string;
}): MarkerEnvironment {
  const system =
    { linux: "Linux", darwin: "Darwin", win32: "Windows" }[target.platform] ?? target.platform;
  return {
    os_name: target.platform === "win32" ? "nt" : "posix",
    sys_platform: target.platform,
    platform_machine: target.machine,
    platform_python_implementation: "CPython",
    platform_release: "",
    platform_system: system,
    platform_version: "",
    python_version: target.minor.join("."),
    python_full_version: target.version,
    implementation_name: "cpython",
    implementation_version: target.version,
    extras: [],
    dependency_groups: [],
  };
}
