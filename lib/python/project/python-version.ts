/**
 * `.python-version`: the file in which a project names its Python for pyenv and uv, in its folder or in one above. The nearest counts, as
 * these tools have it. One version per line, the best first; blank lines and comments do not count.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

import { FormatError, ioError, quoted } from "../../base/mod.ts";

/** pyenv lists a version per line; a file beyond this size is none. */
const MAX_BYTES = 64 << 10;

export interface VersionFile {
  path: string;
  /** `3.12`, `3.12.4`; best first, at least one. */
  versions: string[];
}

/** The nearest file above `folder` that names a version. `FormatError("PYTHON_VERSION_FILE")` names the file and the line. */
export function findVersionFile(folder: string): VersionFile | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, ".python-version");
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) {
      const versions = readVersions(path);
      if (versions.length > 0) return { path, versions };
    }
    if (dirname(at) === at) return undefined;
  }
}

function readVersions(path: string): string[] {
  return text(path)
    .split(/\r\n|\r|\n/)
    .flatMap((line, i) => {
      const word = line.replace(/#.*/, "").trim();
      if (word === "" || word === "system") return [];
      // uv also writes an implementation in front.
      const version = /^(?:(?:cpython|python)[@-]?)?(3(?:\.\d+){0,2})$/i.exec(word)?.[1];
      if (version !== undefined) return [version];
      throw bad(path, `${path}:${i + 1}: ${quoted(word, 60)} is no version of CPython`);
    });
}

function text(path: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_BYTES) throw bad(path, `${path}: is too long`);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw bad(path, `${path}: is not UTF-8 text`);
    throw ioError(error, path);
  }
}

function bad(path: string, message: string): FormatError {
  return new FormatError("PYTHON_VERSION_FILE", message, {
    hint: "Write versions such as 3.12, or name one with `--python` or in [tool.sealift.python].",
    details: { path },
  });
}
