/**
 * Errors of the operating system in our words, and bounded reading of small files.
 */
import { open } from "node:fs/promises";

import { EnvironmentError, FormatError } from "./errors.ts";

interface Reason {
  code: string;
  text: string;
  hint: string;
}

const REASONS: Record<string, Reason> = {
  ENOENT: { code: "FILE_MISSING", text: "does not exist", hint: "Check the path." },
  EEXIST: { code: "FILE_EXISTS", text: "exists already", hint: "Use `--force` to replace it." },
  EACCES: { code: "PERMISSION", text: "permission denied", hint: "Check its owner and mode." },
  EPERM: { code: "PERMISSION", text: "operation not permitted", hint: "Check its owner and mode." },
  EROFS: {
    code: "READ_ONLY",
    text: "the file system is read-only",
    hint: "Choose another folder.",
  },
  ENOSPC: { code: "DISK_FULL", text: "no space left on the disk", hint: "Free some space." },
  EDQUOT: { code: "DISK_FULL", text: "the disk quota is used up", hint: "Free some space." },
  EISDIR: { code: "IS_FOLDER", text: "is a folder", hint: "Name a file." },
  ENOTDIR: { code: "NOT_FOLDER", text: "is not a folder", hint: "Check the path." },
  ENOTEMPTY: { code: "NOT_EMPTY", text: "is not empty", hint: "Choose an empty folder." },
  ELOOP: { code: "LINK_LOOP", text: "too many symbolic links", hint: "Check the path." },
  EMFILE: { code: "TOO_MANY_FILES", text: "too many open files", hint: "Raise `ulimit -n`." },
  ENAMETOOLONG: {
    code: "NAME_LENGTH",
    text: "the name is too long",
    hint: "Choose a shorter path.",
  },
};

/** Whether `error` came from a system call, with an `errno` name such as `ENOENT` in `code`. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

/**
 * A failed system call as an `EnvironmentError` that names the path. Errors that are ours, or no system errors,
 * come back unchanged, so `catch (e) { throw ioError(e, path) }` is always right.
 */
export function ioError(error: unknown, path?: string): unknown {
  if (!isSystemError(error)) return error;
  const file = path ?? failedPath(error);
  const reason = REASONS[error.code ?? ""];
  const text = reason?.text ?? `${error.syscall} failed (${error.code})`;
  return new EnvironmentError(reason?.code ?? "IO", file === "" ? text : `${file}: ${text}`, {
    hint: reason?.hint ?? "Check the file system and its permissions.",
    details: { path: file, errno: error.code, syscall: error.syscall },
    cause: error,
  });
}

/** The path that the reason is about: a copy that finds no space fails at its destination. */
function failedPath(error: NodeJS.ErrnoException & { dest?: string }): string {
  const atDestination = ["ENOSPC", "EDQUOT", "EROFS", "EEXIST"].includes(error.code ?? "");
  return (atDestination ? error.dest : undefined) ?? error.path ?? "";
}

/**
 * The bytes of a regular file of at most `max` bytes. `EnvironmentError` when it cannot be read,
 * `FormatError("FILE_TOO_LARGE")` when it is larger; never allocates more than `max`.
 */
export async function readFileBounded(path: string, max: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, "r");
    const info = await file.stat();
    if (info.isDirectory())
      throw new EnvironmentError("IS_FOLDER", `${path}: is a folder`, { hint: "Name a file." });
    if (info.isFile() && info.size > max) throw tooLarge(path, max);
    return await readAtMost(file, path, info.isFile() ? info.size : 0, max);
  } catch (error) {
    throw ioError(error, path);
  }
}

/** Reads until the end, because the size of a pipe or of a file in /proc says nothing. */
async function readAtMost(
  file: Awaited<ReturnType<typeof open>>,
  path: string,
  expected: number,
  max: number,
): Promise<Uint8Array> {
  let buffer = new Uint8Array(Math.min(max, Math.max(expected, 4096)) + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > max) throw tooLarge(path, max);
    if (length === buffer.length) {
      const larger = new Uint8Array(Math.min(max + 1, buffer.length * 2));
      larger.set(buffer);
      buffer = larger;
    }
  }
}

function tooLarge(path: string, max: number): FormatError {
  return new FormatError("FILE_TOO_LARGE", `${path}: is larger than ${max} bytes`, {
    hint: "Check that this is the file you meant.",
    details: { path, max },
  });
}
