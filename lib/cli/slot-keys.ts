/** The keys of encrypted slots, for every command that reads their content. */
import { realpathSync } from "node:fs";
import { dirname } from "node:path";

import { UsageError } from "../base/mod.ts";
import { type FindKey, keyFinder, openPackage, type Package } from "../pspf/mod.ts";
import type { CommandContext } from "./command.ts";

export const KEY_SOURCE_ARG = {
  type: "string",
  repeat: true,
  valueHint: "[SLOT=]SOURCE",
  group: "Encryption",
  description:
    "Where the key of an encrypted slot is, instead of where the package says: env:NAME, file:PATH or prompt",
} as const;

/** Opens a package whose encrypted slots can be read. Throws what `openPackage` throws, and `UsageError("KEY_SOURCE")`. */
export async function openWithKeys(
  context: CommandContext,
  file: string,
  sources: readonly string[] = [],
): Promise<Package> {
  const pkg = await openPackage(file);
  try {
    return { ...pkg, findKey: finder(context, pkg, sources) };
  } catch (error) {
    await pkg.close();
    throw error;
  }
}

function finder(context: CommandContext, pkg: Package, sources: readonly string[]): FindKey {
  const encrypted = pkg.slots.filter((slot) => slot.metadata.encryption !== undefined);
  return keyFinder(
    {
      env: context.env,
      folder: dirname(realpathSync(pkg.path)),
      prompt: (question) => context.askSecret(question),
      instead: sources,
    },
    encrypted.map(({ id }) => id),
  );
}

/** A new passphrase is asked for twice: a slip of the finger would lock the slot for ever. */
export async function askNewPassphrase(
  context: CommandContext,
  question: string,
): Promise<string | undefined> {
  const first = await context.askSecret(question);
  if (first === undefined || first === (await context.askSecret("Once more"))) return first;
  throw new UsageError("PASSPHRASE", "The two passphrases differ", { hint: "Try again." });
}
