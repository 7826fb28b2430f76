/**
 * A project as `pack` sees it, whatever manifest it came from: `sealift.toml`, a `pyproject.toml` or a JSON manifest of
 * the earlier builders.
 */
import { dirname } from "node:path";

import { parsePlatform, type Platform } from "../../launcher/mod.ts";
import type { Lifecycle, Operation, Service } from "../../pspf/mod.ts";
import type { PythonProject } from "../../python/mod.ts";
import { type CompressionChoice, parseCompression } from "../stage/compression.ts";
import { manifestError, type ManifestText } from "./_issues.ts";
import type { ExecutionTable, SetupStep, WorkenvTable } from "./schema.ts";

/** One slot as its author wants it. */
export interface SlotSpec {
  id: string;
  /** As written: a file, a folder or a glob. */
  source: string;
  /** Folder that `source` is relative to. */
  base: string;
  /** Below `{workenv}`, checked; absent = the author left it out. */
  target?: string;
  /** The target was written with a `/` at its end: a file goes into it. */
  into: boolean;
  include?: string[];
  exclude?: string[];
  purpose: string;
  lifecycle: Lifecycle;
  permissions?: number;
  /** `linux` or `linux_amd64`; absent = every platform. */
  platform?: string;
  share: boolean;
  compression?: CompressionChoice;
  /** Encrypted, with a key from here: `env:NAME`, `file:PATH` or `prompt`. */
  keySource?: string;
  /** Only of the earlier manifests: the chain that the stored bytes must have. */
  operations?: Operation[];
}

export interface Project {
  kind: "program" | "python" | "legacy";
  /** Absolute path of the manifest. */
  manifest: string;
  /** Its folder. */
  root: string;
  package: { name: string; version: string; description?: string; license?: string };
  /** `{slot:N}` is already `{slot:ID}`. Absent only for Python, where the entry points are found later. */
  execution?: Omit<ExecutionTable, "runtime">;
  runtime?: NonNullable<ExecutionTable["runtime"]> & { service?: Service };
  workenv?: WorkenvTable;
  setup: SetupStep[];
  slots: SlotSpec[];
  platforms?: Platform[];
  compression?: CompressionChoice;
  launcher?: "auto" | "rust" | "go";
  /** Absolute path of the private key that the project names. */
  key?: string;
  python?: PythonProject;
  /** SHA-256 over the locked dependencies, for the index block. */
  dependencyHash?: string;
  /** SHA-256 over the sources, for the index block (stage/source-hash.ts). */
  sourceHash?: string;
  /** What the author should know: keys without effect, and the like. */
  notes: string[];
}

/** Platforms of the manifest in canonical spelling, each once. */
export function platformList(
  names: string[] | undefined,
  where: ManifestText,
): Platform[] | undefined {
  return names
    ?.map((name, i) => {
      try {
        return parsePlatform(name);
      } catch (error) {
        throw manifestError(
          where,
          ["platforms", i],
          "is no platform",
          (error as { hint?: string }).hint,
        );
      }
    })
    .filter((platform, i, all) => all.indexOf(platform) === i);
}

/** A `compression` key; the error names the key. */
export function compressionOf(
  text: string | undefined,
  level: number | undefined,
  where: ManifestText,
  path: (string | number)[],
): CompressionChoice | undefined {
  if (text === undefined && level === undefined) return undefined;
  try {
    return parseCompression(text ?? "zstd", level);
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    throw manifestError(where, path, `is wrong: ${message}`, hint);
  }
}

/** The folder of a manifest. */
export function rootOf(where: ManifestText): string {
  return dirname(where.file);
}
