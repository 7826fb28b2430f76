/** Canonical JSON, RFC 8785 (JCS): one byte sequence per value, so that equal documents have equal digests. */
import { FormatError } from "../base/mod.ts";

/**
 * The canonical text of `value`: members sorted by UTF-16 code units, no white space, numbers and strings as
 * ECMAScript writes them. Members that are `undefined` are left out. `FormatError("JSON_VALUE")` for what JSON cannot
 * say: numbers that are not finite, lone surrogates, `undefined` in an array, big integers, functions, cycles.
 */
export function canonicalJson(value: unknown): string {
  return write(value, []);
}

function write(value: unknown, above: object[]): string {
  switch (typeof value) {
    case "string":
      return writeString(value);
    case "number":
      if (!Number.isFinite(value)) throw refusal(`the number ${value}`);
      return JSON.stringify(value);
    case "boolean":
      return String(value);
    case "object":
      return value === null ? "null" : writeObject(value, above);
    default:
      throw refusal(`a value of type ${typeof value}`);
  }
}

function writeString(text: string): string {
  if (!text.isWellFormed()) throw refusal("a lone surrogate");
  return JSON.stringify(text);
}

function writeObject(value: object, above: object[]): string {
  if (above.includes(value)) throw refusal("a cycle");
  const inside = [...above, value];
  if (Array.isArray(value)) return `[${value.map((item) => write(item, inside)).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${writeString(key)}:${write(member, inside)}`);
  return `{${members.join(",")}}`;
}

function refusal(what: string): FormatError {
  return new FormatError("JSON_VALUE", `JSON cannot hold ${what}`, {
    hint: "Use strings, finite numbers, booleans, null, arrays and objects.",
  });
}
