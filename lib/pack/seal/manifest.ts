/** The project's tables as the writer of the format takes them. */
import type { Manifest } from "../../pspf/mod.ts";
import type { Project } from "../manifest/project.ts";
import type { SetupStep } from "../manifest/schema.ts";

/** Execution of a project whose commands are known. */
export function writerManifest(project: Project): Manifest {
  const { argv, command, entries, env } = project.execution ?? {};
  const { name, version, description, license } = project.package;
  const { env: rules, service } = project.runtime ?? {};
  const directories = project.workenv?.directories?.map(({ path, mode }) => ({
    path: inWorkenv(path),
    ...(mode && { mode: octal(mode) }),
  }));
  return {
    package: { name, version, ...(description !== undefined && { description }) },
    execution: {
      ...(argv && { argv }),
      ...(command && { command }),
      ...(entries && { entries }),
      ...(env && { env }),
    },
    ...((rules ?? service) && {
      runtime: { ...(rules && { env: defined(rules) }), ...(service && { service }) },
    }),
    ...(project.workenv && {
      workenv: {
        ...(directories && { directories }),
        ...(project.workenv.env && { env: project.workenv.env }),
      },
    }),
    ...(project.setup.length > 0 && { setup_commands: project.setup.flatMap(setupCommands) }),
    sealIndex: {
      ...(license && { license_id: license }),
      ...(project.sourceHash && { source_hash: project.sourceHash }),
      ...(project.dependencyHash && { dependency_hash: project.dependencyHash }),
    },
  };
}

/** `write_file` with a mode is two commands of the format. */
function setupCommands(step: SetupStep): Record<string, unknown>[] {
  switch (step.type) {
    case "write_file": {
      const path = inWorkenv(step.path);
      const write = { type: "write_file", path, content: step.content };
      return step.mode === undefined
        ? [write]
        : [write, { type: "chmod", path, mode: octal(step.mode) }];
    }
    case "chmod":
      return [{ type: "chmod", path: inWorkenv(step.path), mode: octal(step.mode) }];
    case "enumerate_and_execute": {
      const { path, pattern } = step.enumerate;
      return [{ ...step, enumerate: { path: inWorkenv(path), pattern } }];
    }
    default:
      return [{ ...step }];
  }
}

/** Relative paths of setup mean the work environment. */
function inWorkenv(path: string): string {
  return path.startsWith("{") || path.startsWith("/")
    ? path
    : `{workenv}/${path.replace(/^(\.\/)+/, "")}`;
}

/** Four digits, the one spelling of the format. */
function octal(mode: string): string {
  return mode.padStart(4, "0");
}

function defined<T extends object>(value: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}
