import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import * as v from "valibot";

import { EnvironmentError, writeFileAtomic } from "../../base/mod.ts";
import { detectProject, writeManifest } from "../../pack/mod.ts";
import { command } from "../command.ts";
import { printable } from "../view.ts";

export default command({
  name: "init",
  description:
    "Looks for a package.json, a native program, a script or a Java archive, asks for name and version, and writes a manifest that packs as it is. " +
    "With --yes, or without a terminal and with --yes, the answers are what the project says.",
  args: {
    dir: {
      type: "positional",
      required: false,
      default: ".",
      valueHint: "DIR",
      description: "Folder of the project",
    },
    force: { type: "boolean", description: "Replace a sealift.toml that exists" },
  },
  examples: [
    ["sealift init --yes", "Write sealift.toml for this folder, without questions"],
    ["sealift init --yes --dry-run", "Only show it"],
  ],
  data: v.strictObject({
    manifest: v.string(),
    kind: v.string(),
    because: v.string(),
    text: v.string(),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const manifest = join(resolve(args.dir), "sealift.toml");
    if (existsSync(manifest) && !args.force) {
      throw new EnvironmentError("FILE_EXISTS", `${manifest}: exists already`, {
        hint: "Use `--force` to replace it.",
      });
    }
    const found = detectProject(args.dir, context.env);
    if (!context.yes) {
      if (!(await context.confirm(`${found.because}. Write a manifest for it?`))) {
        throw new EnvironmentError("ABORTED", "Nothing was written", {
          hint: "Write a sealift.toml by hand; the reference shows one.",
        });
      }
      found.name = await context.ask("Name of the package", found.name);
      found.version = await context.ask("Version", found.version);
    }
    const text = writeManifest(found);
    if (!context.dryRun) await writeFileAtomic(manifest, text, { force: args.force });
    return { manifest, kind: found.kind, because: found.because, text, dry_run: context.dryRun };
  },
  render: (data, view) =>
    [
      `${printable(data.because)}`,
      data.dry_run ? view.style.dim(printable(data.text.trimEnd())) : "",
      data.dry_run
        ? `would write ${data.manifest}`
        : `${view.style.green("wrote")} ${data.manifest}; next: sealift pack`,
    ]
      .filter((line) => line !== "")
      .join("\n"),
});
