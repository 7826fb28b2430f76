import * as v from "valibot";

import { openPackage, signPackage } from "../../pspf/mod.ts";
import { keyFingerprint, loadSigner, passphraseFrom } from "../../trust/mod.ts";
import { command } from "../command.ts";
import { printable } from "../view.ts";

const Mode = v.picklist(["replace", "add"]);
type Mode = v.InferOutput<typeof Mode>;

export default command({
  name: "sign",
  description:
    "Puts a new signature in place of the ones a package has, or adds a co-signature. The package is verified first; its content and identity stay.",
  args: {
    file: { type: "positional", valueHint: "FILE", description: "The package" },
    key: { type: "string", required: true, valueHint: "FILE", description: "Private key" },
    "passphrase-file": {
      type: "string",
      valueHint: "FILE",
      description: "First line: passphrase of the key (or set SEALIFT_KEY_PASSPHRASE)",
    },
    add: { type: "boolean", description: "Keep the signatures there are and add one, at most 4" },
    output: {
      type: "string",
      alias: "o",
      valueHint: "OUT",
      description: "Write the signed package here; default: in place",
    },
    force: { type: "boolean", alias: "f", description: "Replace an existing OUT" },
  },
  examples: [
    ["sealift sign app.psp --key release.key --add", "Add a co-signature"],
    [
      "sealift sign app.psp --key release.key -o signed.psp",
      "Write a copy with this signature only",
    ],
  ],
  data: v.strictObject({
    file: v.string(),
    identity: v.string(),
    /** Fingerprints, the first signer at the front. */
    signers: v.array(v.string()),
    mode: Mode,
    changed: v.boolean(),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const passphrase = passphraseFrom({
      file: args["passphrase-file"],
      env: context.env,
      prompt: () => context.askSecret(`Passphrase of ${args.key}`),
    });
    const signer = await loadSigner(args.key, { passphrase });
    const mode: Mode = args.add ? "add" : "replace";
    const replaces = mode === "replace" && args.output === undefined;
    const question = `Replace every signature of ${args.file}?`;
    if (replaces && !context.dryRun && !(await context.confirm(question))) {
      return { ...(await present(args.file)), mode, changed: false, dry_run: false };
    }
    const signed = await signPackage(args.file, signer, {
      mode,
      ...(args.output === undefined ? {} : { out: args.output }),
      force: args.force,
      dryRun: context.dryRun,
    });
    return {
      file: signed.path,
      identity: signed.identity,
      signers: signed.signers,
      mode,
      changed: !context.dryRun,
      dry_run: context.dryRun,
    };
  },
  render: (data, view) =>
    [
      `${printable(data.file)}: ${data.dry_run ? "would be signed" : data.changed ? "signed" : "not changed"}`,
      ...data.signers.map(
        (key, i) => `  ${i === 0 ? "signer   " : "co-signer"}  ${view.style.bold(key)}`,
      ),
    ].join("\n"),
});

/** Who has signed a package so far. */
async function present(file: string) {
  const pkg = await openPackage(file);
  try {
    return { file, identity: pkg.identity, signers: pkg.signers.map(keyFingerprint) };
  } finally {
    await pkg.close();
  }
}
