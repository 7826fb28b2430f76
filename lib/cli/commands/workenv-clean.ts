import { cleanCache } from "../../workenv/mod.ts";
import { command } from "../command.ts";
import { Removal, removalText, removeAfterAsking } from "../removal.ts";

export default command({
  name: "workenv clean",
  description:
    "Removes what is of no use: work environments that were never finished, shared slots that none uses, what an interrupted removal left. What runs or is being set up stays.",
  args: {
    "older-than": {
      type: "string",
      number: true,
      valueHint: "DAYS",
      description: "Also work environments that were not started for so many days",
    },
    all: { type: "boolean", description: "Also every other work environment and shared slot" },
  },
  examples: [
    ["sealift workenv clean --dry-run", "Say what would go"],
    ["sealift workenv clean --older-than 30 --yes", "Also what nobody started for 30 days"],
  ],
  data: Removal,
  async run(context, args) {
    const options = {
      all: args.all,
      ...(args["older-than"] === undefined ? {} : { olderThanDays: args["older-than"] }),
      env: context.env,
    };
    const base = context.cacheDir;
    return await removeAfterAsking(context, base, (dryRun) =>
      cleanCache(base, { ...options, dryRun }),
    );
  },
  render: removalText,
});
