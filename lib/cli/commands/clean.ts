import { cleanCache, cleanToolFolders } from "../../workenv/mod.ts";
import { command } from "../command.ts";
import { Removal, removalText, removeAfterAsking } from "../removal.ts";

export default command({
  name: "clean",
  description:
    "Removes what is of no use in the cache. With --all everything: work environments, shared slots, downloads, interpreters and launchers. All of it is made or fetched again when it is needed. What runs or is being set up stays, and so does what sealift did not write.",
  args: {
    all: { type: "boolean", description: "Everything that can be made or fetched again" },
  },
  examples: [
    ["sealift clean --dry-run", "Say what would go"],
    ["sealift clean --all --yes", "Empty the cache without asking"],
  ],
  data: Removal,
  async run(context, args) {
    const base = context.cacheDir;
    return await removeAfterAsking(context, base, async (dryRun) => {
      const { removed, kept, warnings } = await cleanCache(base, {
        all: args.all,
        dryRun,
        env: context.env,
      });
      const folders = await cleanToolFolders(base, { all: args.all, dryRun });
      const more = folders.map(({ path, size, kind }) => ({ path, size, reason: kind }));
      return { removed: [...removed, ...more], kept, warnings };
    });
  },
  render: removalText,
});
