/**
 * In which line of a TOML file a key stands. `Bun.TOML` keeps no positions, so this scans headers and keys on its own;
 * it only serves messages: a key inside an inline table is found by the line of the table.
 */

/** Steps into a document: names of keys, positions in arrays. */
export type KeyPath = readonly (string | number)[];

/** Line number, counted from 1, of the longest part of `path` that the text holds. */
export function lineOfKey(text: string, path: KeyPath): number | undefined {
  const lines = keyLines(text);
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(path.slice(0, length).join("\0"));
    if (line !== undefined) return line;
  }
  return undefined;
}

/** The line that stops the text from being TOML: the first from which on no beginning of the text can be parsed. */
export function lineOfSyntaxError(text: string): number | undefined {
  const lines = text.split("\n");
  let line = lines.length;
  while (line > 1 && !parses(lines.slice(0, line - 1).join("\n"))) line--;
  return parses(text) ? undefined : line;
}

function parses(text: string): boolean {
  try {
    Bun.TOML.parse(text);
    return true;
  } catch {
    return false;
  }
}

function keyLines(text: string): Map<string, number> {
  const found = new Map<string, number>();
  const counts = new Map<string, number>();
  let table: (string | number)[] = [];
  let closing: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (closing !== undefined) {
      if (line.includes(closing)) closing = undefined;
      continue;
    }
    const header = /^\s*(\[\[?)([^\]]+)\]/.exec(line);
    if (header) {
      table = enterTable(keyParts(header[2] ?? ""), header[1] === "[[", counts);
      note(found, table, index + 1);
      continue;
    }
    const key =
      /^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=\s*(.*)/.exec(
        line,
      );
    if (!key) continue;
    note(found, [...table, ...keyParts(key[1] ?? "")], index + 1);
    closing = openString(key[2] ?? "");
  }
  return found;
}

function note(found: Map<string, number>, path: KeyPath, line: number): void {
  for (let length = 1; length <= path.length; length++) {
    const key = path.slice(0, length).join("\0");
    if (!found.has(key)) found.set(key, line);
  }
}

/** The path a header stands for: `[[slots]]` is the next element, `[slots.x]` means the last one. */
function enterTable(
  parts: string[],
  isArray: boolean,
  counts: Map<string, number>,
): (string | number)[] {
  const path: (string | number)[] = [];
  for (const [position, part] of parts.entries()) {
    path.push(part);
    const name = path.join("\0");
    const last = position === parts.length - 1;
    if (last && isArray) counts.set(name, (counts.get(name) ?? -1) + 1);
    const element = counts.get(name);
    if (element !== undefined) path.push(element);
  }
  return path;
}

function keyParts(text: string): string[] {
  const parts = text.match(/"[^"]*"|'[^']*'|[^.\s]+/g) ?? [];
  return parts.map((part) => (/^["']/.test(part) ? part.slice(1, -1) : part));
}

/** The delimiter that a multi-line string beginning in this value waits for. */
function openString(value: string): string | undefined {
  for (const delimiter of ['"""', "'''"]) {
    if (value.startsWith(delimiter) && !value.slice(3).includes(delimiter)) return delimiter;
  }
  return undefined;
}
