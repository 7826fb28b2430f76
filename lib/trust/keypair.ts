/**
 * New key pairs: `<name>.key` (PKCS#8 PEM, 0600) and `<name>.pub` (SPKI PEM, 0644). Nothing is
 * ever overwritten, and a pair is written whole or not at all.
 */
import { lstatSync } from "node:fs";
import { mkdir, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import { AtomicFile, EnvironmentError, ioError, UsageError } from "../base/mod.ts";
import { encryptPkcs8 } from "./_pbes2.ts";
import { formatPem } from "./_pem.ts";
import { encodePkcs8, encodeSpki } from "./_pkcs8.ts";
import { randomSeed, type Signer, signerFromSeedBytes } from "./ed25519.ts";

export interface KeyPair {
  /** PKCS#8 PEM; encrypted when a passphrase was given. */
  privatePem: string;
  /** SPKI PEM. */
  publicPem: string;
  signer: Signer;
}

/** A fresh pair from the system's random generator. */
export function generateKeyPair(options: { passphrase?: string | undefined } = {}): KeyPair {
  const seed = randomSeed();
  const signer = signerFromSeedBytes(seed);
  const pkcs8 = encodePkcs8(seed);
  const privatePem =
    options.passphrase === undefined
      ? formatPem("PRIVATE KEY", pkcs8)
      : formatPem("ENCRYPTED PRIVATE KEY", encryptPkcs8(pkcs8, options.passphrase));
  seed.fill(0);
  pkcs8.fill(0);
  return { privatePem, publicPem: publicKeyPem(signer.publicKey), signer };
}

/** A raw public key, 32 bytes, as SPKI PEM. */
export function publicKeyPem(publicKey: Uint8Array): string {
  return formatPem("PUBLIC KEY", encodeSpki(publicKey));
}

export interface KeyPairPaths {
  privatePath: string;
  publicPath: string;
}

/** Where a pair of this name goes: `<dir>/<name>.key` and `<dir>/<name>.pub`. */
export function keyPairPaths(dir: string, name: string): KeyPairPaths {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(name)) {
    throw new UsageError("KEY_NAME", `"${name}" is not a name for a key`, {
      hint: "Use letters, digits, dots, dashes and underscores, a letter or digit first.",
    });
  }
  return { privatePath: join(dir, `${name}.key`), publicPath: join(dir, `${name}.pub`) };
}

/** The pair whose private half is `file`: the public one stands beside it, with the ending `.pub`. */
export function keyPairBeside(file: string): KeyPairPaths {
  return { privatePath: file, publicPath: `${file.replace(/\.(key|pem)$/, "")}.pub` };
}

/**
 * Refuses a place where either file exists.
 * @throws EnvironmentError `FILE_EXISTS`
 */
export function refuseExistingPair(paths: KeyPairPaths): void {
  for (const path of [paths.privatePath, paths.publicPath]) {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) continue;
    throw new EnvironmentError(
      "FILE_EXISTS",
      `${path}: exists already, and keys are never overwritten`,
      { hint: "Choose another folder or another --name.", details: { path } },
    );
  }
}

/** Writes both files of a pair as `<dir>/<name>.key` and `.pub`; errors as `writeKeyFiles`. */
export async function writeKeyPair(
  dir: string,
  name: string,
  pair: KeyPair,
): Promise<KeyPairPaths> {
  const paths = keyPairPaths(dir, name);
  await writeKeyFiles(paths, pair);
  return paths;
}

/**
 * Writes both files of a pair, the folder too when it is missing (0700).
 * @throws EnvironmentError `FILE_EXISTS` when either exists; then neither is written
 */
export async function writeKeyFiles(paths: KeyPairPaths, pair: KeyPair): Promise<void> {
  refuseExistingPair(paths);
  const dir = resolve(dirname(paths.privatePath)); // Bun for Windows, under wine, refuses to make an existing "."
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw ioError(error, dir);
  });
  await using secret = await AtomicFile.create(paths.privatePath, { mode: 0o600 });
  await using open = await AtomicFile.create(paths.publicPath, { mode: 0o644 });
  await secret.write(new TextEncoder().encode(pair.privatePem));
  await open.write(new TextEncoder().encode(pair.publicPem));
  await secret.commit();
  try {
    await open.commit();
  } catch (error) {
    await unlink(paths.privatePath);
    throw error;
  }
}
