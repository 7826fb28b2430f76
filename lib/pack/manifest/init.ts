/**
 * A first `sealift.toml` for a folder: what kind of project it looks like, and a manifest that packs it as it is. Nothing is
 * guessed that the files do not say; what only the author knows stays a plain default.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { EnvironmentError, findProgram, ioError } from "../../base/mod.ts";
import { PYTHON_MANIFESTS } from "./python-files.ts";

export type Kind = "node" | "binary" | "script" | "jar";

export interface Detected {
  kind: Kind;
  name: string;
  version: string;
  description?: string;
  /** The program or its main file, relative to the folder. */
  main: string;
  /** Interpreter that goes in, absolute; absent when the program starts by itself. */
  runtime?: string;
  /** Interpreter that the target machine must have. */
  interpreter?: string;
  /** One line on what was found. */
  because: string;
}

const IGNORED = new Set(["sealift.toml", "node_modules", "dist", "keys"]);

/**
 * Looks at a folder.
 * @throws EnvironmentError `PROJECT_PYTHON` for a Python project, which needs no other manifest; `PROJECT_UNKNOWN`, `RUNTIME_MISSING`
 */
export function detectProject(
  folder: string,
  env: Record<string, string | undefined> = process.env,
): Detected {
  const root = resolve(folder);
  const names = listNames(root);
  const name = safeName(basename(root));
  if (names.includes("package.json")) return nodeProject(root, names, name, env);
  const python = PYTHON_MANIFESTS.find((file) => names.includes(file));
  if (python !== undefined) {
    throw new EnvironmentError("PROJECT_PYTHON", `${join(root, python)}: is already a manifest`, {
      hint: "Run `sealift pack`; settings go under [tool.sealift] in pyproject.toml.",
    });
  }
  const files = names.filter((file) =>
    statSync(join(root, file), { throwIfNoEntry: false })?.isFile(),
  );
  const jar = files.find((file) => file.endsWith(".jar"));
  if (jar)
    return {
      kind: "jar",
      name: safeName(jar.replace(/\.jar$/, "")),
      version: "0.1.0",
      main: jar,
      interpreter: "java",
      because: `${jar} is a Java archive`,
    };
  const found = files.map((file) => program(root, file)).find((item) => item !== undefined);
  if (found)
    return { name: safeName(found.main.replace(/\.\w+$/, "")), version: "0.1.0", ...found };
  throw new EnvironmentError(
    "PROJECT_UNKNOWN",
    `${root}: holds no package.json, program or script`,
    {
      hint: names.includes("Pipfile")
        ? "Write a pyproject.toml: [project] with name and version, and [tool.sealift] with entry_point."
        : "Build the program first, or write a sealift.toml by hand; the reference shows one.",
    },
  );
}

function listNames(root: string): string[] {
  try {
    return readdirSync(root)
      .filter((name) => !name.startsWith(".") && !IGNORED.has(name))
      .sort();
  } catch (error) {
    throw ioError(error, root);
  }
}

function program(
  root: string,
  file: string,
): Pick<Detected, "kind" | "main" | "interpreter" | "because"> | undefined {
  const head = readHead(join(root, file));
  if (head === undefined) return undefined;
  const isExecutable = (statSync(join(root, file)).mode & 0o111) !== 0;
  const isNative = ["7f454c46", "cffaedfe", "cafebabe"].includes(
    head.subarray(0, 4).toString("hex"),
  );
  if (isNative && isExecutable)
    return { kind: "binary", main: file, because: `${file} is a native program` };
  const shebang = /^#! *(\S+)(?: +(\S+))?/.exec(head.toString("latin1"));
  if (!shebang) return undefined;
  const interpreter = shebang[1]?.endsWith("/env")
    ? (shebang[2] ?? "sh")
    : (shebang[1] ?? "/bin/sh");
  return {
    kind: "script",
    main: file,
    interpreter,
    because: `${file} is a script for ${interpreter}`,
  };
}

