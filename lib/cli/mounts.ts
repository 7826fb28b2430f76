/** The mounts of this process, from /proc/self/mountinfo (proc(5)). */

export interface Mount {
  point: string;
  /** Per mount and per file system together. */
  options: string[];
}

export interface Mounts {
  /** The mount that holds an absolute path without symbolic links. */
  of(path: string): Mount | undefined;
}

export function parseMounts(text: string): Mounts {
  const mounts = text.split("\n").flatMap((line): Mount[] => {
    const [head = "", tail = ""] = line.split(" - ");
    const fields = head.split(" ");
    const [point, options] = [fields[4], fields[5]];
    if (point === undefined || options === undefined) return [];
    const more = tail.split(" ")[2] ?? "";
    return [{ point: unescape(point), options: [...options.split(","), ...more.split(",")] }];
  });
  return { of: (path) => longest(mounts.filter(({ point }) => holds(point, path))) };
}

/** Space, tab, line feed and backslash are written as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function holds(point: string, path: string): boolean {
  return point === "/" || path === point || path.startsWith(`${point}/`);
}

/** The innermost one; of two on one point the later hides the earlier. */
function longest(mounts: Mount[]): Mount | undefined {
  return mounts.reduce<Mount | undefined>(
    (best, mount) => (best && best.point.length > mount.point.length ? best : mount),
    undefined,
  );
}
