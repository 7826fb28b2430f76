import { cleanCache, cleanToolFolders } from "../../workenv/mod.ts";
import { command } from "../command.ts";
import { Removal, removalText } from "../removal.ts";

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
    const sweep = async (dryRun: boolean) => {
      const { removed, kept, warnings } = await cleanCache(base, {
        all: args.all,
        dryRun,
        env: context.env,
      });
      const folders = await cleanToolFolders(base, { all: args.all, dryRun });
      const more = folders.map(({ path, size, kind }) => ({ path, size, reason: kind }));
      return { removed: [...removed, ...more], kept, warnings };
    };
    const plan = await sweep(true);
    const answer = { base, removed: plan.removed, kept: plan.kept, dry_run: context.dryRun };
    if (context.dryRun || plan.removed.length === 0) return answer;
    if (!(await context.confirm(`Remove ${plan.removed.length} folders from ${base}?`))) {
      return { ...answer, removed: [] };
    }
    const { removed, kept, warnings } = await sweep(false);
    for (const warning of warnings) context.warn(warning);
    return { ...answer, removed, kept };
  },
  render: removalText,
});
