/** `exclude_from_deps`: files of the dependencies that stay behind. RECORD and bytecode follow, because both are made of what is left. */
import type { StagedWheel } from "./site.ts";

export interface Excluded {
  wheels: StagedWheel[];
  /** Globs that no file matched. */
  unused: string[];
}

/**
 * `wheels` without the files that a glob matches. A glob with a `/` is for the whole path, as it lies in site-packages or below the
 * prefix; one without is for the name of a file or folder anywhere. `.dist-info` stays: licences and versions are in it.
 */
export function withoutExcluded(wheels: StagedWheel[], globs: string[]): Excluded {
  if (globs.length === 0) return { wheels, unused: [] };
  const rules = globs.map((text) => ({ text, match: matcher(text), used: false }));
  const left = wheels.map((wheel) => ({
    ...wheel,
    files: wheel.files.filter(({ path, member }) => {
      if (member.startsWith(`${wheel.distInfo}/`)) return true;
      const hits = rules.filter(({ match }) => match(path));
      for (const rule of hits) rule.used = true;
      return hits.length === 0;
    }),
  }));
  return { wheels: left, unused: rules.filter(({ used }) => !used).map(({ text }) => text) };
}

function matcher(text: string): (path: string) => boolean {
  if (!text.includes("/")) {
    const glob = new Bun.Glob(text);
    return (path) => path.split("/").some((part) => glob.match(part));
  }
  // `tests/` is the folder with everything below it.
  const glob = new Bun.Glob(text.endsWith("/") ? `${text}**` : text);
  return (path) => glob.match(path);
}
