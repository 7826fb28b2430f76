/** What is wrong with a manifest, in one sentence that names the file, the line and the key. */
import * as v from "valibot";

import { FormatError, suggest } from "../../base/mod.ts";
import { type KeyPath, lineOfKey } from "./_lines.ts";

export interface ManifestText {
  /** As the user named it, for messages. */
  file: string;
  /** The TOML text, when lines can be told. */
  text?: string;
  /** Where in the document the checked value stands: `["tool", "sealift"]`. */
  at?: KeyPath;
}

/** Checks `value` against `schema`; the first thing that does not fit is a `FormatError("MANIFEST")`. */
export function checkManifest<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: ManifestText,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  // An unknown key first: "name is missing" is only the consequence when `nmae` stands there.
  const issue = result.issues.find(isUnknownKey) ?? result.issues[0];
  const path = issuePath(issue);
  if (isUnknownKey(issue)) throw unknownKey(schema, path, where);
  throw manifestError(where, path, sentence(issue), meantValue(issue));
}

/** An error about one key of a manifest. */
export function manifestError(
  where: ManifestText,
  path: KeyPath,
  problem: string,
  hint = schemaHint(where),
): FormatError {
  const full = [...(where.at ?? []), ...path];
  const line = where.text === undefined ? undefined : lineOfKey(where.text, full);
  const place = line === undefined ? where.file : `${where.file}:${line}`;
  const key = keyText(full);
  return new FormatError("MANIFEST", `${place}: ${key === "" ? "the manifest" : key} ${problem}`, {
    hint,
    details: { file: where.file, key, ...(line !== undefined && { line }) },
  });
}

function schemaHint({ at }: ManifestText): string {
  const name = at?.[0] === "tool" ? "pyproject.toml" : "sealift.toml";
  return `\`sealift schema ${name}\` prints what a manifest may hold.`;
}

/** `slots[1].target` */
export function keyText(path: KeyPath): string {
  return path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join("");
}

function unknownKey(schema: v.GenericSchema, path: KeyPath, where: ManifestText): FormatError {
  const known = knownKeys(schema, path.slice(0, -1));
  const key = String(path.at(-1));
  const meant = suggest(key, known);
  const hint = meant ? `Did you mean \`${meant}\`?` : `Known keys here: ${known.join(", ")}.`;
  return manifestError(where, path, "is not a known key", hint);
}

function isUnknownKey(issue: v.BaseIssue<unknown>): boolean {
  return issue.kind === "schema" && issue.expected === "never";
}

function issuePath(issue: v.BaseIssue<unknown>): (string | number)[] {
  return (issue.path ?? []).map((item) =>
    typeof item.key === "number" ? item.key : String(item.key),
  );
}

function sentence(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== "schema") return issue.message;
  if (isUnion(issue) && !issue.message.startsWith("Invalid")) return issue.message;
  if (issue.received === "undefined") return "is missing";
  if (isChoice(issue)) {
    return `must be one of ${choices(issue).join(", ")}, not ${nameOf(issue.received)}`;
  }
  return `must be ${nameOf(issue.expected ?? "")}, not ${nameOf(issue.received)}`;
}

/** A hint for a value that is nearly right. */
function meantValue(issue: v.BaseIssue<unknown>): string | undefined {
  if (issue.expected === "string" && /^[\d.]+$/.test(issue.received)) return "Write it in quotes.";
  // A number has no neighbours that somebody could have meant.
  if (!isChoice(issue) || !issue.received.startsWith('"')) return undefined;
  const near = suggest(issue.received, choices(issue));
  return near === undefined ? undefined : `Did you mean ${near}?`;
}

/** A value out of a list; the list and the value are in the words of valibot: `("rust" | "go")`, `"rst"`. */
function isChoice(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === "picklist" || issue.type === "literal" || issue.type === "variant";
}

/** One of several types; what their authors say about it is clearer than a list of them. */
function isUnion(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === "union" && issue.received !== "undefined";
}

function choices(issue: v.BaseIssue<unknown>): string[] {
  return (issue.expected ?? "").replaceAll(/[()]/g, "").split(" | ");
}

function nameOf(type: string): string {
  const names: Record<string, string> = {
    string: "text",
    number: "a number",
    boolean: "true or false",
    Object: "a table",
    Array: "an array",
  };
  const name = names[type] ?? type;
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}

type Entries = Record<string, v.GenericSchema>;
interface AnySchema {
  type: string;
  entries?: Entries;
  item?: AnySchema;
  wrapped?: AnySchema;
  value?: AnySchema;
  options?: AnySchema[];
  pipe?: AnySchema[];
}

/** The keys that the table at `path` may have, found by walking the schema. */
function knownKeys(schema: v.GenericSchema, path: KeyPath): string[] {
  let level: AnySchema[] = [schema as unknown as AnySchema];
  for (const part of path) level = level.flatMap(unwrapped).flatMap((s) => step(s, part));
  const keys = level.flatMap(unwrapped).flatMap((s) => Object.keys(s.entries ?? {}));
  return [...new Set(keys)];
}

function unwrapped(schema: AnySchema): AnySchema[] {
  if (schema.wrapped) return unwrapped(schema.wrapped);
  // The variants of a union are tables themselves, not names of a picklist.
  if (schema.type === "variant") return (schema.options ?? []).flatMap(unwrapped);
  return [schema];
}

function step(schema: AnySchema, part: string | number): AnySchema[] {
  if (schema.item) return [schema.item];
  const entry = schema.entries?.[String(part)] as AnySchema | undefined;
  if (entry) return [entry];
  return schema.type === "record" && schema.value ? [schema.value] : [];
}
