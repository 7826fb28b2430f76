import { basename, extname, relative } from "node:path";

import * as v from "valibot";

import { applyDelta, createDelta, inspectDelta } from "../../pack/mod.ts";
import { command } from "../command.ts";
import { TRUST_ARGS } from "../verdict.ts";
import { counted, printable, type View } from "../view.ts";

const Side = { name: v.string(), version: v.string(), identity: v.string() };
const Header = v.strictObject({
  from: v.strictObject(Side),
  /** `size` and `sha256` of the whole file. */
  to: v.strictObject({ ...Side, size: v.number(), sha256: v.string() }),
  made_by: v.strictObject({ sealift: v.string(), zstd: v.string(), zlib: v.string() }),
  portable: v.boolean(),
  /** Bytes in the file; of the first two also after decompression. */
  sections: v.strictObject({
    plan: v.tuple([v.number(), v.number()]),
    literals: v.tuple([v.number(), v.number()]),
    diffs: v.number(),
    stored: v.number(),
  }),
});
type Header = v.InferOutput<typeof Header>;

export const create = command({
  name: "delta create",
  description:
    "Both packages are verified first, and the delta is applied once, in memory, before it appears. " +
    "What changed inside a slot is described file by file; its chunks are compressed again when the delta is applied.",
  args: {
    old: { type: "positional", valueHint: "OLD", description: "The package that people have" },
    new: { type: "positional", valueHint: "NEW", description: "The package that they shall get" },
    output: {
      type: "string",
      alias: "o",
      valueHint: "PATCH",
      description: "The delta; default: the name of NEW ending in .delta, in this folder",
    },
    portable: {
      type: "boolean",
      description:
        "Carry changed chunks as they are stored: larger, and any version of sealift can apply it",
    },
    force: { type: "boolean", alias: "f", description: "Replace a delta that exists" },
  },
  examples: [
    ["sealift delta create app.psp app-2.psp", "Write app-2.delta"],
    [
      "sealift delta create app.psp app-2.psp --portable -o app.delta",
      "For any version of sealift",
    ],
  ],
  data: v.strictObject({
    path: v.string(),
    /** Bytes of the delta, and of the new package. */
    size: v.number(),
    full: v.number(),
    ...Header.entries,
    slots: v.array(
      v.strictObject({
        id: v.string(),
        /** Chunks that are named in the old package, made again, and carried as they are stored. */
        copied: v.number(),
        rebuilt: v.number(),
        carried: v.number(),
      }),
    ),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const out = args.output ?? `${basename(args.new, extname(args.new))}.delta`;
    const { portable, force } = args;
    const options = { out, portable, force, dryRun: context.dryRun };
    const { header, ...made } = await createDelta(context, args.old, args.new, options);
    return { ...made, ...header, dry_run: context.dryRun };
  },
  render(data, view) {
    const percent = ((data.size / data.full) * 100).toFixed(data.size * 10 < data.full ? 2 : 0);
    const rows = data.slots.map(({ id, copied, rebuilt, carried }) => [
      `  ${printable(id)}`,
      copied > 0 ? `${counted(copied, "chunk")} unchanged` : "",
      rebuilt > 0 ? `${counted(rebuilt, "chunk")} made again` : "",
      carried > 0 ? `${counted(carried, "chunk")} carried whole` : "",
    ]);
    const verb = data.dry_run ? "would write" : view.style.green("wrote");
    return [
      between(data, view),
      view.table(rows),
      `${verb} ${printable(data.path)}  ${view.size(data.size)}, ${percent} % of ${view.size(data.full)}`,
    ]
      .filter((line) => line !== "")
      .join("\n");
  },
});

export const apply = command({
  name: "delta apply",
  description:
    "OLD is verified first. The result is compared with the delta's SHA-256 and verified like any package before it gets its name. " +
    "It must be trusted by the trust store, or be signed by --key, or, without either, have a signer of OLD.",
  args: {
    old: { type: "positional", valueHint: "OLD", description: "The package that you have" },
    patch: { type: "positional", valueHint: "PATCH", description: "The delta" },
    output: {
      type: "string",
      alias: "o",
      valueHint: "NEW",
      description: "The new package; default NAME-VERSION.psp in this folder",
    },
    ...TRUST_ARGS,
    force: { type: "boolean", alias: "f", description: "Replace a package that exists" },
  },
  examples: [
    ["sealift delta apply app.psp app.delta", "Write report-2.0.0.psp"],
    ["sealift delta apply app.psp app.delta -o new.psp", "Choose the name"],
  ],
  data: v.strictObject({
    path: v.string(),
    ...Header.entries,
    signers: v.array(v.string()),
    trusted: v.optional(v.boolean()),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const { output: out, key, trust, force } = args;
    const options = { out, key, trust, force, dryRun: context.dryRun };
    const { header, ...made } = await applyDelta(context, args.old, args.patch, options);
    return { ...made, ...header, dry_run: context.dryRun };
  },
  render(data, view) {
    const shown = relative(process.cwd(), data.path);
    const path = printable(shown.startsWith("..") ? data.path : shown);
    return [
      between(data, view),
      `${data.dry_run ? "would write" : view.style.green("wrote")} ${path}  ${view.size(data.to.size)}`,
    ].join("\n");
  },
});

export const inspect = command({
  name: "delta inspect",
  description: "Reads the delta only. What it says is proven when it is applied.",
  args: {
    patch: { type: "positional", valueHint: "PATCH", description: "The delta" },
  },
  examples: [
    ["sealift delta inspect app.delta", "Which packages it is between"],
    ["sealift delta inspect app.delta --json", "The same for a program"],
  ],
  data: v.strictObject({
    path: v.string(),
    size: v.number(),
    ...Header.entries,
    /** Of the new bytes: named in the old package, described as differences, new, and carried as they are stored. */
    bytes: v.strictObject({
      copied: v.number(),
      differing: v.number(),
      literal: v.number(),
      carried: v.number(),
    }),
    /** Pieces that are compressed again, per compression. */
    recompressed: v.record(v.string(), v.number()),
  }),
  async run(_context, args) {
    const { header, ...info } = await inspectDelta(args.patch);
    return { ...info, ...header };
  },
  render(data, view) {
    const { bytes, made_by: by } = data;
    const again = Object.entries(data.recompressed).map(
      ([kind, n]) => `${counted(n, "piece")} with ${kind}`,
    );
    const rows = [
      ["from", `${printable(data.from.version)}  ${data.from.identity}`],
      ["to", `${printable(data.to.version)}  ${data.to.identity}`],
      ["new package", `${view.size(data.to.size)}, SHA-256 ${data.to.sha256}`],
      ["copied from the old one", view.size(bytes.copied)],
      ["described as differences", view.size(bytes.differing)],
      ["new", view.size(bytes.literal)],
      ["carried as stored", view.size(bytes.carried)],
      ["compressed again", again.join(", ") || "nothing"],
      [
        "made by",
        printable(
          `sealift ${by.sealift} (zstd ${by.zstd.slice(0, 12)}, zlib ${by.zlib.slice(0, 12)})`,
        ),
      ],
    ];
    return [between(data, view), view.table(rows.map(([a = "", b = ""]) => [`  ${a}`, b]))].join(
      "\n",
    );
  },
});

function between({ from, to }: Pick<Header, "from" | "to">, { style }: View): string {
  return `${style.bold(printable(`${from.name} ${from.version}`))} → ${style.bold(printable(`${to.name} ${to.version}`))}`;
}
