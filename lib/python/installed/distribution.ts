/** An installed distribution as its `.dist-info` folder describes it (core metadata; PEP 376). */
import { parseEntryPoints, parseHeaders } from "../pep/metadata.ts";
import { normaliseName } from "../pep/names.ts";
import { parseRequirement, type Requirement } from "../pep/requirement.ts";

export interface Distribution {
  /** As its author writes it. */
  name: string;
  /** Normalised (PEP 503). */
  key: string;
  version: string;
  license?: string;
  summary?: string;
  requires: Requirement[];
  /** Lines that are no requirements. */
  unread: string[];
  /** Extras it offers, as written. */
  extras: string[];
  /** `console_scripts` and `gui_scripts`: name → object reference. */
  commands: Map<string, string>;
}

/** @param entryPoints text of entry_points.txt. Throws `FormatError("WHEEL_ENTRY_POINTS")` */
export function readDistribution(
  metadata: string,
  file: string,
  entryPoints?: string,
): Distribution {
  const fields = parseHeaders(metadata);
  const first = (name: string) => fields.get(name)?.[0]?.trim() || undefined;
  const lines = fields.get("requires-dist") ?? [];
  const requires = lines.map((line) => parseRequirement(line));
  const groups = entryPoints === undefined ? undefined : parseEntryPoints(entryPoints, file);
  const license = licenseOf(fields);
  const summary = first("summary");
  const name = first("name") ?? file.replace(/^.*\//s, "").replace(/-.*$/s, "");
  return {
    name,
    key: normaliseName(name),
    version: first("version") ?? "",
    ...(license !== undefined && { license }),
    ...(summary !== undefined && { summary }),
    requires: requires.filter((one) => one !== undefined),
    unread: lines.filter((_, i) => requires[i] === undefined),
    extras: fields.get("provides-extra") ?? [],
    commands: new Map([
      ...(groups?.get("console_scripts") ?? []),
      ...(groups?.get("gui_scripts") ?? []),
    ]),
  };
}

const MAX_LICENSE = 80;

/** The SPDX expression (PEP 639), else the free text when it is short, else what the classifiers name. */
function licenseOf(fields: Map<string, string[]>): string | undefined {
  const expression = fields.get("license-expression")?.[0]?.trim();
  if (expression) return expression.slice(0, MAX_LICENSE);
  const text = fields.get("license")?.[0]?.trim() ?? "";
  // Some put the whole licence there.
  if (text !== "" && text !== "UNKNOWN" && !text.includes("\n") && text.length <= MAX_LICENSE)
    return text;
  const named = (fields.get("classifier") ?? [])
    .filter((line) => line.startsWith("License ::"))
    .map((line) => line.slice(line.lastIndexOf("::") + 2).trim())
    .filter((name) => name !== "OSI Approved");
  return named.length === 0 ? undefined : named.join(", ").slice(0, MAX_LICENSE);
}
