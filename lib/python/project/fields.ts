/** Shapes that more than one table of a Python manifest uses. */
import * as v from "valibot";

export const Text = v.pipe(
  v.string(),
  v.check((t) => !t.includes("\0"), "must not hold a NUL character"),
);
export const FullText = v.pipe(Text, v.nonEmpty("must not be empty"));
export const Flag = v.boolean("must be true or false");
