import * as v from "valibot";

import { suggest, UsageError } from "../../base/mod.ts";
import { command } from "../command.ts";
import { listSchemas, schemaOf } from "../schemas.ts";

export default command({
  name: "schema",
  description:
    "Every command answers `--json` with one document; its `schema` field is the name to ask for here.",
  args: {
    name: {
      type: "positional",
      required: false,
      valueHint: "NAME",
      description: "A schema, such as sealift.error/1, or the command it belongs to",
    },
  },
  examples: [
    ["sealift schema", "List the schemas"],
    ["sealift schema sealift.error/1", "Print one as JSON Schema"],
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
    const name = args.name.includes("/")
      ? args.name
      : `sealift.${args.name.replaceAll(" ", ".")}/1`;
    const document = await schemaOf(name);
    if (document !== undefined) return { kind: "schema" as const, name, document };
    const near = suggest(
      name,
      listSchemas().map((schema) => schema.name),
    );
    throw new UsageError("SCHEMA_UNKNOWN", `There is no schema ${args.name}`, {
      hint: near === undefined ? "Run `sealift schema` for the list." : `Did you mean ${near}?`,
    });
  },
  render: (data, view) =>
    data.kind === "schema"
      ? JSON.stringify(data.document, null, 2)
      : view.table(data.schemas.map(({ name, summary }) => [view.style.bold(name), summary])),
});
