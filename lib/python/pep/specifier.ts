/** PEP 440 questions that sealift asks; the answers are those of `@renovatebot/pep440`, a port of `packaging`. */
import { satisfies, valid } from "@renovatebot/pep440";

/** Whether a text is a version at all. */
export function isVersion(text: string): boolean {
  return valid(text.trim()) !== null;
}

/** Whether the Python `version` fits `requires-python`. A malformed specifier fits nothing. */
export function satisfiesPython(version: string, requires: string): boolean {
  if (requires.trim() === "") return true;
  // A pre-release of Python is meant when it is the one at hand.
  return satisfies(version, requires, { prereleases: true });
}
