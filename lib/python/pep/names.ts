/** Names as Python packaging compares them: PEP 503 for projects, PEP 621 and the entry-points specification for objects. */
import { FormatError, quoted } from "../../base/mod.ts";

const PROJECT = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const IDENTIFIERS = /^[\p{ID_Start}_][\p{ID_Continue}]*(?:\.[\p{ID_Start}_][\p{ID_Continue}]*)*$/u;

/** Lower case, runs of `-`, `_` and `.` as one `-` (PEP 503). */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

export function isProjectName(name: string): boolean {
  return PROJECT.test(name);
}

/** Whether wheels and source distributions may be called so: one name on every file system, no separators, no leading dot. */
export function isFileName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}$/.test(name);
}

/** What `module:attr.attr` names. */
export interface ObjectReference {
  module: string;
  /** At least one attribute; the first is imported, the rest are looked up on it. */
  attributes: string[];
}

/**
 * Reads `module:object.attr [extra]`; extras are deprecated and dropped. `FormatError("ENTRY_POINT")` when it is anything
 * else, because the parts become source text of a start script. `where` names the field for the message.
 */
export function parseObjectReference(text: string, where: string): ObjectReference {
  const [module = "", object = "", ...rest] = text
    .replace(/\s*\[[^\]]*\]\s*$/, "")
    .split(":")
    .map((part) => part.trim());
  if (rest.length > 0 || !IDENTIFIERS.test(module) || !IDENTIFIERS.test(object)) {
    throw new FormatError("ENTRY_POINT", `${where}: ${quoted(text)} is not module:function`, {
      hint: 'Write it like "myapp.cli:main".',
      details: { field: where, actual: text },
    });
  }
  return { module, attributes: object.split(".") };
}

/** The interpreter's own names: a command with one of them would stand in its place. */
const INTERPRETER = /^pythonw?(?:\d+(?:\.\d+)*t?)?(?:\.exe)?$/i;

/** A command's name becomes a file in `bin/`: no separators, no leading dot or dash, not that of the interpreter. */
export function checkCommandName(name: string, where: string): string {
  if (INTERPRETER.test(name)) {
    throw new FormatError("COMMAND_NAME", `${where}: ${quoted(name)} is the interpreter's name`, {
      hint: "Rename the command, or leave out the package that brings it.",
      details: { field: where, actual: name },
    });
  }
  if (/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$/.test(name)) return name;
  throw new FormatError("COMMAND_NAME", `${where}: ${quoted(name)} cannot name a command`, {
    hint: "Use letters, digits, `_`, `.`, `+` and `-`, not beginning with `.`, `+` or `-`.",
    details: { field: where, actual: name },
  });
}
