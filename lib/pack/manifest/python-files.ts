/**
 * What stands for a Python project without being a manifest of sealift's: setup.py, setup.cfg, a lock beside a manifest, a finished wheel.
 * Nothing is executed and nothing is unpacked here.
 */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { EnvironmentError, FormatError, readFileBounded } from "../../base/mod.ts";
import { lineOfSyntaxError } from "./_lines.ts";

const MAX_TEXT = 16 << 20;

/** Manifests of a Python project, the first that is there wins. */
export const PYTHON_MANIFESTS = ["pyproject.toml", "setup.py"] as const;

/** Whether the folder has a project that only setuptools knows. */
export function hasSetup(root: string): boolean {
  return isFile(join(root, "setup.py")) || isFile(join(root, "setup.cfg"));
}

/** Whether `path` is named like a lock, or like a file that one is made of. */
export function isLockName(path: string): boolean {
  return /^(?:uv\.lock|poetry\.lock|pdm\.lock|Pipfile(?:\.lock)?|pylock(?:\.[^.]+)?\.toml|.*requirements.*\.txt)$/.test(
    basename(path),
  );
}

/** The manifest beside a lock, and the lock itself. `MANIFEST_MISSING` where there is only the lock. */
export function besideLock(path: string): { manifest: string; lock: string } {
  const root = dirname(path);
  const lock = basename(path) === "Pipfile" ? `${path}.lock` : path;
  const manifest = PYTHON_MANIFESTS.map((name) => join(root, name)).find(isFile);
  if (manifest === undefined) {
    throw new EnvironmentError(
      "MANIFEST_MISSING",
      `${path}: says which packages, but not which application; ${root} holds no pyproject.toml and no setup.py`,
      {
        hint: "Write a pyproject.toml beside it: [project] with name and version, and [tool.sealift] with entry_point.",
        details: { path },
      },
    );
  }
  if (isFile(lock)) return { manifest, lock };
  throw new EnvironmentError("FILE_MISSING", `${lock}: does not exist`, {
    hint: "Make it with `pipenv lock`.",
    details: { path: lock },
  });
}

/** The name of the project in a folder with a setup.py or setup.cfg; that of the folder where they do not say it plainly. */
export async function setupDocument(root: string): Promise<Record<string, unknown>> {
  const { setupAsProject, setupName } = await import("../../python/mod.ts");
  const [setupPy, setupCfg] = await Promise.all([
    text(join(root, "setup.py")),
    text(join(root, "setup.cfg")),
  ]);
  const name =
    setupName({ setupPy, setupCfg }) ??
    basename(root)
      .replace(/[^A-Za-z0-9]+/g, "-")
      .replace(/^-|-$/g, "");
  return { project: setupAsProject(name || "application") };
}

/** `[build]` of a buildconfig.toml: the earlier tool lets it stand before its table in pyproject.toml. Empty when there is none. */
export async function readBuildConfig(root: string): Promise<Record<string, unknown>> {
  const path = join(root, "buildconfig.toml");
  const content = await text(path);
  if (content === undefined) return {};
  try {
    const { build } = Bun.TOML.parse(content) as { build?: Record<string, unknown> };
    return build ?? {};
  } catch (error) {
    const detail = (error as Error).message.replace(/^TOML Parse error: /, "");
    throw new FormatError(
      "MANIFEST_TOML",
      `${path}:${lineOfSyntaxError(content) ?? 1}: ${detail}`,
      {
        hint: "The file is not TOML; correct that line.",
        details: { file: path },
      },
    );
  }
}

async function text(path: string): Promise<string | undefined> {
  return isFile(path) ? new TextDecoder().decode(await readFileBounded(path, MAX_TEXT)) : undefined;
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
