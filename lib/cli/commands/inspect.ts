import { resolve } from "node:path";

import * as v from "valibot";

import { writeFileAtomic } from "../../base/mod.ts";
import { loadReports } from "../../pack/mod.ts";
import { openPackage } from "../../pspf/mod.ts";
import { command } from "../command.ts";
import { renderCommands } from "../inspect/commands.ts";
import { compression } from "../inspect/compression.ts";
import {
  Dependencies,
  describeDependencies,
  renderDependencies,
  renderWhy,
  Why,
} from "../inspect/dependencies.ts";
import { describe, Head, overview, slotDetails, slotList } from "../inspect/head.ts";
import { describeSizes, renderSizes, Sizes } from "../inspect/sizes.ts";
import { describeRelease, isRelease, ReleaseHead, renderRelease } from "../release.ts";
import { printable } from "../view.ts";

const VIEWS = ["commands", "slots", "compression", "sizes", "deps", "tree"] as const;

const Data = v.strictObject({
  ...Head.entries,
  show: v.array(v.picklist(VIEWS)),
  sizes: v.optional(Sizes),
  dependencies: v.optional(Dependencies),
  why: v.optional(Why),
  /** The page that was written, or would be. */
  html: v.optional(v.string()),
  dry_run: v.boolean(),
});
type Data = v.InferOutput<typeof Data>;

export default command({
  name: "inspect",
  description:
    "Reads the head of the package; --sizes, --html, --deps, --tree and --why also read the slots. `verify` checks everything. Damaged and unsigned packages are shown, with what is wrong.",
  args: {
    file: {
      type: "positional",
      valueHint: "FILE",
      description: "The package, or a release manifest",
    },
    commands: { type: "boolean", description: "What can be started, and how" },
    slots: { type: "boolean", description: "Every field of every slot" },
    compression: { type: "boolean", description: "How the slots are stored, and what that saves" },
    sizes: { type: "boolean", description: "Where the bytes are; with --verbose every small part" },
    html: {
      type: "string",
      valueHint: "OUT.html",
      description: "The same as a page with a treemap, down to every file",
    },
    force: { type: "boolean", description: "Replace a page that exists" },
    deps: {
      type: "boolean",
      group: "Python",
      description: "The distributions inside, and what requires them",
    },
    tree: { type: "boolean", group: "Python", description: "The same as a tree" },
    why: {
      type: "string",
      valueHint: "NAME",
      group: "Python",
      description: "The ways from the application to this distribution",
    },
  },
  examples: [
    ["sealift inspect app.psp", "What is inside"],
    ["sealift inspect app.psp --commands", "What can be started"],
    ["sealift inspect app.psp --compression", "How well each slot is compressed"],
    ["sealift inspect app.psp --html sizes.html", "Where the bytes are, as a page"],
    ["sealift inspect app.psp --deps", "The Python distributions inside"],
  ],
  data: v.union([Data, ReleaseHead]),
  async run(context, args) {
    if (isRelease(args.file)) {
      const asked = (["html", "why", ...VIEWS] as const).find((name) => args[name]);
      return await describeRelease(args.file, asked);
    }
    const pkg = await openPackage(args.file, { lenient: true });
    let head: Head;
    try {
      head = describe(pkg, args.file);
    } finally {
      await pkg.close();
    }
    const data: Data = {
      ...head,
      show: VIEWS.filter((name) => args[name]),
      dry_run: context.dryRun,
    };
    const { html, why } = args;
    if (args.sizes || html !== undefined) data.sizes = await readSizes(args.file);
    if (args.deps || args.tree || why !== undefined) {
      const { dependencyReport } = await loadReports();
      const found = await dependencyReport(args.file, why);
      data.dependencies = describeDependencies(found.report);
      if (found.why !== undefined) data.why = found.why;
    }
    if (html !== undefined && data.sizes !== undefined) {
      data.html = resolve(html);
      const { sizePage } = await import("../inspect/page.ts");
      const page = sizePage(head, data.sizes);
      if (!context.dryRun) await writeFileAtomic(data.html, page, { force: args.force });
    }
    return data;
  },
  render(data, view) {
    if ("kind" in data) return renderRelease(data, view);
    const { show } = data;
    const parts = [
      show.includes("commands") && renderCommands(data, view),
      show.includes("slots") && slotDetails(data, view),
      show.includes("compression") && compression(data, view),
      show.includes("sizes") && data.sizes && renderSizes(data.sizes, view),
      ...(["deps", "tree"] as const).map(
        (shape) =>
          show.includes(shape) &&
          data.dependencies &&
          renderDependencies(data.dependencies, shape, view),
      ),
      data.why && renderWhy(data.why, view),
      data.html && `${data.dry_run ? "would write" : "wrote"} ${printable(data.html)}`,
    ].filter((part) => typeof part === "string");
    if (parts.length === 0) parts.push(slotList(data, view));
    if (needsOverview(data)) parts.unshift(overview(data, view));
    return parts.join("\n\n");
  },
});

async function readSizes(file: string): Promise<Sizes> {
  const { sizeReport } = await loadReports();
  return describeSizes(await sizeReport(file));
}

/** Answers to one question stand alone. */
function needsOverview({ show, html, why }: Data): boolean {
  const isAboutSlots = show.every((name) => name === "slots" || name === "compression");
  return isAboutSlots && html === undefined && why === undefined;
}
