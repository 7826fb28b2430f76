import { relative } from "node:path";

import * as v from "valibot";

import { UsageError } from "../../base/mod.ts";
import { loadProject, packProject } from "../../pack/mod.ts";
import { passphraseFrom } from "../../trust/mod.ts";
import { command } from "../command.ts";
import { askNewPassphrase, KEY_SOURCE_ARG } from "../slot-keys.ts";
import { printable, type View } from "../view.ts";

const Output = v.strictObject({
  platform: v.string(),
  path: v.string(),
  launcher: v.strictObject({ tool: v.string(), version: v.string(), size: v.number() }),
  slots: v.array(
    v.strictObject({
      id: v.string(),
      target: v.string(),
      operations: v.string(),
      original: v.number(),
      stored: v.optional(v.number()),
    }),
  ),
  /** Programs that the target machine must have. */
  host_programs: v.array(v.string()),
  size: v.optional(v.number()),
  identity: v.optional(v.string()),
});

const Data = v.strictObject({
  name: v.string(),
  version: v.string(),
  manifest: v.string(),
  dry_run: v.boolean(),
  key: v.strictObject({
    origin: v.string(),
    created: v.boolean(),
    fingerprint: v.optional(v.string()),
  }),
  outputs: v.array(Output),
  notes: v.array(v.string()),
  /** Of a Python project: interpreter, resolution and layout. */
  python: v.optional(v.unknown()),
});
type Data = v.InferOutput<typeof Data>;

export default command({
  name: "pack",
  description:
    "PROJECT is a folder with a sealift.toml or pyproject.toml, or the manifest itself; default: this folder. " +
    "A JSON manifest of the earlier builders is read too. Equal inputs give equal bytes; times come from SOURCE_DATE_EPOCH.",
  args: {
    project: {
      type: "positional",
      required: false,
      valueHint: "PROJECT",
      description: "Folder or manifest",
    },
    manifest: {
      type: "string",
      alias: "m",
      valueHint: "FILE",
      description: "The manifest, instead of PROJECT",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "OUT",
      description:
        "The package, or a folder for it; default dist/NAME.psp beside the manifest, for Windows NAME.exe",
    },
    platform: {
      type: "string",
      repeat: true,
      valueHint: "P",
      description: "For which system, such as linux_amd64; several make several packages",
    },
    launcher: {
      type: "enum",
      options: ["auto", "rust", "go"],
      description: "Which launcher; auto: rust where there is one",
    },
    "launcher-bin": { type: "string", valueHint: "FILE", description: "A launcher of your own" },
    compression: {
      type: "string",
      valueHint: "ALGO[:LEVEL]",
      description: "For every slot, whatever it says: none, gzip, bzip2, xz or zstd",
    },
    compat: {
      type: "enum",
      options: ["flavorpack"],
      description: "What the earlier launchers can run",
    },
    force: { type: "boolean", alias: "f", description: "Replace packages that exist" },
    key: {
      type: "string",
      valueHint: "FILE",
      group: "Signing",
      description: "Private key; default: the project's, else your default key",
    },
    "key-seed": {
      type: "string",
      valueHint: "TEXT|env",
      group: "Signing",
      description: "Derive the key from a text; `env` takes SEALIFT_KEY_SEED",
    },
    "passphrase-file": {
      type: "string",
      valueHint: "FILE",
      group: "Signing",
      description: "First line: passphrase of the key",
    },
    "validate-before-sign": {
      type: "boolean",
      group: "Proof",
      description: "Decode every slot and compare it with its source before the key signs",
    },
    "test-command": {
      type: "string",
      valueHint: "CMD",
      group: "Proof",
      description: "Must succeed in the extracted package before the key signs",
    },
    "key-source": {
      ...KEY_SOURCE_ARG,
      description:
        "Where the key of an encrypted slot is now; the package asks for it where key_source says",
    },
    python: {
      type: "string",
      valueHint: "V|PATH|ARCHIVE",
      group: "Python",
      description: "Which interpreter goes in",
    },
    frozen: { type: "boolean", group: "Python", description: "Take versions from the lock only" },
  },
  examples: [
    ["sealift pack", "Pack the project in this folder"],
    ["sealift pack --dry-run", "Say what would be packed"],
  ],
  data: Data,
  async run(context, args) {
    if (args.project !== undefined && args.manifest !== undefined) {
      throw new UsageError("PROJECT_TWICE", "PROJECT and --manifest name the same thing", {
        hint: "Give one of them.",
      });
    }
    const project = await loadProject(args.manifest ?? args.project ?? ".", { env: context.env });
    const report = await packProject(context, project, {
      platforms: args.platform,
      launcher: args.launcher,
      launcherBin: args["launcher-bin"],
      key: args.key,
      keySeed: args["key-seed"],
      passphrase: passphraseFrom({
        env: context.env,
        file: args["passphrase-file"],
        prompt: () => context.askSecret("Passphrase of the key"),
      }),
      compression: args.compression,
      compat: args.compat,
      output: args.output,
      force: args.force,
      dryRun: context.dryRun,
      validateBeforeSign: args["validate-before-sign"],
      testCommand: args["test-command"],
      slotKeys: {
        sources: args["key-source"],
        prompt: (question) => askNewPassphrase(context, question),
      },
      python: args.python,
      frozen: args.frozen,
    });
    for (const note of report.notes) context.warn(note);
    const { outputs, dryRun, ...rest } = report;
    return {
      ...rest,
      dry_run: dryRun,
      outputs: outputs.map(({ hostPrograms, ...output }) => ({
        ...output,
        host_programs: hostPrograms,
      })),
    };
  },
  render: (data, view) =>
    data.outputs.map((output) => renderOutput(data, output, view)).join("\n\n"),
});

function renderOutput(data: Data, output: Data["outputs"][number], view: View): string {
  const { style } = view;
  const slots = output.slots.map((slot) => [
    `  ${printable(slot.id)}`,
    slot.operations,
    view.size(slot.original),
    slot.stored === undefined ? "" : view.size(slot.stored),
  ]);
  const path = relative(process.cwd(), output.path);
  const shown = path.startsWith("..") ? output.path : path;
  const size = output.size === undefined ? "" : `  ${view.size(output.size)}`;
  const lines = [
    `${style.bold(printable(`${data.name} ${data.version}`))} for ${output.platform}, ${output.launcher.tool}`,
    view.table(slots),
    output.host_programs.length > 0
      ? `needs on the target: ${printable(output.host_programs.join(", "))}`
      : "",
    data.dry_run ? `would write ${shown}` : `${style.green("packed")} ${shown}${size}`,
  ];
  return lines.filter((line) => line !== "").join("\n");
}
