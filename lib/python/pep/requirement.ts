/** One requirement of a distribution (PEP 508): `requests[socks]>=2.22; python_version < "4"`. */
import { satisfies } from "@renovatebot/pep440";

import { normaliseName } from "./names.ts";

export interface Requirement {
  /** Normalised (PEP 503). */
  name: string;
  /** Normalised (PEP 685), sorted. */
  extras: string[];
  /** Version specifier as written, without parentheses; empty when any version does. */
  specifier: string;
  /** Where it comes from when that is a URL. */
  url?: string;
  /** Environment marker as written. */
  marker?: string;
}

const MAX_LENGTH = 16_384;
const NAME = /^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)$/s;

/** `undefined` for what is no requirement: old tools wrote many things there, and a report must still be possible. */
export function parseRequirement(text: string): Requirement | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, name, extras = "", rest = ""] = NAME.exec(text) ?? [];
  if (name === undefined) return undefined;
  const found: Requirement = {
    name: normaliseName(name),
    extras: extraNames(extras),
    specifier: "",
  };
  if (rest.startsWith("@")) return withUrl(found, rest.slice(1).trim());
  const at = rest.indexOf(";");
  const specifier = (at < 0 ? rest : rest.slice(0, at))
    .trim()
    .replace(/^\((.*)\)$/s, "$1")
    .trim();
  if (specifier !== "" && !/^[=!<>~]/.test(specifier)) return undefined;
  return withMarker({ ...found, specifier }, at < 0 ? "" : rest.slice(at + 1));
}

/** One clause of a version specifier, by the grammar of PEP 508. */
const CLAUSE = /^(?:<=|<|!=|===|==|>=|>|~=)\s*[A-Za-z0-9._*+!-]+$/;

/** Whether a text is a requirement by its grammar; whether its versions mean something, the resolver says. */
export function isRequirement(text: string): boolean {
  const found = parseRequirement(text);
  if (found === undefined) return false;
  if (!hasKnownNames(found.marker ?? "")) return false;
  const clauses = found.specifier.split(",").map((clause) => clause.trim());
  return clauses.filter(Boolean).every((clause) => CLAUSE.test(clause));
}

/** What a marker may name: PEP 508 with its operators, PEP 685 and 735, and the names that older tools wrote. */
const MARKER_NAMES = new Set(
  (
    "python_version python_full_version os_name sys_platform platform_release platform_system platform_version platform_machine " +
    "platform_python_implementation implementation_name implementation_version extra extras dependency_groups and or not in " +
    "os.name sys.platform platform.version platform.machine platform.python_implementation python_implementation"
  ).split(" "),
);

function hasKnownNames(marker: string): boolean {
  const bare = marker.replace(/"[^"]*"|'[^']*'/g, " ");
  return (bare.match(/[A-Za-z_][\w.]*/g) ?? []).every((name) => MARKER_NAMES.has(name));
}

/** A URL may hold `;`, so its marker begins after a blank. */
function withUrl(found: Requirement, rest: string): Requirement | undefined {
  const [, url, marker = ""] = /^(\S+)(?:\s+;\s*(.*))?$/s.exec(rest) ?? [];
  return url === undefined ? undefined : withMarker({ ...found, url }, marker);
}

function withMarker(found: Requirement, marker: string): Requirement {
  return marker.trim() === "" ? found : { ...found, marker: marker.trim() };
}

function extraNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  return [...new Set(names.filter(Boolean).map(normaliseName))].sort();
}

/** Whether `version` fits (PEP 440). A malformed specifier fits nothing. */
export function fitsRequirement(version: string, { specifier }: Requirement): boolean {
  return specifier === "" || satisfies(version, specifier, { prereleases: true });
}

/** As one would write it, without the marker: `requests[socks]>=2.22`. */
export function requirementText({ name, extras, specifier, url }: Requirement): string {
  const list = extras.length === 0 ? "" : `[${extras.join(",")}]`;
  return url === undefined ? `${name}${list}${specifier}` : `${name}${list} @ ${url}`;
}
