/** Which trust store and which key the words of a command line mean. */
import { basename } from "node:path";

import { EnvironmentError, UsageError } from "../base/mod.ts";
import { endsLikePackage, openPackage } from "../pspf/mod.ts";
import {
  loadPublicKey,
  matchKeys,
  namedTrustFolder,
  readStore,
  safeKeyName,
  systemTrustFolder,
  userTrustFolder,
} from "../trust/mod.ts";
import type { Args, CommandContext } from "./command.ts";

export const storeArgs = {
  trust: {
    type: "string",
    valueHint: "DIR",
    group: "Store",
    description: "This trust store; default: SEALIFT_TRUST_DIR, else yours",
  },
  system: { type: "boolean", group: "Store", description: "The trust store of this machine" },
} as const satisfies Args;

interface StoreChoice {
  trust: string | undefined;
  system: boolean;
}

/** The folder that a command changes. */
export function folderOf(context: CommandContext, choice: StoreChoice): string {
  if (choice.trust !== undefined && choice.system) {
    throw new UsageError("STORE_TWICE", "--trust and --system name two trust stores", {
      hint: "Give one of them.",
    });
  }
  if (choice.trust !== undefined) return choice.trust;
  if (choice.system) return systemTrustFolder(context.env);
  return namedTrustFolder(context.env) ?? userTrustFolder(context.env);
}

/** The keys that a word means: one key, or the signers of a package, with a name for them. */
export async function readKeys(word: string) {
  if (!(await endsLikePackage(word))) {
    const publicKey = await loadPublicKey(word);
    const isFile = await Bun.file(word).exists();
    const name = isFile ? basename(word).replace(/\.[a-z]+$/, "") : publicKey.toHex().slice(0, 16);
    return { name: safeKeyName(name), publicKeys: [publicKey], fromPackage: false };
  }
  const pkg = await openPackage(word);
  await pkg.close();
  const name = safeKeyName(pkg.metadata.package.name);
  return { name, publicKeys: pkg.signers, fromPackage: true };
}

/** The key that a word means, in the store or outside of it. */
export async function resolveKey(
  store: string,
  word: string,
  options: { revoked?: boolean } = {},
): Promise<{ name: string; publicKey: Uint8Array }> {
  const { keys, revoked } = await readStore(store, { absentIsEmpty: true });
  const [known] = matchKeys(options.revoked ? [...revoked, ...keys] : [...keys, ...revoked], word);
  if (known) return known;
  try {
    const { name, publicKeys } = await readKeys(word);
    return { name, publicKey: publicKeys[0] as Uint8Array };
  } catch (error) {
    if (!(error instanceof EnvironmentError) || error.code !== "FILE_MISSING") throw error;
    throw new UsageError("TRUST_ABSENT", `${word} is no key, no file and no name in ${store}`, {
      hint: "`sealift trust list` shows the names.",
    });
  }
}
