/**
 * A project whose facts stand in setup.py or setup.cfg. Nothing is executed to read it: the built wheel tells version, dependencies and
 * commands, and only the name is looked for, because a package has one before it is built.
 */
import { isProjectName } from "../pep/names.ts";

/** The name that the texts say literally; a program may say it in many other ways. */
export function setupName(texts: {
  setupPy?: string | undefined;
  setupCfg?: string | undefined;
}): string | undefined {
  const ofCfg = cfgName(texts.setupCfg ?? "");
  const ofPy = /\bsetup\s*\([^]*?\bname\s*=\s*(["'])([^"'\n]+)\1/.exec(texts.setupPy ?? "")?.[2];
  return [ofCfg, ofPy].find((name) => name !== undefined && isProjectName(name));
}

function cfgName(text: string): string | undefined {
  let section = "";
  for (const line of text.split(/\r?\n/)) {
    section = /^\[([^\]]+)\]/.exec(line)?.[1]?.trim() ?? section;
    const name = /^name\s*[=:]\s*(\S+)\s*$/.exec(line)?.[1];
    if (section === "metadata" && name !== undefined) return name;
  }
  return undefined;
}

/** As `[project]`: everything but the name is the build backend's to say. */
export function setupAsProject(name: string): Record<string, unknown> {
  return { name, dynamic: ["version", "dependencies", "optional-dependencies", "scripts"] };
}
