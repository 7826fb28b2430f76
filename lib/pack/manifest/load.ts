/**
 * Which manifest is meant, and of which kind it is. Everything that can be checked without looking at the files to be packed
 * is checked while it is read.
 */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import { EnvironmentError, FormatError, readFileBounded } from "../../base/mod.ts";
import type { ManifestText } from "./_issues.ts";
import { lineOfSyntaxError } from "./_lines.ts";
import { loadLegacy } from "./legacy.ts";
import { loadProgram } from "./program.ts";
import type { Project } from "./project.ts";
import { loadPyproject, loadWheel, withLock } from "./pyproject.ts";
import { besideLock, isLockName, PYTHON_MANIFESTS } from "./python-files.ts";

const MAX_MANIFEST = 16 << 20;

/** Manifests that a folder may hold, the first that is there wins. */
const NAMES = ["sealift.toml", ...PYTHON_MANIFESTS];

/**
 * Reads and checks a project.
 * @param path the manifest or a folder with one; for Python also a lock beside the manifest, or a wheel
 * @throws FormatError `MANIFEST`, `MANIFEST_TOML`, `MANIFEST_JSON`; EnvironmentError when there is none
 */
export async function loadProject(
  path: string,
  options: { env?: Record<string, string | undefined> } = {},
): Promise<Project> {
  const named = findManifest(resolve(path));
  if (named.endsWith(".whl")) return await loadWheel(named);
  const { manifest, lock } = isLockName(named)
    ? besideLock(named)
    : { manifest: named, lock: undefined };
  const project = await loadManifest(manifest, options.env ?? {});
  return lock === undefined ? project : withLock(project, lock);
}

async function loadManifest(
  manifest: string,
  env: Record<string, string | undefined>,
): Promise<Project> {
  if (/^setup\.(?:py|cfg)$/.test(basename(manifest))) {
    const beside = join(dirname(manifest), "pyproject.toml");
    if (existsSync(beside)) return await loadManifest(beside, env);
    return await loadPyproject({}, { file: manifest });
  }
  const bytes = await readFileBounded(manifest, MAX_MANIFEST);
  const text = decode(bytes, manifest);
  const where: ManifestText = { file: manifest, text };
  if (manifest.endsWith(".json")) return loadLegacy(bytes, manifest, env);
  const document = parseToml(where);
  return isPyproject(manifest, document)
    ? await loadPyproject(document, where)
    : loadProgram(document, where);
}

function findManifest(path: string): string {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined) {
    throw new EnvironmentError("FILE_MISSING", `${path}: does not exist`, {
      hint: "Name a manifest or a folder with one; `sealift init` writes one.",
    });
  }
  if (!info.isDirectory()) return path;
  const found = NAMES.map((name) => join(path, name)).find((file) =>
    statSync(file, { throwIfNoEntry: false })?.isFile(),
  );
  if (found) return found;
  throw new EnvironmentError("MANIFEST_MISSING", `${path}: holds no ${NAMES.join(" and no ")}`, {
    hint: "Write one with `sealift init`, or name it with `-m`.",
  });
}

function isPyproject(manifest: string, document: Record<string, unknown>): boolean {
  return manifest.endsWith("pyproject.toml") || ("project" in document && "tool" in document);
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError("MANIFEST", `${file}: is not UTF-8 text`, {
      hint: "Save it as UTF-8.",
    });
  }
}

function parseToml(where: ManifestText): Record<string, unknown> {
  try {
    return Bun.TOML.parse(where.text ?? "") as Record<string, unknown>;
  } catch (error) {
    if (!where.file.endsWith(".toml")) throw noManifest(where.file);
    const line = lineOfSyntaxError(where.text ?? "");
    const detail = (error as Error).message.replace(/^TOML Parse error: /, "");
    throw new FormatError("MANIFEST_TOML", `${where.file}:${line ?? 1}: ${detail}`, {
      hint: "The file is not TOML; correct that line.",
      details: { file: where.file, line },
    });
  }
}

function noManifest(file: string): FormatError {
  return new FormatError("MANIFEST", `${file}: is no manifest`, {
    hint: "Name a folder, a pyproject.toml, a sealift.toml, a setup.py, a lock or a wheel; `sealift init` writes a manifest beside a program.",
    details: { file },
  });
}
