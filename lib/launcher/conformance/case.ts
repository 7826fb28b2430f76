/**
 * The shape of a conformance case: a package, what is done to it, and what each start of it must show.
 * The cases are JSON files in `test/conformance/cases`, read by this program, and describe behaviour of
 * docs/reference/launcher.md; behaviour without a case does not exist.
 */

import * as v from "valibot";

const Text = v.string();
const Count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** A file of a tree slot: its text, or text with a mode, or a link. */
const TreeFile = v.union([
  Text,
  v.strictObject({ text: Text, mode: v.optional(Text) }),
  v.strictObject({ symlink: Text }),
  v.strictObject({ hardlink: Text }),
]);

/** With operations that end in `aes256gcm`. */
const CaseEncryption = v.strictObject({
  /** What the key source holds: 64 hex digits, or a passphrase. */
  key: Text,
  /** `env:NAME`, `file:PATH`, `prompt`. */
  source: Text,
  /** With the writer `raw`: numbers of the encrypted chunks that are stored, in this order. */
  chunks: v.optional(v.array(Count)),
});
export type CaseEncryption = v.InferOutput<typeof CaseEncryption>;

const CaseSlot = v.strictObject({
  id: Text,
  target: Text,
  operations: v.optional(Text, "gzip"),
  permissions: v.optional(Text),
  lifecycle: v.optional(Text),
  platform: v.optional(Text),
  share: v.optional(v.boolean()),
  encryption: v.optional(CaseEncryption),
  /** Content: one of text, files, or `zeros` bytes. */
  text: v.optional(Text),
  files: v.optional(v.record(Text, TreeFile)),
  zeros: v.optional(Count),
  /** With the writer `raw`: tar members written without any check. */
  members: v.optional(
    v.array(
      v.strictObject({
        name: Text,
        /** ustar type flag; default `0`. */
        type: v.optional(Text, "0"),
        link: v.optional(Text, ""),
        text: v.optional(Text, ""),
        /** Size written into the header when it is to lie. */
        size: v.optional(Count),
      }),
    ),
  ),
});
export type CaseSlot = v.InferOutput<typeof CaseSlot>;

/** A change to the finished file. Regions: launcher, metadata, table, padding, `slot:<n>`, index, trailer. */
const Damage = v.union([
  v.strictObject({ flip: Text, at: Count }),
  v.strictObject({ truncate: Count }),
  v.strictObject({ append: Text }),
  v.strictObject({ zeroSignature: v.literal(true) }),
]);
export type Damage = v.InferOutput<typeof Damage>;

const Step = v.strictObject({
  /** File name to start it under (a copy); default `<package>.psp`. */
  as: v.optional(Text),
  args: v.optional(v.array(Text), []),
  env: v.optional(v.record(Text, Text), {}),
  unset: v.optional(v.array(Text), []),
  /** Shell text run before the start with $CACHE, $WORKENV, $FILE and $DIR set. */
  before: v.optional(Text),
  /** How many are started together. */
  together: v.optional(Count, 1),
  exit: v.optional(Count, 0),
  /** Code of messages.json: its exit code and the fixed beginning of its text are expected. */
  error: v.optional(Text),
  stdout: v.optional(Text),
  stdoutHas: v.optional(v.array(Text), []),
  stderr: v.optional(Text),
  stderrHas: v.optional(v.array(Text), []),
  /** Shell text run after the start; it must exit 0. */
  after: v.optional(Text),
});
export type Step = v.InferOutput<typeof Step>;

export const Case = v.strictObject({
  name: Text,
  on: v.optional(v.array(Text), ["linux", "darwin"]),
  writers: v.optional(v.array(v.picklist(["sealed", "flavorpack", "raw"])), ["sealed"]),
  package: v.optional(Text, "case"),
  version: v.optional(Text, "1.0.0"),
  execution: v.optional(v.record(Text, v.unknown()), {}),
  runtime: v.optional(v.record(Text, v.unknown())),
  workenv: v.optional(v.record(Text, v.unknown())),
  setup: v.optional(v.array(v.unknown())),
  slots: v.optional(v.array(CaseSlot), []),
  /** With the writer `raw`: keys merged over the signed JSON (null removes a key). */
  json: v.optional(v.record(Text, v.unknown())),
  /** With the writer `raw`: the whole JSON text, signed as it is. */
  jsonText: v.optional(Text),
  damage: v.optional(v.array(Damage), []),
  steps: v.array(Step),
});
export type Case = v.InferOutput<typeof Case>;

export const CaseFile = v.strictObject({
  about: Text,
  cases: v.array(Case),
});
export type CaseFile = v.InferOutput<typeof CaseFile>;
