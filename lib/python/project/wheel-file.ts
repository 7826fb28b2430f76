/** A finished wheel in the place of a project. */
import { basename } from "node:path";

import { parseWheelName } from "../pep/tags.ts";

/** As `[project]`: name and version by the file's name; its metadata says the rest when it is read. `WHEEL_NAME`. */
export function wheelAsProject(file: string): Record<string, unknown> {
  const { name, version } = parseWheelName(basename(file));
  return { name, version, dynamic: ["dependencies", "optional-dependencies", "scripts"] };
}
