/** PEP 440 questions that sealift asks; the answers are those of `@renovatebot/pep440`, a port of `packaging`. */
import { satisfies, valid, validRange } from "@renovatebot/pep440";

/** Whether a text is a version at all. */
export function isVersion(text: string): boolean {
  return valid(text.trim()) !== null;
}

/** Whether a text is a list of version clauses, or empty. */
export function isSpecifier(text: string): boolean {
  return validRange(withoutEnd(text));
}

/** `packaging` lets a specifier end with a comma. */
function withoutEnd(text: string): string {
  return text.trim().replace(/\s*,$/, "");
}

/** Whether the Python `version` fits `requires-python`. A malformed specifier fits nothing. */
export function satisfiesPython(version: string, requires: string): boolean {
  const range = withoutEnd(requires);
  if (range === "") return true;
  // A pre-release of Python is meant when it is the one at hand.
  return satisfies(version, range, { prereleases: true });
}
