/**
 * The shape of `sealift.toml` and of the same keys under `[tool.sealift]` in a `pyproject.toml`.
 * Every table is strict: a key that is not here is an error, because a misspelt key that is ignored is a package
 * that does something else than its author meant.
 */
import * as v from "valibot";

import {
  isKeySource,
  LIFECYCLE_NAMES,
  NAME_PATTERN,
  PLATFORM_PATTERN,
  serviceSchema,
  VERSION_PATTERN,
} from "../../pspf/mod.ts";

export const PURPOSES = [
  "payload",
  "data",
  "runtime",
  "code",
  "tool",
  "config",
  "media",
  "asset",
  "library",
  "binary",
  "installer",
] as const;

const OCTAL = /^0?[0-7]{3}$/;

const Text = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0"), "must not hold a NUL character"),
);
const FullText = v.pipe(Text, v.nonEmpty("must not be empty"));
const Words = v.pipe(v.array(Text), v.minLength(1, "must hold the program at least"));
const Mode = v.pipe(v.string(), v.regex(OCTAL, 'must be octal text such as "0755"'));
const EnvName = v.pipe(v.string(), v.regex(/^[^=\0]+$/, "is no name of an environment variable"));
const EnvMap = v.record(EnvName, Text);
const Platform = v.pipe(
  v.string(),
  v.regex(PLATFORM_PATTERN, "must be an os or os_arch such as linux or linux_amd64"),
);

export const PackageName = v.pipe(
  v.string(),
  v.regex(
    NAME_PATTERN,
    "must be letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
  ),
  v.maxBytes(128, "must be at most 128 bytes long"),
);
export const PackageVersion = v.pipe(
  v.string(),
  v.regex(VERSION_PATTERN, "must not be empty and must not hold `/`, `\\` or control characters"),
  v.maxBytes(128, "must be at most 128 bytes long"),
);

export const PackageTable = v.strictObject({
  name: PackageName,
  version: PackageVersion,
  description: v.optional(Text),
  /** SPDX identifier; goes into the index block, which has 16 bytes for it. */
  license: v.optional(v.pipe(FullText, v.maxBytes(16, "must be at most 16 bytes long"))),
});

const RuntimeEnv = v.strictObject({
  pass: v.optional(v.array(EnvName)),
  unset: v.optional(v.array(EnvName)),
  map: v.optional(v.record(EnvName, EnvName)),
  set: v.optional(EnvMap),
});

export const ExecutionTable = v.pipe(
  v.strictObject({
    argv: v.optional(Words),
    command: v.optional(FullText),
    entries: v.optional(v.record(PackageName, Words)),
    env: v.optional(EnvMap),
    runtime: v.optional(v.strictObject({ env: v.optional(RuntimeEnv) })),
  }),
  v.check((table) => !(table.argv && table.command), "must have argv or command, not both"),
);

export const SlotTable = v.strictObject({
  id: v.pipe(
    v.string(),
    v.regex(
      NAME_PATTERN,
      "must be letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
    ),
    v.check((id) => !/^\d+$/.test(id), "must not be a number: {slot:0} means the first slot"),
    v.maxBytes(255, "must be at most 255 bytes long"),
  ),
  source: FullText,
  target: v.optional(Text),
  extract_to: v.optional(Text),
  include: v.optional(v.array(FullText)),
  exclude: v.optional(v.array(FullText)),
  purpose: v.optional(v.picklist(PURPOSES)),
  lifecycle: v.optional(v.picklist(LIFECYCLE_NAMES)),
  permissions: v.optional(Mode),
  platform: v.optional(Platform),
  compression: v.optional(FullText),
  compression_level: v.optional(v.pipe(v.number(), v.integer("must be a whole number"))),
  share: v.optional(v.boolean()),
  encryption: v.optional(v.picklist(["aes256"], 'must be "aes256"')),
  key_source: v.optional(
    v.pipe(v.string(), v.check(isKeySource, 'must be "env:NAME", "file:PATH" or "prompt"')),
  ),
});

/** POSIX-quoted text, or the words themselves. */
const Command = v.union([FullText, Words], 'must be text or an array such as ["sh", "-c", "…"]');

export const SetupStep = v.variant("type", [
  v.strictObject({ type: v.literal("execute"), command: Command }),
  v.strictObject({
    type: v.literal("enumerate_and_execute"),
    command: Command,
    enumerate: v.strictObject({ path: FullText, pattern: FullText }),
  }),
  v.strictObject({
    type: v.literal("write_file"),
    path: FullText,
    content: v.string(),
    mode: v.optional(Mode),
  }),
  v.strictObject({ type: v.literal("chmod"), path: FullText, mode: Mode }),
]);
export type SetupStep = v.InferOutput<typeof SetupStep>;

export const WorkenvTable = v.strictObject({
  directories: v.optional(v.array(v.strictObject({ path: FullText, mode: v.optional(Mode) }))),
  env: v.optional(EnvMap),
});

/** Settings that both kinds of project share, beside `[package]`. */
export const sharedTables = {
  execution: v.optional(ExecutionTable),
  slots: v.optional(v.array(SlotTable)),
  setup: v.optional(v.array(SetupStep)),
  workenv: v.optional(WorkenvTable),
  /** The program is a service that a supervisor keeps up. */
  service: v.optional(serviceSchema),
  /** What `pack` makes without `--platform`; default: this machine's. */
  platforms: v.optional(
    v.pipe(v.array(v.string()), v.minLength(1, "must name one platform at least")),
  ),
  /** Default of the slots: `zstd:19`, `gzip`, `none`, … */
  compression: v.optional(FullText),
  launcher: v.optional(v.picklist(["auto", "rust", "go"])),
  /** Private key file, relative to the manifest. */
  signing: v.optional(v.strictObject({ key: FullText })),
};

export const SealiftManifest = v.strictObject({
  package: PackageTable,
  ...sharedTables,
});
export type SealiftManifest = v.InferOutput<typeof SealiftManifest>;
export type SlotTable = v.InferOutput<typeof SlotTable>;
export type ExecutionTable = v.InferOutput<typeof ExecutionTable>;
export type WorkenvTable = v.InferOutput<typeof WorkenvTable>;
