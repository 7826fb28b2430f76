/** A lock as it lies on disk: read within bounds, UTF-8, parsed, and of the shape that is expected. */
import * as v from "valibot";

import { readFileBounded } from "../../base/mod.ts";
import { lockError } from "./locked.ts";

/** The largest lock that is read; real ones are below 10 MB. */
const MAX_LOCK = 64 << 20;

/** `LOCK_TEXT` when it is no UTF-8 text. */
export async function readLockText(path: string): Promise<string> {
  const bytes = await readFileBounded(path, MAX_LOCK);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw lockError(path, "LOCK_TEXT", "it is not UTF-8 text");
  }
}

/** TOML or JSON of the given shape. `LOCK_TEXT`, and `LOCK_FIELD` names what does not fit. */
export function parseLockText<S extends v.GenericSchema>(
  schema: S,
  text: string,
  file: string,
  language: "TOML" | "JSON" = "TOML",
): v.InferOutput<S> {
  const document = parsed(text, file, language);
  const result = v.safeParse(schema, document);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const at = v.getDotPath(issue) ?? "the document";
  throw lockError(file, "LOCK_FIELD", `${at}: expected ${issue.expected ?? "another type"}`);
}

/** Any TOML table. */
export function parseToml(text: string, file: string): Record<string, unknown> {
  return parsed(text, file, "TOML") as Record<string, unknown>;
}

function parsed(text: string, file: string, language: "TOML" | "JSON"): unknown {
  try {
    return language === "TOML" ? Bun.TOML.parse(text) : JSON.parse(text);
  } catch (cause) {
    const detail = (cause as Error).message.replace(/^TOML Parse error: /, "");
    throw lockError(file, "LOCK_TEXT", `it is not ${language} (${detail})`);
  }
}
