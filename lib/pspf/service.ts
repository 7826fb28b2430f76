/** `runtime.service` of the signed JSON (format.md section 3): the package's program is a service that a supervisor keeps up. */
import * as v from "valibot";

const DAY_S = 86_400;

function whole(least: number, most: number) {
  const text = `must be a whole number from ${least} to ${most}`;
  return v.pipe(v.number(), v.integer(text), v.minValue(least, text), v.maxValue(most, text));
}

const Port = whole(1, 65_535);

/** What is not there has the launcher's default, which stands behind each key. */
export const serviceSchema = v.strictObject({
  /** None. */
  port: v.optional(Port),
  /** `on-failure`. */
  restart: v.optional(v.picklist(["on-failure", "always", "no"])),
  /** 10 seconds. */
  stop_timeout: v.optional(whole(1, DAY_S)),
  /** 30 seconds. */
  start_timeout: v.optional(whole(1, DAY_S)),
  /** 1 second. */
  restart_delay: v.optional(whole(0, DAY_S)),
  /** 10 failures in a row. */
  restart_limit: v.optional(whole(1, DAY_S)),
  /** Entries that are services beside the default command: none. */
  entries: v.optional(v.array(v.string())),
});
export type Service = v.InferOutput<typeof serviceSchema>;
