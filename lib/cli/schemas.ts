/** JSON Schema of every document that sealift prints, and of the ones that it reads, from the valibot types in the code. */
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";

import { schemaName } from "./command.ts";
import { commands, isNoun, type Leaf, load } from "./commands.ts";

/** What every failing command prints with `--json`. */
export const errorDocument = v.strictObject({
  schema: v.literal("sealift.error/1"),
  ok: v.literal(false),
  /** Stable upper-case code. */
  code: v.string(),
  message: v.string(),
  hint: v.exactOptional(v.string()),
  details: v.exactOptional(v.record(v.string(), v.unknown())),
  /** The exit code of the process. */
  exit: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
});

/** What `--help --json` prints. */
export const helpDocument = v.strictObject({
  schema: v.literal("sealift.help/1"),
  ok: v.literal(true),
  usage: v.string(),
  summary: v.string(),
  description: v.exactOptional(v.string()),
  groups: v.array(
    v.strictObject({
      title: v.string(),
      rows: v.array(v.strictObject({ name: v.string(), text: v.string() })),
    }),
  ),
  examples: v.array(v.strictObject({ command: v.string(), text: v.string() })),
});

/** What `--version --json` prints. */
export const versionDocument = v.strictObject({
  schema: v.literal("sealift.version/1"),
  ok: v.literal(true),
  version: v.string(),
  bun: v.strictObject({ version: v.string(), revision: v.string() }),
  platform: v.strictObject({ os: v.string(), arch: v.string() }),
  /** The embedded stubs. */
  launchers: v.array(
    v.strictObject({
      name: v.string(),
      language: v.string(),
      platform: v.string(),
      /** Bytes, uncompressed. */
      size: v.number(),
      sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
      toolchain: v.string(),
      /** SHA-256 over the sources it was built from. */
      source: v.string(),
    }),
  ),
});

interface Document {
  summary: string;
  /** Loads the shape, which may be behind much code. */
  shape: () => Promise<v.GenericSchema>;
  /** Sealift reads it. JSON Schema cannot say everything that is checked then. */
  isInput?: boolean;
}

const DOCUMENTS: Readonly<Record<string, Document>> = {
  "sealift.error/1": {
    summary: "What a command answers when it fails",
    shape: async () => errorDocument,
  },
  "sealift.help/1": { summary: "What --help answers", shape: async () => helpDocument },
  "sealift.version/1": { summary: "What --version answers", shape: async () => versionDocument },
  "sealift.toml": {
    summary: "The manifest of a project that `pack` reads; Python keys: pyproject.toml",
    shape: async () => (await import("../pack/mod.ts")).SealiftManifest,
    isInput: true,
  },
  "pyproject.toml": {
    summary: "The tables of a Python project that `pack` reads: [tool.sealift] and [tool.flavor]",
    shape: async () => await (await import("../pack/mod.ts")).pyprojectShape(),
    isInput: true,
  },
  "sealift.metadata/1": {
    summary: "The signed JSON inside a sealed package",
    shape: async () => (await import("../pspf/mod.ts")).metadataSchema,
    isInput: true,
  },
};

interface Described {
  name: string;
  summary: string;
}

/** Every schema with one sentence, without loading a command. */
export function listSchemas(): Described[] {
  const rows = leaves().map(([name, leaf]) => ({ name: schemaName(name), summary: leaf.summary }));
  const documents = Object.entries(DOCUMENTS).map(([name, { summary }]) => ({ name, summary }));
  return [...rows, ...documents];
}

/** The JSON Schema (draft-07) of `name`, `undefined` when there is none. */
export async function schemaOf(name: string): Promise<Record<string, unknown> | undefined> {
  const document = Object.hasOwn(DOCUMENTS, name) ? DOCUMENTS[name] : undefined;
  if (document !== undefined) {
    return convert(await document.shape(), name, document.isInput === true);
  }
  const leaf = leaves().find(([command]) => schemaName(command) === name);
  if (leaf === undefined) return undefined;
  const { data } = await load(leaf[1]);
  return withEnvelope(convert(data, name), name);
}

/** Every command that runs, nouns with their verbs: `["trust add", …]`. */
export function leaves(): [name: string, leaf: Leaf][] {
  return Object.entries(commands).flatMap(([name, row]) =>
    isNoun(row)
      ? Object.entries(row.verbs).map(([verb, leaf]): [string, Leaf] => [`${name} ${verb}`, leaf])
      : [[name, row] as [string, Leaf]],
  );
}

function convert(schema: v.GenericSchema, name: string, isInput = false): Record<string, unknown> {
  const document = toJsonSchema(
    schema,
    isInput
      ? { errorMode: "ignore", typeMode: "input" }
      : // What JSON Schema has no word for, in shapes that are also read.
        { errorMode: "throw", typeMode: "output", ignoreActions: ["check", "max_bytes"] },
  );
  return { $id: name, ...document } as Record<string, unknown>;
}

/** Adds the two fields that `run.ts` puts before the data, in every alternative. */
function withEnvelope(schema: Record<string, unknown>, name: string): Record<string, unknown> {
  for (const key of ["anyOf", "oneOf"]) {
    const list = schema[key];
    if (!Array.isArray(list)) continue;
    return { ...schema, [key]: list.map((one) => withEnvelope(one, name)) };
  }
  return {
    ...schema,
    properties: {
      schema: { const: name },
      ok: { type: "boolean" },
      ...(schema.properties as Record<string, unknown>),
    },
    required: [...new Set(["schema", "ok", ...((schema.required as string[]) ?? [])])],
  };
}
