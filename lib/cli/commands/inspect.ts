import * as v from "valibot";

import { openPackage } from "../../pspf/mod.ts";
import { command } from "../command.ts";
import { compression } from "../inspect/compression.ts";
import { describe, Head, overview, slotDetails, slotList } from "../inspect/head.ts";

export default command({
  name: "inspect",
  description:
    "Reads the head of the package only; `verify` also checks the contents. Damaged and unsigned packages are shown, with what is wrong.",
  args: {
    file: { type: "positional", valueHint: "FILE", description: "The package" },
    slots: { type: "boolean", description: "Every field of every slot" },
    compression: { type: "boolean", description: "How the slots are stored, and what that saves" },
  },
  examples: [
    ["sealift inspect app.psp", "What is inside"],
    ["sealift inspect app.psp --compression", "How well each slot is compressed"],
  ],
  data: v.strictObject({ ...Head.entries, show: v.array(v.picklist(["slots", "compression"])) }),
  async run(_context, args) {
    const pkg = await openPackage(args.file, { lenient: true });
    try {
      const show = (["slots", "compression"] as const).filter((name) => args[name]);
      return { ...describe(pkg, args.file), show };
    } finally {
      await pkg.close();
    }
  },
  render(data, view) {
    const parts = [overview(data, view)];
    if (data.show.includes("slots")) parts.push(slotDetails(data, view));
    else if (!data.show.includes("compression")) parts.push(slotList(data, view));
    if (data.show.includes("compression")) parts.push(compression(data, view));
    return parts.filter((part) => part !== "").join("\n\n");
  },
});
