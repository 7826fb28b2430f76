/** Whose value counts: the machine's, the project's, the system's, the platform's. */
import { expect, test } from "bun:test";

import { buildEnvironment, projectVariables } from "../../../lib/python/prepare/prepare.ts";
import { readPyproject } from "../../../lib/python/project/project.ts";

const project = readPyproject(
  Bun.TOML.parse(`
[project]
name = "a"
version = "1"
[tool.flavor.build]
env = { A = "project", B = "project", C = "project" }
platform.linux_amd64.env = { C = "exact" }
platform.linux.env = { B = "system", C = "system" }
platform.windows.env = { A = "windows" }
`) as Record<string, unknown>,
  "/p/pyproject.toml",
);

test("the more exact one wins, and the machine's own come last", () => {
  const machine = { A: "machine", PATH: "/bin" };
  expect(buildEnvironment(project, "linux_amd64", machine)).toEqual({
    A: "project",
    B: "system",
    C: "exact",
    PATH: "/bin",
  });
  expect(projectVariables(project, "linux_arm64")).toEqual({
    A: "project",
    B: "system",
    C: "system",
  });
  expect(projectVariables(project, "windows_amd64")).toEqual({
    A: "windows",
    B: "project",
    C: "project",
  });
});
