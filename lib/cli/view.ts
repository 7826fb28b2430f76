/** What a renderer may use: colours that are off where nobody sees them, aligned tables, sizes for people. */

type Paint = (text: string) => string;

export interface Style {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
  cyan: Paint;
}

export interface View {
  style: Style;
  /** `--verbose`: say more. */
  verbose: boolean;
  /** Rows with aligned columns, two spaces between; the last column is not padded. */
  table(rows: readonly (readonly string[])[]): string;
  /** Bytes as `1,234 B`, `12.3 KiB`, `45.6 MiB`. */
  size(bytes: number): string;
}

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const satisfies Record<keyof Style, readonly [number, number]>;

export function makeView(options: { color: boolean; verbose: boolean }): View {
  return { style: makeStyle(options.color), verbose: options.verbose, table, size };
}

export function makeStyle(color: boolean): Style {
  const paint = ([on, off]: readonly [number, number]): Paint =>
    color ? (text) => `\u001b[${on}m${text}\u001b[${off}m` : (text) => text;
  return {
    bold: paint(CODES.bold),
    dim: paint(CODES.dim),
    red: paint(CODES.red),
    green: paint(CODES.green),
    yellow: paint(CODES.yellow),
    cyan: paint(CODES.cyan),
  };
}

function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) {
      widths[i] = Math.max(widths[i] ?? 0, Bun.stringWidth(cell));
    }
  }
  return rows
    .map((row) => row.map((cell, i) => padded(cell, i === row.length - 1 ? 0 : (widths[i] ?? 0))))
    .map((cells) => cells.join("  ").trimEnd())
    .join("\n");
}

function padded(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes.toLocaleString("en-US")} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** `1 file`, `2 files` */
export function counted(n: number, one: string): string {
  return `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;
}

/**
 * Text from a file or a server as it may go to a terminal: control characters, which could move the cursor or hide words,
 * are shown as `\u{1b}`. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`,
  );
}
