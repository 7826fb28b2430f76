/** Time as an input: every date that sealift writes comes from here, so equal inputs give equal bytes. */
import { UsageError } from "./errors.ts";

/** 1980-01-01T00:00:00Z, the first second that every archive format can say. */
export const DEFAULT_EPOCH = 315532800;

/** The last second of the year 9999: beyond it ISO dates change their form. */
const MAX_EPOCH = 253402300799;

/**
 * `SOURCE_DATE_EPOCH` in seconds, or 315532800 when it is not set or empty.
 * Throws `UsageError("EPOCH")` when it is anything else than a decimal number up to the year 9999.
 */
export function sourceDateEpoch(env: Record<string, string | undefined> = process.env): number {
  const text = env.SOURCE_DATE_EPOCH ?? "";
  if (text === "") return DEFAULT_EPOCH;
  const seconds = Number(text);
  if (!/^\d{1,12}$/.test(text) || seconds > MAX_EPOCH) {
    throw new UsageError("EPOCH", `SOURCE_DATE_EPOCH=${text.slice(0, 40)} is not a time`, {
      hint: "Set it to whole seconds since 1970, for example 315532800, or unset it.",
      details: { actual: text.slice(0, 40) },
    });
  }
  return seconds;
}

/** Seconds since 1970 as `1980-01-01T00:00:00Z`. */
export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}
