/**
 * Names that come out of an archive or a manifest (format.md section 6).
 *
 * Every such name passes through `checkArchivePath` before it touches the file system. It refuses and never repairs
 * what could leave the root; it only drops `.` parts and repeated or trailing slashes. The check is lexical:
 * whoever writes files must also make sure that no parent is a symbolic link.
 */
import { join } from "node:path";

import { FormatError } from "./errors.ts";
import { quoted } from "./text.ts";

/** A name in an archive is at most this many bytes of UTF-8. */
export const MAX_NAME_BYTES = 4096;

/** The launchers keep their own state here; no package may write below it. */
export const RESERVED_FOLDER = ".sealift";

export interface PathRules {
  /** Also refuse what Windows reserves. Default: whether this is Windows. */
  windows?: boolean;
  /** The file that the name stands in, for the message. */
  of?: string;
}

const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?: *\..*)?$/i;
const WINDOWS_CHARACTER = /[\u0000-\u001f<>:"|?*]/;

/**
 * The relative path that `name` stands for: parts joined with `/`, and `""` for the root itself.
 * Throws `FormatError`: `PATH_EMPTY`, `PATH_LENGTH`, `PATH_RESERVED` (below `.sealift`), or `PATH_ESCAPE` for everything that
 * could leave the root (absolute, drive letter, `..`, NUL, backslash, a name that Windows reserves).
 */
export function checkArchivePath(name: string, rules: PathRules = {}): string {
  const refusal = (code: string, what: string) => refused(code, name, what, rules.of);
  if (name === "") throw refusal("PATH_EMPTY", "is empty");
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw refusal("PATH_LENGTH", `is longer than ${MAX_NAME_BYTES} bytes`);
  }
  if (name.includes("\0")) throw refusal("PATH_ESCAPE", "holds a NUL character");
  if (name.includes("\\")) throw refusal("PATH_ESCAPE", "holds a backslash");
  if (name.startsWith("/")) throw refusal("PATH_ESCAPE", "is absolute");

  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (/^[A-Za-z]:/.test(parts[0] ?? "")) {
    throw refusal("PATH_ESCAPE", "begins with a drive letter");
  }
  const windows = rules.windows ?? process.platform === "win32";
  for (const part of parts) {
    if (part === "..") throw refusal("PATH_ESCAPE", "holds a `..` part");
    if (windows && isReservedOnWindows(part)) {
      throw refusal("PATH_ESCAPE", `holds the part ${quoted(part)}, which Windows reserves`);
    }
  }
  // Folded, because a file system that ignores case would put `.Sealift/ready` in the same place.
  if (parts[0]?.toLowerCase() === RESERVED_FOLDER) {
    throw refusal("PATH_RESERVED", `lies in ${RESERVED_FOLDER}, which belongs to the launcher`);
  }
  return parts.join("/");
}

/** `root` and the checked `name` joined with the separator of this system; the same errors as `checkArchivePath`. */
export function confine(root: string, name: string, rules: PathRules = {}): string {
  return join(root, checkArchivePath(name, rules));
}

/** Whether Windows would open something else than a plain file of that name: devices, streams, trimmed endings. */
function isReservedOnWindows(part: string): boolean {
  return WINDOWS_DEVICE.test(part) || WINDOWS_CHARACTER.test(part) || /[. ]$/.test(part);
}

function refused(code: string, name: string, what: string, of?: string): FormatError {
  const subject = of === undefined ? "The path" : `${of}: the path`;
  return new FormatError(code, `${subject} ${quoted(name)} ${what}`, {
    hint: "Paths are relative, with `/` between parts, and stay inside their folder.",
    details: { path: name.slice(0, 256) },
  });
}
