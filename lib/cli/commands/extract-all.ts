import { resolve } from "node:path";

import * as v from "valibot";

import { extractAll, placeById, placeOf } from "../../pspf/mod.ts";
import { command } from "../command.ts";
import { refuseFilled } from "../destination.ts";
import { KEY_SOURCE_ARG, openWithKeys } from "../slot-keys.ts";
import { counted, printable } from "../view.ts";

export default command({
  name: "extract-all",
  description: "Nothing is written outside the folder, whatever the package says.",
  args: {
    file: { type: "positional", valueHint: "FILE", description: "The package" },
    dir: { type: "positional", valueHint: "DIR", description: "An empty or new folder" },
    by: {
      type: "enum",
      options: ["id", "target"],
      default: "id",
      description: "`id`: one folder or file per slot; `target`: as in the work environment",
    },
    force: { type: "boolean", description: "Also into a folder with files, and over them" },
    "key-source": KEY_SOURCE_ARG,
  },
  examples: [
    ["sealift extract-all app.psp out", "Every slot under its id"],
    ["sealift extract-all app.psp env --by target", "As the launcher would lay it out"],
  ],
  data: v.strictObject({
    dir: v.string(),
    dry_run: v.boolean(),
    slots: v.array(
      v.strictObject({ id: v.string(), path: v.string(), files: v.number(), bytes: v.number() }),
    ),
  }),
  async run(context, args) {
    const dir = resolve(args.dir);
    const pkg = await openWithKeys(context, args.file, args["key-source"]);
    try {
      if (!args.force) refuseFilled(dir);
      if (context.dryRun) {
        const planned = pkg.slots.map((slot) => ({
          id: slot.id,
          path: args.by === "id" ? placeById(slot, dir) : placeOf(pkg, slot, dir),
          files: 0,
          bytes: slot.originalSize ?? 0,
        }));
        return { dir, dry_run: true, slots: planned };
      }
      const slots = await extractAll(pkg, dir, { by: args.by, force: args.force });
      return {
        dir,
        dry_run: false,
        slots: slots.map(({ id, path, files, bytes }) => ({ id, path, files, bytes })),
      };
    } finally {
      await pkg.close();
    }
  },
  render: (data, view) =>
    view.table(
      data.slots.map((slot) => [
        view.style.bold(printable(slot.id)),
        view.size(slot.bytes),
        data.dry_run ? "would be extracted" : counted(slot.files, "file"),
        printable(slot.path),
      ]),
    ),
});
