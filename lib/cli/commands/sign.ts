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
  }),
  async run(context, args) {
    const passphrase = passphraseFrom({
      file: args["passphrase-file"],
      env: context.env,
      prompt: () => context.askSecret(`Passphrase of ${args.key}`),
    });
    const signer = await loadSigner(args.key, { passphrase });
    const mode: Mode = args.add ? "add" : "replace";
    if (context.dryRun) return await foresee(args.file, keyFingerprint(signer.publicKey), mode);
    const replaces = mode === "replace" && args.output === undefined;
    if (replaces && !(await context.confirm(`Replace every signature of ${args.file}?`))) {
      return { ...(await foresee(args.file, undefined, "add")), mode };
    }
    const signed = await signPackage(args.file, signer, {
      mode,
      ...(args.output === undefined ? {} : { out: args.output }),
      force: args.force,
    });
    return {
      file: signed.path,
      identity: signed.identity,
      signers: signed.signers,
      mode,
      changed: true,
    };
  },
  render: (data, view) =>
    [
      `${printable(data.file)}: ${data.changed ? "signed" : "not changed"}`,
      ...data.signers.map(
        (key, i) => `  ${i === 0 ? "signer   " : "co-signer"}  ${view.style.bold(key)}`,
      ),
    ].join("\n"),
});

/** What the signatures are, with those of a new key if one is given. */
async function foresee(file: string, key: string | undefined, mode: Mode) {
  const pkg = await openPackage(file);
  try {
    const old = mode === "add" ? pkg.signers.map(keyFingerprint) : [];
    const signers = key === undefined ? old : [...old, key];
    return { file, identity: pkg.identity, signers, mode, changed: false };
  } finally {
    await pkg.close();
  }
}
