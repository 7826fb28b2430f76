/** Where commands that unpack may write without being forced. */
import { lstatSync, readdirSync } from "node:fs";

import { EnvironmentError } from "../base/mod.ts";

/** A folder with files in it is only extracted into when that was said. */
export function refuseFilled(path: string): void {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (info === undefined || (info.isDirectory() && readdirSync(path).length === 0)) return;
  throw new EnvironmentError(
    info.isDirectory() ? "NOT_EMPTY" : "FILE_EXISTS",
    `${path}: ${info.isDirectory() ? "is not empty" : "exists already"}`,
    { hint: "Choose an empty folder, or use `--force`.", details: { path } },
  );
}
