/**
 * Which key signs: the one that was named, the project's, or the user's own default key. A key is never made inside a project,
 * where it would end up in a repository; the default key is made on first use, in the user's configuration folder, and said so.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { configFolder, EnvironmentError, SealiftError, UsageError } from "../../base/mod.ts";
import {
  generateKeyPair,
  loadSigner,
  passphraseFrom,
  type Signer,
  signerFromSeed,
  writeKeyPair,
} from "../../trust/mod.ts";

export interface KeyOptions {
  /** Private key file. */
  key?: string | undefined;
  /** Seed text, or `env`: SEALIFT_KEY_SEED, then FLAVOR_KEY_SEED. */
  keySeed?: string | undefined;
  /** Asked only when the key needs one; default: SEALIFT_KEY_PASSPHRASE. */
  passphrase?: (() => Promise<string | undefined>) | undefined;
}

export interface ChosenKey {
  /** A sentence part: "the key file release.key". */
  origin: string;
  /** The private key file, when there is one. */
  file?: string;
  /** The default key does not exist yet; `open` makes it. */
  isNew: boolean;
  open(): Promise<Signer>;
}

type Env = Record<string, string | undefined>;

/** Decides without reading or writing; `open` on the result loads the key, or makes the default key. */
export function chooseKey(
  options: KeyOptions,
  projectKey: string | undefined,
  env: Env,
): ChosenKey {
  if (options.key !== undefined && options.keySeed !== undefined) {
    throw new UsageError("KEY_CHOICE", "--key and --key-seed exclude each other", {
      hint: "Give one of them.",
    });
  }
  const passphrase = options.passphrase ?? passphraseFrom({ env });
  const file = options.key ?? (options.keySeed === undefined ? projectKey : undefined);
  if (file !== undefined) {
    return {
      origin: `the key file ${file}`,
      file,
      isNew: false,
      open: () => loadSigner(file, { passphrase }),
    };
  }
  if (options.keySeed !== undefined) {
    const seed = seedText(options.keySeed, env);
    return { origin: "a key seed", isNew: false, open: async () => signerFromSeed(seed) };
  }
  return defaultKey(env, passphrase);
}

function seedText(option: string, env: Env): string {
  const seed = option === "env" ? env.SEALIFT_KEY_SEED || env.FLAVOR_KEY_SEED : option;
  if (seed) return seed;
  const problem =
    option === "env" ? "--key-seed env needs SEALIFT_KEY_SEED" : "The key seed is empty";
  throw new UsageError("KEY_SEED", problem, {
    hint: "Anyone who knows the seed can sign: take a long random text.",
  });
}

function defaultKey(env: Env, passphrase: () => Promise<string | undefined>): ChosenKey {
  const folder = join(configFolder(env), "keys");
  const path = join(folder, "default.key");
  const isNew = !existsSync(path);
  const open = async (): Promise<Signer> => {
    if (isNew) {
      const made = await make(folder);
      if (made) return made;
    }
    return loadSigner(path, { passphrase });
  };
  return { origin: `your default key ${path}`, file: path, isNew, open };
}

/** @returns undefined when another process made the key meanwhile */
async function make(folder: string): Promise<Signer | undefined> {
  const pair = generateKeyPair();
  try {
    await writeKeyPair(folder, "default", pair);
    return pair.signer;
  } catch (error) {
    if (error instanceof EnvironmentError && error.code === "FILE_EXISTS") return undefined;
    if (error instanceof SealiftError) {
      throw new EnvironmentError(error.code, `The default key cannot be made: ${error.message}`, {
        hint: "Name a key with --key, or make one with `sealift keygen`.",
        cause: error,
      });
    }
    throw error;
  }
}
