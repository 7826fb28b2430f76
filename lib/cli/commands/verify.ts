import * as v from "valibot";

import { judgePackage } from "../../pack/mod.ts";
import { command } from "../command.ts";
import {
  isRelease,
  refusePlatforms,
  ReleaseVerdict,
  renderVerdict,
  verifyRelease,
} from "../release.ts";
import { checkRow, Checks, describeChecks, TRUST_ARGS, verdictLines } from "../verdict.ts";
import { printable, type View } from "../view.ts";

const Range = v.strictObject({
  start: v.number(),
  end: v.number(),
  what: v.string(),
  covered: v.boolean(),
});

const PackageVerdict = v.strictObject({
  file: v.string(),
  name: v.string(),
  version: v.string(),
  identity: v.string(),
  ok: v.boolean(),
  sealed: v.boolean(),
  checks: Checks,
  coverage: v.strictObject({
    total: v.number(),
    covered: v.number(),
    /** 0 to 100, rounded down: 100 means every byte. */
    percent: v.number(),
    ranges: v.array(Range),
  }),
  signers: v.array(v.string()),
  /** Slots whose content was not checked, because that needs their keys. */
  encrypted: v.array(v.strictObject({ slot: v.string(), key_source: v.string() })),
  trusted: v.optional(v.boolean()),
  trust_store: v.optional(v.string()),
});
type PackageVerdict = v.InferOutput<typeof PackageVerdict>;

export default command({
  name: "verify",
  description:
    "Checks what the launcher checks and every slot, without running anything and without the network. " +
    "Of a release manifest (NAME.release.json): its signature and every package beside it. " +
    "Exit code 1: a check failed; 3: the file is no package.",
  args: {
    file: {
      type: "positional",
      valueHint: "FILE",
      description: "The package, or a release manifest",
    },
    ...TRUST_ARGS,
    strict: {
      type: "boolean",
      group: "Trust",
      description: "Demand a trust store, and a signature that covers every byte",
    },
    platform: {
      type: "string",
      repeat: true,
      valueHint: "P",
      description: "Of a release: only the packages for these systems, the others may be missing",
    },
  },
  examples: [
    ["sealift verify app.psp", "Check every byte"],
    ["sealift verify app.psp --json", "The same for a program"],
    [
      "sealift verify report-1.4.0.release.json --platform linux_amd64",
      "A release, and its package for this system",
    ],
  ],
  data: v.union([PackageVerdict, ReleaseVerdict]),
  async run(context, args) {
    if (isRelease(args.file)) return await verifyRelease(context, args);
    refusePlatforms(args.file, args.platform);
    const { trustStore, coverage, encrypted, ...verdict } = await judgePackage(
      context,
      args.file,
      args,
    );
    return {
      file: args.file,
      ...verdict,
      encrypted: encrypted.map(({ id, keySource }) => ({ slot: id, key_source: keySource })),
      checks: describeChecks(verdict.checks),
      coverage: {
        ...coverage,
        percent: Math.floor((coverage.covered / coverage.total) * 10_000) / 100,
        ranges: coverage.ranges.map(({ start, end, what, covered }) => ({
          start,
          end,
          what,
          covered,
        })),
      },
      ...(trustStore && { trust_store: trustStore }),
    };
  },
  render: (data, view) => ("kind" in data ? renderVerdict(data, view) : render(data, view)),
  exit: (data) => (data.ok ? 0 : 1),
});

function render(data: PackageVerdict, view: View): string {
  const { style } = view;
  const shown = data.checks.filter(
    (check) => view.verbose || !check.ok || !check.name.startsWith("slot "),
  );
  const slots = data.checks.filter((check) => check.name.startsWith("slot "));
  const rows = shown.map((check) => checkRow(check, view));
  if (!view.verbose && slots.length > 0 && slots.every((check) => check.ok)) {
    rows.push([
      style.green("✓"),
      "slots",
      `${slots.length} of ${slots.length} match their SHA-256`,
    ]);
  }
  const { coverage } = data;
  const open = coverage.ranges.filter((range) => !range.covered);
  return [
    `${style.bold(`${printable(data.name)} ${printable(data.version)}`)}  ${style.dim(data.identity.slice(0, 16))}`,
    view.table(rows),
    `signature covers ${coverage.percent} % of ${view.size(coverage.total)}`,
    ...open.map((range) => `  not covered: ${range.start}–${range.end} ${printable(range.what)}`),
    ...data.encrypted.map(
      ({ slot, key_source }) =>
        `slot ${printable(slot)} is encrypted (${printable(key_source)}): its content was not checked`,
    ),
    ...verdictLines(data, view),
  ].join("\n");
}