/** The first bytes, or nothing when the file cannot be read: then it is not what the folder is about. */
function readHead(path: string): Buffer | undefined {
  const head = Buffer.alloc(256);
  try {
    const file = openSync(path, "r");
    try {
      return head.subarray(0, readSync(file, head, 0, head.length, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

function nodeProject(
  root: string,
  names: string[],
  fallback: string,
  env: Record<string, string | undefined>,
): Detected {
  const path = join(root, "package.json");
  const manifest = readPackageJson(path);
  const bin =
    typeof manifest.bin === "string"
      ? manifest.bin
      : Object.values((manifest.bin ?? {}) as object)[0];
  const candidates = [bin, manifest.main, "index.js", "main.js", "src/index.js"].filter(
    (item) => typeof item === "string",
  );
  const main = candidates
    .map((item) => item.replace(/^\.\//, ""))
    .find((item) => statSync(join(root, item), { throwIfNoEntry: false })?.isFile());
  if (main === undefined) {
    throw new EnvironmentError(
      "PROJECT_UNKNOWN",
      `${path}: names no file as bin or main that exists`,
      {
        hint: `Build the project first; found: ${names.slice(0, 10).join(", ")}.`,
      },
    );
  }
  const runtime = findProgram("node", env);
  if (runtime === undefined) {
    throw new EnvironmentError(
      "RUNTIME_MISSING",
      "Node was not found, and the package shall bring it",
      {
        hint: "Install Node or put its folder into PATH.",
      },
    );
  }
  return {
    kind: "node",
    name: safeName(
      typeof manifest.name === "string" ? manifest.name.replace(/^@[^/]*\//, "") : fallback,
    ),
    version: typeof manifest.version === "string" ? manifest.version : "0.1.0",
    ...(typeof manifest.description === "string" &&
      manifest.description && { description: manifest.description }),
    main,
    runtime,
    because: `package.json names ${main}`,
  };
}

function readPackageJson(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  } catch (error) {
    const cause = ioError(error, path);
    if (cause !== error) throw cause;
    throw new EnvironmentError(
      "PROJECT_UNKNOWN",
      `${path}: is not JSON: ${(error as Error).message}`,
      { hint: "Correct the file." },
    );
  }
}

/** A name that a package may have. */
function safeName(text: string): string {
  const name = text.replaceAll(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  return name === "" ? "app" : name.slice(0, 128);
}

/** The text of the manifest. It says why each line is there, for whoever reads it first. */
export function writeManifest(project: Detected): string {
  const quote = JSON.stringify;
  const head = [
    "[package]",
    `name = ${quote(project.name)}`,
    `version = ${quote(project.version)}`,
    ...(project.description ? [`description = ${quote(project.description)}`] : []),
    "",
    "[execution]",
    `argv = [${command(project)
      .map((word) => quote(word))
      .join(", ")}]`,
  ];
  return (
    [...head, "", ...slots(project).flatMap((slot) => ["[[slots]]", ...slot, ""])]
      .join("\n")
      .trimEnd() + "\n"
  );
}

function command(project: Detected): string[] {
  switch (project.kind) {
    case "node":
      return ["{slot:node}", `{workenv}/app/${project.main}`];
    case "jar":
      return ["java", "-jar", `{workenv}/app/${project.main}`];
    case "script":
      return [project.interpreter ?? "/bin/sh", `{workenv}/app/${project.main}`];
    default:
      return [`{workenv}/bin/${project.main}`];
  }
}

function slots(project: Detected): string[][] {
  const quote = JSON.stringify;
  if (project.kind === "node") {
    return [
      [
        'id = "node"',
        `source = ${quote(project.runtime)}`,
        "share = true  # once per machine, for every application that brings it",
      ],
      [
        'id = "app"',
        'source = "./"',
        'target = "app"  # below {workenv}',
        'exclude = ["dist", "keys", ".git", "sealift.toml", "**/*.psp"]',
      ],
    ];
  }
  if (project.kind === "binary")
    return [
      [
        'id = "app"',
        `source = ${quote(project.main)}`,
        `target = ${quote(`bin/${project.main}`)}`,
        'permissions = "0755"',
      ],
    ];
  return [
    [
      'id = "app"',
      'source = "./"',
      'target = "app"  # below {workenv}',
      'exclude = ["dist", "keys", ".git", "sealift.toml", "**/*.psp"]',
    ],
  ];
}
