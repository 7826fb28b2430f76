import { relative } from "node:path";

import * as v from "valibot";

import { UsageError } from "../../base/mod.ts";
import { loadProject, type PackedOutput, packProject, type PackReport } from "../../pack/mod.ts";
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
  /** Of a Python project: version, program and least system of its interpreter. */
  python: v.optional(v.unknown()),
  /** What the programs and libraries inside ask of the target. */
  native: v.optional(
    v.strictObject({
      files: v.number(),
      /** Oldest glibc that everything runs on. */
      glibc: v.optional(v.string()),
      systems: v.array(v.string()),
      musl: v.boolean(),
      from_target: v.array(v.string()),
      missing: v.array(v.strictObject({ slot: v.string(), path: v.string(), library: v.string() })),
    }),
  ),
  /** What was proven before the key signed. */
  checks: v.optional(v.array(v.strictObject({ name: v.string(), detail: v.string() }))),
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
  /** The signed manifest that binds the packages of several platforms. */
  release: v.optional(v.string()),
  notes: v.array(v.string()),
  /** Of a Python project: interpreter, resolution and layout. */
  python: v.optional(v.unknown()),
});
type Data = v.InferOutput<typeof Data>;

export default command({
  name: "pack",
  description:
    "PROJECT is a folder with a sealift.toml, pyproject.toml or setup.py, or the manifest itself; default: this folder. " +
    "For Python also the lock beside the manifest (its versions go in), or a finished wheel. A JSON manifest of the earlier builders is read too. Equal inputs give equal bytes; times come from SOURCE_DATE_EPOCH.",
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
      description:
        "For which system, such as linux_amd64; several make several packages and a release manifest that binds them",
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
      description:
        "Before the key signs: every slot as its source, libraries complete, commands that import",
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
    "python-source": {
      type: "enum",
      group: "Python",
      options: ["any", "local", "managed"],
      description: "Where it comes from: this machine, or one that uv fetches; default any",
    },
    frozen: { type: "boolean", group: "Python", description: "Take versions from the lock only" },
    extra: {
      type: "string",
      repeat: true,
      valueHint: "NAME",
      group: "Python",
      description: "An extra of the project that goes in",
    },
    group: {
      type: "string",
      repeat: true,
      valueHint: "NAME",
      group: "Python",
      description: "A dependency group that goes in",
    },
    "index-url": {
      type: "string",
      valueHint: "URL",
      group: "Package index",
      description:
        "Instead of the public index; NAME=URL takes the login of UV_INDEX_<NAME>_USERNAME and _PASSWORD",
    },
    "extra-index-url": {
      type: "string",
      repeat: true,
      valueHint: "URL",
      group: "Package index",
      description: "Asked before that index; the first one that has a package counts",
    },
    "trusted-host": {
      type: "string",
      repeat: true,
      valueHint: "HOST[:PORT]",
      group: "Package index",
      description: "Accept plain http and unproven certificates from it",
    },
    "find-links": {
      type: "string",
      repeat: true,
      valueHint: "DIR",
      group: "Package index",
      description: "Folder of wheels; with --offline the only other source beside the cache",
    },
    "ca-file": {
      type: "string",
      valueHint: "FILE",
      group: "Package index",
      description: "Certificates (PEM) instead of the system's",
    },
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
      pythonSource: args["python-source"],
      frozen: args.frozen,
      extras: args.extra,
      groups: args.group,
      index: {
        indexUrl: args["index-url"],
        extraIndexUrls: args["extra-index-url"],
        trustedHosts: args["trusted-host"],
        findLinks: args["find-links"],
        caFile: args["ca-file"],
      },
    });
    for (const note of report.notes) context.warn(note);
    const { outputs, dryRun, python, ...rest } = report;
    return {
      ...rest,
      ...(python && { python: pythonData(python) }),
      dry_run: dryRun,
      outputs: outputs.map(({ hostPrograms, native, ...output }) => ({
        ...output,
        host_programs: hostPrograms,
        ...(native && { native: renamed(native) }),
      })),
    };
  },
  render: (data, view) =>
    [
      ...data.outputs.map((output) => renderOutput(data, output, view)),
      ...(data.release === undefined ? [] : [renderWritten(data, data.release, view, "bound by")]),
    ].join("\n\n"),
});

function pythonData({ dependencyHash, sourceHash, ...python }: NonNullable<PackReport["python"]>) {
  return {
    ...python,
    dependency_hash: dependencyHash,
    ...(sourceHash !== undefined && { source_hash: sourceHash }),
  };
}

function renamed({ fromTarget, ...native }: NonNullable<PackedOutput["native"]>) {
  return { ...native, from_target: fromTarget };
}

function renderOutput(data: Data, output: Data["outputs"][number], view: View): string {
  const { style } = view;
  const slots = output.slots.map((slot) => [
    `  ${printable(slot.id)}`,
    slot.operations,
    view.size(slot.original),
    slot.stored === undefined ? "" : view.size(slot.stored),
  ]);
  const size = output.size === undefined ? "" : `  ${view.size(output.size)}`;
  const lines = [
    `${style.bold(printable(`${data.name} ${data.version}`))} for ${output.platform}, ${output.launcher.tool}`,
    view.table(slots),
    output.host_programs.length > 0
      ? `needs on the target: ${printable(output.host_programs.join(", "))}`
      : "",
    renderSystem(output.native),
    renderLibraries(output.native),
    ...(output.checks ?? []).map((check) => renderCheck(check, view)),
    `${renderWritten(data, output.path, view, "packed")}${size}`,
  ];
  return lines.filter((line) => line !== "").join("\n");
}

function renderSystem(native: Data["outputs"][number]["native"]): string {
  if (native?.glibc !== undefined) {
    const systems = native.systems.length === 0 ? "" : `: ${native.systems.join(", ")} and later`;
    return `runs on glibc ≥ ${native.glibc}${systems}`;
  }
  return native?.musl ? "runs on systems with musl, such as Alpine Linux" : "";
}

function renderLibraries(native: Data["outputs"][number]["native"]): string {
  const names = [
    ...(native?.from_target ?? []),
    ...(native?.missing ?? []).map(({ library }) => library),
  ];
  const text = [...new Set(names)].sort().join(", ");
  return text === "" ? "" : `libraries of the target: ${printable(text)}`;
}

/** What a test printed is shown with --verbose. */
function renderCheck({ name, detail }: { name: string; detail: string }, view: View): string {
  const [first = "", ...rest] = detail.split("\n");
  const lines = view.verbose ? rest.map((line) => `    ${printable(line)}`) : [];
  return [`${view.style.green("✓")} ${name}: ${printable(first)}`, ...lines].join("\n");
}

function renderWritten(data: Data, file: string, { style }: View, verb: string): string {
  const path = relative(process.cwd(), file);
  const shown = path.startsWith("..") ? file : path;
  return data.dry_run ? `would write ${shown}` : `${style.green(verb)} ${shown}`;
}
