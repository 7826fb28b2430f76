import * as v from "valibot";

import { UsageError } from "../../base/mod.ts";
import {
  generateKeyPair,
  keyFingerprint,
  keyPairBeside,
  keyPairPaths,
  passphraseFrom,
  refuseExistingPair,
  writeKeyFiles,
} from "../../trust/mod.ts";
import { command, type CommandContext } from "../command.ts";
import { printable } from "../view.ts";

const Data = v.strictObject({
  private_key: v.string(),
  public_key: v.string(),
  /** Absent after a dry run: no key was made. */
  fingerprint: v.optional(v.string()),
  encrypted: v.boolean(),
  dry_run: v.boolean(),
});

export default command({
  name: "keygen",
  description:
    "Writes <name>.key (Ed25519, PKCS#8 PEM, only you can read it) and <name>.pub (SPKI PEM). Existing files are never overwritten.",
  args: {
    "out-dir": {
      type: "string",
      valueHint: "DIR",
      description: "Folder for both files; default: here",
    },
    name: {
      type: "string",
      valueHint: "NAME",
      description: "Name of both files; default: sealift",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "FILE",
      description: "The private key; the public one goes beside it, ending in .pub",
    },
    passphrase: {
      type: "boolean",
      description: "Protect the private key; asks, or takes SEALIFT_KEY_PASSPHRASE",
    },
    "passphrase-file": {
      type: "string",
      valueHint: "FILE",
      description: "Protect the private key with the first line of this file",
    },
  },
  examples: [
    ["sealift keygen --out-dir keys --name release", "Make keys/release.key and keys/release.pub"],
    ["sealift keygen -o keys/release.key --passphrase", "The same under a passphrase"],
  ],
  data: Data,
  async run(context, args) {
    if (args.output !== undefined && (args["out-dir"] ?? args.name) !== undefined) {
      throw new UsageError("OUTPUT_TWICE", "--output and --out-dir or --name say the same thing", {
        hint: "Give one of them.",
      });
    }
    const paths =
      args.output === undefined
        ? keyPairPaths(args["out-dir"] ?? ".", args.name ?? "sealift")
        : keyPairBeside(args.output);
    refuseExistingPair(paths);
    const encrypted = args.passphrase || args["passphrase-file"] !== undefined;
    const data = { private_key: paths.privatePath, public_key: paths.publicPath, encrypted };
    if (context.dryRun) return { ...data, dry_run: true };
    const passphrase = encrypted ? await choose(context, args["passphrase-file"]) : undefined;
    const pair = generateKeyPair({ passphrase });
    await writeKeyFiles(paths, pair);
    return { ...data, fingerprint: keyFingerprint(pair.signer.publicKey), dry_run: false };
  },
  render: (data, view) => {
    const rows = [
      [
        "private key",
        `${printable(data.private_key)}${data.encrypted ? " (under a passphrase)" : ""}`,
      ],
      ["public key", printable(data.public_key)],
    ];
    if (data.fingerprint === undefined) return `would make\n${view.table(rows)}`;
    return [
      view.table([...rows, ["fingerprint", view.style.bold(data.fingerprint)]]),
      "",
      `Sign with it:      sealift pack --key ${printable(data.private_key)}`,
      `Let others trust:  sealift trust add ${printable(data.public_key)}`,
      "Keep the private key out of repositories and make a copy in a safe place.",
    ].join("\n");
  },
});

/** A new passphrase; one that is typed is asked for twice. */
async function choose(context: CommandContext, file: string | undefined): Promise<string> {
  const prompt = async () => {
    const first = await context.askSecret("New passphrase");
    if (first === undefined) return undefined;
    if (first === (await context.askSecret("Once more"))) return first;
    throw new UsageError("PASSPHRASE", "The two passphrases differ", { hint: "Try again." });
  };
  const passphrase = await passphraseFrom({ file, env: context.env, prompt })();
  if (passphrase) return passphrase;
  throw new UsageError("PASSPHRASE", "No passphrase is given", {
    hint: "Give one with --passphrase-file or SEALIFT_KEY_PASSPHRASE, or type one.",
  });
}
