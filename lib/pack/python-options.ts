/** Options of `pack` that only mean something for Python projects. */
import { UsageError } from "../base/mod.ts";
import type { Project } from "./manifest/project.ts";
import type { PackOptions } from "./options.ts";

const PYTHON_FLAGS = {
  python: "--python",
  pythonSource: "--python-source",
  frozen: "--frozen",
  extras: "--extra",
  groups: "--group",
  indexUrl: "--index-url",
  extraIndexUrls: "--extra-index-url",
  trustedHosts: "--trusted-host",
  findLinks: "--find-links",
  caFile: "--ca-file",
};

/** What has no effect is an error: its author expects one. `UsageError("PYTHON_OPTION")`; a Python project takes them all. */
export function refusePythonOptions(project: Project, options: PackOptions): void {
  if (project.kind === "python") return;
  const { python, pythonSource, frozen, extras, groups, index = {} } = options;
  const given = { python, pythonSource, frozen: frozen || undefined, extras, groups, ...index };
  const [name] = Object.entries(given).find(([, value]) => [value ?? []].flat().length > 0) ?? [];
  const flag = name === undefined ? undefined : PYTHON_FLAGS[name as keyof typeof given];
  if (flag === undefined) return;
  throw new UsageError("PYTHON_OPTION", `${flag} has no effect on ${project.manifest}`, {
    hint: "It is for Python projects: a pyproject.toml with [project].",
  });
}
