/**
 * Changes of a trust store. Each is one atomic file operation, or two in the order that is safe when the second
 * does not happen: a revocation is written before the key is removed.
 */
import { mkdir, unlink } from "node:fs/promises";
import { join } from "node:path";

import {
  checkArchivePath,
  CheckError,
  EnvironmentError,
  ioError,
  readFileBounded,
  UsageError,
  writeFileAtomic,
} from "../base/mod.ts";
import { keyFingerprint } from "./ed25519.ts";
import { publicKeyPem } from "./keypair.ts";
import { parsePin, readStore, sameKey, type StoredKey } from "./store.ts";

/** Public files in a private or system folder: readable, writable by the owner only. */
const MODE = 0o644;

export interface EditOptions {
  /** Check everything, change no byte. */
  dryRun?: boolean;
}

export interface Added {
  name: string;
  path: string;
  /** False when the key was there already, then `name` and `path` are the old ones. */
  added: boolean;
}

/**
 * A name for a key file made of any text: letters, digits, `_.-`, at most 64, never one that Windows reserves.
 */
export function safeKeyName(text: string): string {
  const name = text
    .replace(/[^A-Za-z0-9_.-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 64)
    .replace(/[.-]+$/, "");
  return isSafe(name) ? name : `key-${name}`.replace(/-$/, "");
}

function isSafe(name: string): boolean {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name)) return false;
  try {
    return checkArchivePath(name, { windows: true }) === name;
  } catch {
    return false;
  }
}

/**
 * Trusts a key: writes `<name>.pub`. The folder is made when it is missing.
 * @throws UsageError `KEY_NAME`, CheckError `TRUST_REVOKED`, EnvironmentError `FILE_EXISTS` (another key has the name)
 */
export async function trustAdd(
  dir: string,
  name: string,
  publicKey: Uint8Array,
  options: EditOptions = {},
): Promise<Added> {
  expectName(name);
  const store = await readStore(dir, { absentIsEmpty: true });
  const revoked = store.revoked.find((key) => sameKey(key.publicKey, publicKey));
  if (revoked) {
    throw new CheckError("TRUST_REVOKED", `The key ${keyFingerprint(publicKey)} was revoked`, {
      hint: `If that was a mistake, run \`sealift trust remove --revoked ${revoked.name}\` first.`,
      details: { path: revoked.path },
    });
  }
  const old = store.keys.find((key) => sameKey(key.publicKey, publicKey));
  if (old) return { name: old.name, path: old.path, added: false };
  return { name, path: await writeKey(dir, `${name}.pub`, publicKey, options), added: true };
}

function expectName(name: string): void {
  if (isSafe(name)) return;
  throw new UsageError("KEY_NAME", `"${name}" is not a name for a key`, {
    hint: "Use letters, digits, dots, dashes and underscores, a letter or digit first.",
  });
}

async function writeKey(
  dir: string,
  file: string,
  publicKey: Uint8Array,
  options: EditOptions,
): Promise<string> {
  if (options.dryRun) return join(dir, file);
  await mkdir(dir, { recursive: true, mode: 0o755 }).catch((error: unknown) => {
    throw ioError(error, dir);
  });
  const path = join(dir, file);
  await writeFileAtomic(path, publicKeyPem(publicKey), { mode: MODE }).catch((error: unknown) => {
    if (!(error instanceof EnvironmentError) || error.code !== "FILE_EXISTS") throw error;
    throw new EnvironmentError("FILE_EXISTS", `${path}: another key has this name`, {
      hint: "Choose another --name.",
      details: { path },
    });
  });
  return path;
}

/** The keys of a list that a name, a fingerprint or hex means. */
export function matchKeys(keys: StoredKey[], selector: string): StoredKey[] {
  const hex = selector.replace(/^ed25519:/, "").toLowerCase();
  return keys.filter((key) => key.name === selector || key.publicKey.toHex() === hex);
}

/**
 * Stops trusting: removes the `.pub` files of a key (or, with `revoked`, its revocation).
 * @param selector a name, a fingerprint or hex
 * @throws UsageError `TRUST_ABSENT` when nothing matches
 */
