import * as v from "valibot";

import { quoted, suggest, UsageError } from "../../base/mod.ts";
import { command } from "../command.ts";
import { listSchemas, schemaOf } from "../schemas.ts";

export default command({
  name: "schema",
  description:
    "Every command answers `--json` with one document; its `schema` field is the name to ask for here. " +
    "`sealift.toml` and `pyproject.toml` are the schemas of the manifests, for editors.",
  args: {
    name: {
      type: "positional",
      required: false,
      valueHint: "NAME",
      description: "A schema, such as sealift.error/1 or sealift.toml, or a command",
    },
  },
  examples: [
    ["sealift schema", "List the schemas"],
    ["sealift schema verify", "What `verify --json` answers, as JSON Schema"],
    ["sealift schema sealift.toml", "What a manifest may hold, as JSON Schema"],
    ["sealift schema pyproject.toml", "The same for [tool.sealift] of a Python project"],
  ],
  data: v.variant("kind", [
    v.strictObject({
      kind: v.literal("list"),
      schemas: v.array(v.strictObject({ name: v.string(), summary: v.string() })),
    }),
    v.strictObject({ kind: v.literal("schema"), name: v.string(), document: v.looseObject({}) }),
  ]),
  run: async (_context, args) => {
    if (args.name === undefined) return { kind: "list" as const, schemas: listSchemas() };
    for (const name of [args.name, `sealift.${args.name.replaceAll(" ", ".")}/1`]) {
      const document = await schemaOf(name);
      if (document !== undefined) return { kind: "schema" as const, name, document };
    }
    throw unknownSchema(args.name);
  },
  render: (data, view) =>
    data.kind === "schema"
      ? JSON.stringify(data.document, null, 2)
      : view.table(data.schemas.map(({ name, summary }) => [view.style.bold(name), summary])),
});

function unknownSchema(name: string): UsageError {
  const names = listSchemas().map((schema) => schema.name);
  // `verfy` is nearer to `verify` than `sealift.verfy/1` is to anything.
  const short = names.map((one) => one.replace(/^sealift\.(.+)\/1$/, "$1").replaceAll(".", " "));
  const near = suggest(name, [...names, ...short]);
  return new UsageError("SCHEMA_UNKNOWN", `There is no schema ${quoted(name)}`, {
    hint: near === undefined ? "Run `sealift schema` for the list." : `Did you mean ${near}?`,
  });
}
