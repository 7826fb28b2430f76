/** `sealift demo`: a small project is written into a folder and packed; the command runs the package. */
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import {
  type Context,
  EnvironmentError,
  findProgram,
  ioError,
  writeFileAtomic,
} from "../../base/mod.ts";
import { loadProject } from "../manifest/load.ts";
import type { PackReport } from "../options.ts";
import { packProject } from "../pack.ts";
import { type DemoFiles, demoFiles } from "./_demos.ts";

export type DemoName = keyof typeof demoFiles;

export const DEMOS = Object.keys(demoFiles) as [DemoName, ...DemoName[]];

export interface Demo {
  name: DemoName;
  summary: string;
  /** Absolute paths of the files that were written. */
  files: string[];
  /** The finished package. */
  package: string;
  /** Arguments that show what it does. */
  args: string[];
  report: PackReport;
}

/**
 * Writes the demo into `folder` and packs it.
 * @throws EnvironmentError `RUNTIME_MISSING` when the demo needs a program that this machine does not have, `FILE_EXISTS`
 */
export async function makeDemo(
  ctx: Context,
  name: DemoName,
  folder: string,
  force: boolean,
): Promise<Demo> {
  const demo: DemoFiles = demoFiles[name];
  const runtime = findRuntime(name, demo, ctx.env);
  const root = resolve(folder);
  const files: string[] = [];
  for (const [path, text] of Object.entries(demo.files)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true }).catch((error: unknown) => {
      throw ioError(error, dirname(file));
    });
    await writeFileAtomic(
      file,
      text.replaceAll("@RUNTIME@", () => runtime ?? ""),
      { force },
    );
    files.push(file);
  }
  const report = await packProject(ctx, await loadProject(root), { force });
  const [output] = report.outputs;
  return {
    name,
    summary: demo.summary,
    files,
    package: output?.path ?? "",
    args: demo.args,
    report,
  };
}

function findRuntime(name: string, demo: DemoFiles, env: Context["env"]): string | undefined {
  if (demo.runtime === undefined) return undefined;
  const found = findProgram(demo.runtime, env);
  if (found) return found;
  throw new EnvironmentError(
    "RUNTIME_MISSING",
    `The demo ${name} packs ${demo.runtime}, and this machine has none`,
    {
      hint: `Install ${demo.runtime} or put its folder into PATH; the demos hello-world and cli-tool need only a shell.`,
    },
  );
}