export async function trustRemove(
  dir: string,
  selector: string,
  options: EditOptions & { revoked?: boolean } = {},
): Promise<StoredKey[]> {
  const store = await readStore(dir);
  const found = matchKeys(options.revoked ? store.revoked : store.keys, selector);
  if (found.length === 0) {
    const other = matchKeys(options.revoked ? store.keys : store.revoked, selector).length > 0;
    throw absent(dir, selector, other && !options.revoked);
  }
  if (!options.dryRun) for (const key of found) await removeFile(key.path);
  return found;
}

function absent(dir: string, selector: string, revoked: boolean): UsageError {
  return new UsageError("TRUST_ABSENT", `No key ${selector} in the trust store ${dir}`, {
    hint: revoked
      ? "It is revoked; `--revoked` removes the revocation."
      : "`sealift trust list` shows the keys.",
  });
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    throw ioError(error, path);
  });
}

/**
 * Refuses a key whoever trusts it: writes `<name>.revoked`, then removes its `.pub` files.
 * @throws UsageError `KEY_NAME`, EnvironmentError
 */
export async function trustRevoke(
  dir: string,
  name: string,
  publicKey: Uint8Array,
  options: EditOptions = {},
): Promise<Added & { removed: StoredKey[] }> {
  expectName(name);
  const store = await readStore(dir, { absentIsEmpty: true });
  const old = store.revoked.find((key) => sameKey(key.publicKey, publicKey));
  const path = old?.path ?? (await writeKey(dir, `${name}.revoked`, publicKey, options));
  const removed = store.keys.filter((key) => sameKey(key.publicKey, publicKey));
  if (!options.dryRun) for (const key of removed) await removeFile(key.path);
  return { name: old?.name ?? name, path, added: old === undefined, removed };
}

/**
 * Adds a line to `pins`. A package with pins must be signed by one of them.
 * @returns false when the pin was there already
 * @throws UsageError `PACKAGE_NAME`
 */
export async function pinAdd(
  dir: string,
  name: string,
  publicKey: Uint8Array,
  options: EditOptions = {},
): Promise<boolean> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(name)) {
    throw new UsageError("PACKAGE_NAME", `"${name}" is not a package name`, {
      hint: "`sealift inspect` shows the name of a package.",
    });
  }
  const { pins } = await readStore(dir, { absentIsEmpty: true });
  if (pins.some((pin) => pin.package === name && sameKey(pin.publicKey, publicKey))) {
    return false;
  }
  if (options.dryRun) return true;
  await mkdir(dir, { recursive: true, mode: 0o755 }).catch((error: unknown) => {
    throw ioError(error, dir);
  });
  await writePins(dir, [...(await pinLines(dir)), `${name} ${publicKey.toHex()}`]);
  return true;
}

/**
 * Removes the pins of a package, or only that of one key. Comments and other lines stay.
 * @returns the keys that were pinned
 * @throws UsageError `TRUST_ABSENT` when there was none
 */
export async function pinRemove(
  dir: string,
  name: string,
  publicKey?: Uint8Array,
  options: EditOptions = {},
): Promise<Uint8Array[]> {
  await readStore(dir);
  const removed: Uint8Array[] = [];
  const kept = (await pinLines(dir)).filter((line) => {
    const pin = parsePin(line);
    if (pin === undefined || pin === "malformed" || pin.package !== name) return true;
    if (publicKey && !sameKey(publicKey, pin.publicKey)) return true;
    removed.push(pin.publicKey);
    return false;
  });
  if (removed.length === 0) {
    throw new UsageError("TRUST_ABSENT", `No pin of ${name} in the trust store ${dir}`, {
      hint: "`sealift trust list` shows the pins.",
    });
  }
  if (options.dryRun) return removed;
  if (kept.length > 0) await writePins(dir, kept);
  else await removeFile(join(dir, "pins"));
  return removed;
}

async function pinLines(dir: string): Promise<string[]> {
  const path = join(dir, "pins");
  const bytes = await readFileBounded(path, 1 << 20).catch((error: unknown) => {
    if (error instanceof EnvironmentError && error.code === "FILE_MISSING") return new Uint8Array();
    throw error;
  });
  const text = new TextDecoder().decode(bytes).replace(/\n$/, "");
  return text === "" ? [] : text.split("\n");
}

async function writePins(dir: string, lines: string[]): Promise<void> {
  const text = `${lines.join("\n")}\n`;
  await writeFileAtomic(join(dir, "pins"), text, { mode: MODE, force: true });
}
