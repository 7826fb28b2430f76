/** JSON exactly as Python's `json.dumps(value, sort_keys=True)` writes it: tools make the fingerprints of their manifests of that text. */

/** @param compact without blanks, as `separators=(",", ":")` */
export function pythonJson(value: unknown, compact = false): string {
  const [comma, colon] = compact ? [",", ":"] : [", ", ": "];
  const write = (item: unknown): string => {
    if (item === null || item === undefined) return "null";
    if (typeof item === "string") return ascii(JSON.stringify(item));
    if (Array.isArray(item)) return `[${item.map(write).join(comma)}]`;
    if (typeof item !== "object") return String(item);
    const entries = Object.entries(item).sort(([a], [b]) => byCodePoint(a, b));
    return `{${entries.map(([key, part]) => ascii(JSON.stringify(key)) + colon + write(part)).join(comma)}}`;
  };
  return write(value);
}

function ascii(text: string): string {
  return text.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Python compares code points; JavaScript's units of UTF-16 put the rare ones first. */
function byCodePoint(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (const [i, x] of left.entries()) {
    const y = right[i];
    if (y === undefined) return 1;
    if (x !== y) return (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0);
  }
  return left.length - right.length;
}
