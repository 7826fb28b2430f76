/**
 * JSON from a package, read strictly (RFC 8259, RFC 7493).
 *
 * `JSON.parse` alone lets duplicate keys pass, and two readers that keep different ones would see two documents under one
 * signature. So the text is walked once before it is parsed: duplicate keys, depth, and strings that are no Unicode.
 */
import { MAX_NESTING } from "./layout.ts";

/** Why a document was refused; the reader adds the file's name. */
export class JsonFault extends Error {}

/** @returns the value of a UTF-8 document. Throws `JsonFault`, with one sentence part as its message. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  walk(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new JsonFault(`it is not JSON: ${(error as Error).message}`);
  }
}

function decode(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (text.startsWith("\ufeff")) throw new JsonFault("it begins with a byte order mark");
    return text;
  } catch (error) {
    if (error instanceof JsonFault) throw error;
    throw new JsonFault("it is not UTF-8");
  }
}

/** One entry per open bracket: the keys of an object so far, or undefined for an array. */
type Frame = { keys: Set<string>; expectKey: boolean } | undefined;

function walk(text: string): void {
  const stack: Frame[] = [];
  for (let i = 0; i < text.length; i++) {
    const frame = stack[stack.length - 1];
    switch (text.charCodeAt(i)) {
      case 0x22: {
        const end = endOfString(text, i);
        visitString(text.slice(i, end + 1), frame);
        i = end;
        break;
      }
      case 0x7b: // {
        stack.push({ keys: new Set(), expectKey: true });
        checkDepth(stack.length);
        break;
      case 0x5b: // [
        stack.push(undefined);
        checkDepth(stack.length);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        stack.pop();
        break;
      case 0x2c: // ,
        if (frame !== undefined) frame.expectKey = true;
        break;
    }
  }
}

function checkDepth(depth: number): void {
  if (depth > MAX_NESTING) throw new JsonFault(`it is nested deeper than ${MAX_NESTING} levels`);
}

/** @returns the index of the closing quote of the string that opens at `start` */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  if (end === -1) throw new JsonFault("a string has no end");
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
  return slashes % 2 === 1;
}

function visitString(literal: string, frame: Frame): void {
  const isKey = frame?.expectKey === true;
  if (!isKey && !literal.includes("\\u")) return;
  const value = unescaped(literal);
  if (!value.isWellFormed()) throw new JsonFault(`the string ${short(literal)} is not Unicode`);
  if (frame === undefined || !isKey) return;
  frame.expectKey = false;
  // Assigning it would change an object's prototype instead of adding a key.
  if (value === "__proto__") throw new JsonFault("the key __proto__ is not allowed");
  if (frame.keys.has(value)) throw new JsonFault(`the key ${short(literal)} stands twice`);
  frame.keys.add(value);
}

/** The text of a string literal: keys are compared as what they mean, so `"a"` equals `"\u0061"`. */
function unescaped(literal: string): string {
  if (!literal.includes("\\")) return literal.slice(1, -1);
  try {
    return JSON.parse(literal) as string;
  } catch {
    throw new JsonFault(`the string ${short(literal)} has a wrong escape`);
  }
}

function short(literal: string): string {
  return literal.length > 80 ? `${literal.slice(0, 80)}…` : literal;
}
