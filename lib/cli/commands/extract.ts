import { basename, resolve } from "node:path";

import * as v from "valibot";

import { AtomicFile, quoted, UsageError } from "../../base/mod.ts";
import { decodedSlot, extractSlot, type Package } from "../../pspf/mod.ts";
import { command, type CommandContext } from "../command.ts";
import { refuseFilled } from "../destination.ts";
import { KEY_SOURCE_ARG, openWithKeys } from "../slot-keys.ts";
import { counted, printable } from "../view.ts";

export default command({
  name: "extract",
  description:
    "A slot of a folder becomes a folder, any other slot a file. Its stored bytes are compared with the signed SHA-256 first.",
  args: {
    file: { type: "positional", valueHint: "FILE", description: "The package" },
    slot: { type: "positional", valueHint: "SLOT", description: "Id or number of the slot" },
    output: {
      type: "string",
      alias: "o",
      valueHint: "PATH",
      description: "Where it goes; default: the id, in this folder. `-`: a file to standard output",
    },
    "raw-tar": { type: "boolean", description: "The tar archive of a folder, not its files" },
    force: { type: "boolean", description: "Replace files that exist" },
    "key-source": KEY_SOURCE_ARG,
  },
  examples: [
    ["sealift extract app.psp app -o app-files", "The files of the slot app"],
    ["sealift extract app.psp 0 --raw-tar -o app.tar", "The first slot as a tar archive"],
  ],
  data: v.strictObject({
    slot: v.string(),
    /** Absent when it went to standard output. */
    path: v.optional(v.string()),
    files: v.number(),
    bytes: v.number(),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const pkg = await openWithKeys(context, args.file, args["key-source"]);
    try {
      return { ...(await extract(context, pkg, args)), dry_run: context.dryRun };
    } finally {
      await pkg.close();
    }
  },
  render: (data, view) => {
    if (data.path === undefined) return "";
    const way = `${printable(data.slot)} → ${printable(data.path)}`;
    if (data.dry_run) return `would extract ${way}`;
    return `${way} (${counted(data.files, "file")}, ${view.size(data.bytes)})`;
  },
});

interface Wanted {
  slot: string;
  output: string | undefined;
  "raw-tar": boolean;
  force: boolean;
}

async function extract(context: CommandContext, pkg: Package, args: Wanted) {
  const index = findSlot(pkg, args.slot);
  const slot = pkg.slots[index] as Package["slots"][number];
  const isFolder = slot.operations[0] === "tar" && !args["raw-tar"];
  if (args.output === "-") {
    if (isFolder) {
      throw new UsageError(
        "OUTPUT_FOLDER",
        `Slot ${slot.id} is a folder and cannot go to standard output`,
        {
          hint: "Add `--raw-tar`, or name a folder with `-o`.",
        },
      );
    }
    await context.writeOutput(decodedSlot(pkg, index));
    return { slot: slot.id, files: 1, bytes: slot.originalSize ?? 0 };
  }
  const path = resolve(args.output ?? defaultName(slot.id, isFolder, args["raw-tar"]));
  if (isFolder && !args.force) refuseFilled(path);
  if (context.dryRun) return { slot: slot.id, path, files: 0, bytes: slot.originalSize ?? 0 };
  if (args["raw-tar"]) return await rawTar(pkg, index, path, args.force);
  const {
    files,
    bytes,
    path: written,
  } = await extractSlot(pkg, index, path, { force: args.force });
  return { slot: slot.id, path: written, files, bytes };
}

/** Other writers put anything into an id: only its last part names a file here. */
function defaultName(id: string, isFolder: boolean, isRawTar: boolean): string {
  const name = basename(id.replaceAll("\\", "/")).replace(/^\.+/, "") || "slot";
  return isRawTar && !isFolder ? `${name}.tar` : name;
}

async function rawTar(pkg: Package, index: number, path: string, force: boolean) {
  await using file = await AtomicFile.create(path, { force });
  for await (const piece of decodedSlot(pkg, index)) await file.write(piece);
  const bytes = file.position;
  await file.commit();
  return { slot: pkg.slots[index]?.id ?? "", path, files: 1, bytes };
}

/** An id, or a number when no slot has that id. */
function findSlot(pkg: Package, text: string): number {
  const byId = pkg.slots.findIndex((slot) => slot.id === text);
  if (byId >= 0) return byId;
  if (/^\d+$/.test(text) && Number(text) < pkg.slots.length) return Number(text);
  throw new UsageError("SLOT_UNKNOWN", `${pkg.path}: there is no slot ${quoted(text)}`, {
    hint: `Slots: ${pkg.slots.map((slot) => printable(slot.id)).join(", ") || "none"}.`,
  });
}
