/**
 * The small text files inside a wheel's `.dist-info`: METADATA and WHEEL (headers, the core metadata specification),
 * RECORD (CSV, PEP 376 and 627) and entry_points.txt. Pure functions over text; errors are `FormatError`s that name the file.
 */
import { FormatError, quoted } from "../../base/mod.ts";

/** Header fields by lower-case name; the body (the description) is dropped. */
export function parseHeaders(text: string): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  let last: string[] | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (line === "") break;
    if (/^[ \t]/.test(line)) {
      if (last !== undefined) last[last.length - 1] += `\n${line.trim()}`;
      continue;
    }
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    last = fields.get(name) ?? [];
    last.push(line.slice(colon + 1).trim());
    fields.set(name, last);
  }
  return fields;
}

export interface RecordRow {
  path: string;
  /** `sha256` and such, with the digest as hex; absent for RECORD itself and its signatures. */
  hash?: { algorithm: "sha256" | "sha384" | "sha512"; hex: string };
  size?: number;
}

/** Rows of RECORD. `FormatError("WHEEL_RECORD")` for bad CSV, weak hashes, and rows that are there twice. */
export function parseRecord(text: string, file: string): Map<string, RecordRow> {
  const rows = new Map<string, RecordRow>();
  for (const cells of parseCsv(text, file)) {
    if (cells.length === 1 && cells[0] === "") continue;
    const [path = "", hash = "", size = ""] = cells;
    if (cells.length > 3 || path === "") throw badRecord(file, `a row has ${cells.length} cells`);
    if (rows.has(path)) throw badRecord(file, `${path} is listed twice`);
    const row: RecordRow = { path };
    if (hash !== "") row.hash = parseHash(hash, path, file);
    if (size !== "") {
      if (!/^\d{1,15}$/.test(size)) throw badRecord(file, `the size of ${path} is not a number`);
      row.size = Number(size);
    }
    rows.set(path, row);
  }
  return rows;
}

const HASHES = { sha256: 32, sha384: 48, sha512: 64 } as const;

function parseHash(text: string, path: string, file: string): NonNullable<RecordRow["hash"]> {
  const [, algorithm = "", value = ""] = /^([a-z0-9]+)=([A-Za-z0-9_-]+)={0,2}$/.exec(text) ?? [];
  if (!(algorithm in HASHES)) throw badRecord(file, `${path} has no SHA-256 or stronger hash`);
  const known = algorithm as keyof typeof HASHES;
  const digest = Buffer.from(value, "base64url");
  if (digest.length !== HASHES[known]) throw badRecord(file, `the hash of ${path} is malformed`);
  return { algorithm: known, hex: digest.toString("hex") };
}

/** CSV as Python's `csv` module writes it: quotes only where needed, `""` inside for a quote. */
function* parseCsv(text: string, file: string): Generator<string[]> {
  let cells: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell: string;
    if (text[at] === '"') {
      const match = /"((?:[^"]|"")*)"/y;
      match.lastIndex = at;
      const quoted = match.exec(text);
      if (quoted === null) throw badRecord(file, "a quoted cell does not end");
      cell = (quoted[1] ?? "").replaceAll('""', '"');
      at = match.lastIndex;
    } else {
      let end = at;
      while (end < text.length && !",\r\n".includes(text[end] ?? "")) end++;
      cell = text.slice(at, end);
      at = end;
    }
    cells.push(cell);
    const separator = text.startsWith("\r\n", at) ? "\r\n" : text.slice(at, at + 1);
    at += separator.length;
    if (separator === ",") {
      if (at === text.length) cells.push("");
      continue;
    }
    if (separator !== "" && separator !== "\n" && separator !== "\r\n") {
      throw badRecord(file, "something follows a quoted cell");
    }
    yield cells;
    cells = [];
  }
  if (cells.length > 0) yield cells;
}

/** One cell as Python's `csv` module would write it. */
export function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Groups of entry_points.txt: group → name → object reference. Case matters; comments begin with `#` or `;`. */
export function parseEntryPoints(text: string, file: string): Map<string, Map<string, string>> {
  const groups = new Map<string, Map<string, string>>();
  let group: Map<string, string> | undefined;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const section = /^\[([^\]]+)\]$/.exec(line)?.[1]?.trim();
    if (section !== undefined) {
      group = groups.get(section) ?? new Map<string, string>();
      groups.set(section, group);
      continue;
    }
    const equals = line.indexOf("=");
    if (group === undefined || equals <= 0) {
      throw new FormatError(
        "WHEEL_ENTRY_POINTS",
        `${file}: the line ${quoted(line)} is no entry point`,
        {
          hint: "Each line is `name = module:function` below a [group].",
          details: { file },
        },
      );
    }
    group.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  return groups;
}

function badRecord(file: string, what: string): FormatError {
  return new FormatError("WHEEL_RECORD", `${file}: RECORD: ${what}`, {
    hint: "The wheel was changed after it was built or built by a broken tool; ask its publisher.",
    details: { file },
  });
}
