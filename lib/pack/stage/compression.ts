/** `zstd:19`, `gzip`, `none`: how a slot's bytes are stored, and what the levels mean. */
import { UsageError } from "../../base/mod.ts";
import { checkLevel, type Compression, LEVELS } from "../../codec/mod.ts";

export interface CompressionChoice {
  algorithm: Compression | "none";
  level?: number;
}

/** @throws UsageError `COMPRESSION` that says what is allowed */
export function parseCompression(text: string, level?: number): CompressionChoice {
  const [name = "", suffix, ...rest] = text.trim().toLowerCase().split(":");
  const wanted =
    suffix === undefined ? level : /^\d{1,2}$/.test(suffix) ? Number(suffix) : Number.NaN;
  if (rest.length > 0) throw refusal(text, "has more than one level");
  if (name === "none") {
    if (wanted !== undefined) throw refusal(text, "has a level, and none has no levels");
    return { algorithm: "none" };
  }
  if (!Object.hasOwn(LEVELS, name)) throw refusal(text, "is not known");
  const algorithm = name as Compression;
  return wanted === undefined ? { algorithm } : { algorithm, level: checkLevel(algorithm, wanted) };
}

function refusal(text: string, problem: string): UsageError {
  return new UsageError("COMPRESSION", `The compression "${text}" ${problem}`, {
    hint: "Use none, gzip[:1-9], bzip2[:1-9], xz[:0-9] or zstd[:1-22].",
    details: { compression: text },
  });
}
