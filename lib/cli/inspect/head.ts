/** The head of a package for people and programs: what it says about itself, its signers and its slots. */
import * as v from "valibot";

import { formatOperations, type Package } from "../../pspf/mod.ts";
import { keyFingerprint } from "../../trust/mod.ts";
import { printable, type View } from "../view.ts";

const Slot = v.strictObject({
  slot: v.number(),
  id: v.string(),
  target: v.string(),
  operations: v.string(),
  size: v.number(),
  /** Absent where the writer did not promise it. */
  original_size: v.optional(v.number()),
  purpose: v.string(),
  lifecycle: v.string(),
  permissions: v.string(),
  platform: v.optional(v.string()),
  share: v.boolean(),
  chunks: v.number(),
  /** How its key is made, and where it is looked for. */
  encryption: v.optional(v.strictObject({ kdf: v.string(), key_source: v.string() })),
  checksum: v.optional(v.string()),
});

export const Head = v.strictObject({
  file: v.string(),
  name: v.string(),
  version: v.string(),
  description: v.optional(v.string()),
  size: v.number(),
  identity: v.string(),
  format: v.string(),
  sealed: v.boolean(),
  /** Fingerprints of the keys whose signatures hold. */
  signers: v.array(v.string()),
  /** What is wrong with the package; empty when its head is sound. Slot contents are not read. */
  problems: v.array(v.strictObject({ code: v.string(), message: v.string() })),
  launcher: v.strictObject({ tool: v.string(), version: v.string(), size: v.number() }),
  build: v.optional(
    v.strictObject({
      tool: v.string(),
      version: v.string(),
      timestamp: v.string(),
      platform: v.string(),
    }),
  ),
  execution: v.strictObject({
    command: v.optional(v.string()),
    argv: v.optional(v.array(v.string())),
    entries: v.record(v.string(), v.array(v.string())),
    env: v.array(v.string()),
  }),
  setup_commands: v.number(),
  slots: v.array(Slot),
});
export type Head = v.InferOutput<typeof Head>;

/** What the head of the package says: nothing here reads a slot. */
export function describe(pkg: Package, file: string): Head {
  const { metadata } = pkg;
  const { name, version, description } = metadata.package;
  const { command: text, argv, entries, env } = metadata.execution;
  const { build, launcher } = metadata;
  return {
    file,
    name,
    version,
    ...(description !== undefined && { description }),
    size: pkg.size,
    identity: pkg.identity,
    format: `PSPF/2025 ${metadata.format_version}`.trim(),
    sealed: pkg.sealed,
    signers: pkg.signers.map(keyFingerprint),
    problems: pkg.problems.map(({ code, message }) => ({ code, message })),
    launcher: {
      tool: launcher?.tool ?? "unknown",
      version: launcher?.tool_version ?? "",
      size: pkg.layout.launcher.end - pkg.layout.launcher.start,
    },
    ...(build && {
      build: {
        tool: build.tool,
        version: build.tool_version,
        timestamp: build.timestamp,
        platform: `${build.os}_${build.arch}`,
      },
    }),
    execution: {
      ...(text !== undefined && { command: text }),
      ...(argv && { argv }),
      entries,
      env: Object.keys(env),
    },
    setup_commands: metadata.setup_commands.length,
    slots: pkg.slots.map(describeSlot),
  };
}

function describeSlot(slot: Package["slots"][number]): v.InferOutput<typeof Slot> {
  const { encryption } = slot.metadata;
  return {
    slot: slot.index,
    id: slot.id,
    target: slot.target,
    operations: formatOperations(slot.operations),
    size: slot.size,
    ...(slot.originalSize !== undefined && { original_size: slot.originalSize }),
    purpose: slot.purpose,
    lifecycle: slot.lifecycle,
    permissions: slot.permissions.toString(8).padStart(4, "0"),
    ...(slot.platform && { platform: slot.platform }),
    share: slot.share,
    chunks: slot.chunks?.length ?? 0,
    ...(encryption && {
      encryption: { kdf: encryption.kdf, key_source: encryption.key_source },
    }),
    ...(slot.checksum && { checksum: slot.checksum }),
  };
}

export function overview(data: Head, view: View): string {
  const { style } = view;
  const { execution, build } = data;
  const rows: string[][] = [
    ["size", view.size(data.size)],
    ["identity", data.identity],
    [
      "format",
      `${data.format}, ${data.sealed ? "sealed: the signature pins every byte" : "not sealed"}`,
    ],
    ["signed by", data.signers.join(", ") || style.red("nobody whose signature holds")],
    [
      "launcher",
      printable(`${data.launcher.tool} ${data.launcher.version}, ${view.size(data.launcher.size)}`),
    ],
  ];
  if (build)
    rows.push([
      "built by",
      printable(`${build.tool} ${build.version} for ${build.platform}, ${build.timestamp}`),
    ]);
  rows.push(["command", printable(execution.argv?.join(" ") ?? execution.command ?? "")]);
  for (const [name, words] of Object.entries(execution.entries)) {
    rows.push([`entry ${printable(name)}`, printable(words.join(" "))]);
  }
  if (data.setup_commands > 0)
    rows.push(["setup", `${data.setup_commands} commands at the first start`]);
  return [
    style.bold(printable(`${data.name} ${data.version}`)) +
      (data.description ? `  ${printable(data.description)}` : ""),
    ...data.problems.map(({ code, message }) => style.red(`✗ ${code}: ${printable(message)}`)),
    view.table(rows.map(([key = "", value = ""]) => [style.dim(key), value])),
  ].join("\n");
}

export function slotList(data: Head, view: View): string {
  if (data.slots.length === 0) return "no slots";
  return view.table(
    data.slots.map((slot) => [
      String(slot.slot),
      view.style.bold(printable(slot.id)),
      view.size(slot.size),
      printable(slot.operations),
      printable(slot.lifecycle),
      place(slot),
      slot.encryption === undefined ? "" : `key: ${printable(slot.encryption.key_source)}`,
    ]),
  );
}

function place(slot: Head["slots"][number]): string {
  if (slot.share) return "shared store";
  return printable(`{workenv}${slot.target === "" ? "" : `/${slot.target}`}`);
}

export function slotDetails(data: Head, view: View): string {
  return data.slots
    .map((slot) => {
      const { slot: index, id, ...fields } = slot;
      const rows = Object.entries(fields).map(([key, value]) => [
        view.style.dim(`  ${key}`),
        printable(typeof value === "object" ? Object.values(value).join(", ") : String(value)),
      ]);
      return `${index} ${view.style.bold(printable(id))}\n${view.table(rows)}`;
    })
    .join("\n");
}
