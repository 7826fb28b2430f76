/**
 * What a tree may hold, checked entry by entry (format.md section 6): names confined, no duplicates, no names that are equal when
 * case is folded, nothing below a file or link, links that stay inside. The scanner, the writer and the reader
 * keep the same ledger, so nothing is written that cannot be read.
 */
import { checkArchivePath, FormatError, quoted } from "../base/mod.ts";
import { tarError } from "./_tar.ts";
import { type EntryType, parentOf } from "./entry.ts";

interface Seen {
  path: string;
  type: EntryType;
  /** A parent that no entry has named yet. */
  implied: boolean;
}

interface DeferredLink {
  path: string;
  link: string;
  /** Paths that the target goes through before it goes up again. */
  through: string[];
}

/** Names in memory, at most, in UTF-16 units: deep names imply many parents. */
const MAX_NAMES = 128 << 20;

export class Ledger {
  #names = 0;
  readonly #seen = new Map<string, Seen>();
  /** Directories by exact name, so that the common case needs no folding. */
  readonly #directories = new Set<string>([""]);
  readonly #deferred: DeferredLink[] = [];

  /** @param maxEntries names allowed, implied parents included, before `TAR_LIMIT` */
  constructor(private readonly maxEntries = 1_000_000) {}

  /** Accepts an entry whose `path` went through `confinedPath`, or throws `FormatError`. */
  add(entry: { path: string; type: EntryType; link?: string }): void {
    this.#addParents(entry.path);
    this.#addName(entry.path, entry.type, false);
    if (entry.type === "symlink") this.#checkSymlink(entry.path, entry.link ?? "");
    if (entry.type === "hardlink") this.#checkHardLink(entry.path, entry.link ?? "");
  }

  /** The type of what stands at exactly this path. */
  typeOf(path: string): EntryType | undefined {
    const seen = this.#seen.get(fold(path));
    return seen?.path === path ? seen.type : undefined;
  }

  /** After the last entry: a target such as `a/../b` means what it says only when `a` is no symbolic link. */
  finish(): void {
    for (const { path, link, through } of this.#deferred) {
      if (through.some((part) => this.typeOf(part) === "symlink")) {
        throw linkError(path, link, "goes up from another symbolic link");
      }
    }
  }

  #addParents(path: string): void {
    const parent = parentOf(path);
    if (this.#directories.has(parent)) return;
    this.#addParents(parent);
    this.#addName(parent, "directory", true);
  }

  #addName(path: string, type: EntryType, implied: boolean): void {
    const key = fold(path);
    const seen = this.#seen.get(key);
    if (seen !== undefined) {
      this.#meet(seen, path, type, implied);
      return;
    }
    this.#names += path.length;
    if (this.#seen.size >= this.maxEntries || this.#names > MAX_NAMES) {
      throw tarError("TAR_LIMIT", `The tree has more than ${this.maxEntries} entries`);
    }
    this.#seen.set(key, { path, type, implied });
    if (type === "directory") this.#directories.add(path);
  }

  /** A name that was there before: fine when one of the two only says that there is such a directory. */
  #meet(seen: Seen, path: string, type: EntryType, implied: boolean): void {
    if (seen.path !== path) {
      throw tarError(
        "TAR_DUPLICATE",
        `The names ${quoted(seen.path)} and ${quoted(path)} are one file where case is ignored`,
        { path, other: seen.path },
        "Rename one of them.",
      );
    }
    if (implied && seen.type !== "directory") {
      const code = seen.type === "symlink" ? "TAR_LINK" : "TAR_DUPLICATE";
      throw tarError(code, `The tree has entries below ${quoted(path)}, which is no directory`, {
        path,
      });
    }
    if (!implied && !(seen.implied && type === "directory")) {
      throw tarError("TAR_DUPLICATE", `The tree has the entry ${quoted(path)} twice`, { path });
    }
    seen.implied = false;
  }

  #checkSymlink(path: string, link: string): void {
    const through = throughLink(path, link);
    if (through.length > 0) this.#deferred.push({ path, link, through });
  }

  #checkHardLink(path: string, link: string): void {
    if (this.typeOf(link) !== "file" || link === path) {
      throw tarError(
        "TAR_LINK",
        `The hard link ${quoted(path)} leads to ${quoted(link)}, which is no earlier file of the tree`,
        { path, link },
      );
    }
  }
}

/** `checkArchivePath` with the code of this format; `""` stands for the root. */
export function confinedPath(name: string): string {
  try {
    return checkArchivePath(name);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw tarError("TAR_PATH", error.message, error.details, error.hint);
  }
}

/**
 * Follows a symbolic link's target by its words. Throws `TAR_LINK` when it leaves the root; returns the paths it passes
 * before a later `..`, which must be no symbolic links themselves.
 */
function throughLink(path: string, link: string): string[] {
  if (link === "") throw linkError(path, link, "has no target");
  if (link.startsWith("/") || /^[A-Za-z]:/.test(link))
    throw linkError(path, link, "has an absolute target");
  if (/[\0\\]/.test(link)) throw linkError(path, link, "holds NUL or a backslash");
  if (Buffer.byteLength(link) > 4096)
    throw linkError(path, link, "has a target of more than 4,096 bytes");
  const parent = parentOf(path);
  const at = parent === "" ? [] : parent.split("/");
  let pending: string[] = [];
  const through: string[] = [];
  for (const part of link.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") {
      at.push(part);
      pending.push(at.join("/"));
    } else {
      if (at.pop() === undefined) throw linkError(path, link, "leaves the tree");
      through.push(...pending);
      pending = [];
    }
  }
  return through;
}

function linkError(path: string, link: string, what: string): FormatError {
  return tarError(
    "TAR_LINK",
    `The symbolic link ${quoted(path)} to ${quoted(link)} ${what}`,
    { path, link },
    "Make the link relative and let it stay inside the tree, or exclude it.",
  );
}

/** One key for names that are one file on a system that ignores case or Unicode composition. */
function fold(path: string): string {
  // Most names are lower-case ASCII: no new string for them.
  return /^[\x20-\x40\x5b-\x7e]*$/.test(path) ? path : path.normalize("NFC").toLowerCase();
}
