/**
 * What a tree is made of: the entries that the tar writer, the tar reader, the scanner and the extraction share
 * (format.md section 6), and the one order they are kept in.
 */

export type EntryType = "file" | "directory" | "symlink" | "hardlink";

export interface TreeEntry {
  /** Relative, parts joined with `/`, no trailing `/`, never the root itself. */
  path: string;
  type: EntryType;
  /** Permission bits only, at most 0777. */
  mode: number;
  /** Bytes of content; 0 unless `type` is `file`. */
  size: number;
  /** Seconds since 1970. The tar writer falls back to its own `mtime`. */
  mtime?: number;
  /** Target: of a symbolic link as written in the link, of a hard link the path of an earlier file of the tree. */
  link?: string;
  /** Where the content of a file is: a path on disk, or the bytes. Entries out of a tar reader have none. */
  source?: string | { bytes: Uint8Array };
}

/** Order of the UTF-8 bytes of two names, without encoding them. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 puts surrogates below U+E000, UTF-8 puts what they stand for above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** The part before the last `/`; `""` for an entry of the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}
