/** The command line's extras and groups, joined with those of the manifest. */
import type { PythonProject } from "./project.ts";

export interface DependencyWishes {
  extras?: string[] | undefined;
  groups?: string[] | undefined;
}

/** The same project, asked for more; the groups of `no_dev_deps = false` are among them. */
export function withWishes(project: PythonProject, wishes: DependencyWishes): PythonProject {
  const { build, groups } = project;
  const defaults = build.noDevDeps ? [] : groups.defaults;
  return {
    ...project,
    build: {
      ...build,
      extras: [...new Set([...build.extras, ...(wishes.extras ?? [])])],
      groups: [...new Set([...build.groups, ...defaults, ...(wishes.groups ?? [])])],
    },
  };
}
