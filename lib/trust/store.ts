/**
 * The trust store that the launchers read too (docs/reference/launcher.md, "Trust store"): a folder of
 * `*.pub` keys, `*.revoked` keys and a file `pins`. Whatever cannot be read or understood in it is an error:
 * a store that is half read could miss a revocation.
 */
import { readdir, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";

import {
  configFolder,
  EnvironmentError,
  FormatError,
  ioError,
  isSystemError,
  readFileBounded,
  SealiftError,
} from "../base/mod.ts";
import { KeyFormatError } from "./_der.ts";
import { findPem } from "./_pem.ts";
import { parseSpki } from "./_pkcs8.ts";
import { isUsableKey, keyFingerprint } from "./ed25519.ts";

type Env = Record<string, string | undefined>;

/** One key file of the store. */
export interface StoredKey {
  /** File name without its ending. */
  name: string;
  path: string;
  /** Raw, 32 bytes. */
  publicKey: Uint8Array;
}

/** One line of `pins`: the package must be signed by one of its pinned keys. */
export interface Pin {
  package: string;
  publicKey: Uint8Array;
}

export interface TrustStore {
  dir: string;
  keys: StoredKey[];
  revoked: StoredKey[];
  pins: Pin[];
}

/** A folder as it was read. */
export interface StoreFolder extends TrustStore {
  /** Whether it holds a `.pub`, a `.revoked` or `pins`; otherwise it is no store yet. */
  present: boolean;
}

export interface Judgement {
  trusted: boolean;
  reason: "ok" | "TRUST_UNKNOWN" | "TRUST_REVOKED" | "TRUST_PIN";
  /** Fingerprint of the key that decided. */
  key: string;
}

const MAX_FILE = 1 << 20;
const MAX_ENTRIES = 65_536;

/**
 * The store that decides: `dir`, else SEALIFT_TRUST_DIR, else the first of the user's and the system's that holds
 * anything; undefined when there is none, and then every valid signature is accepted. A folder that was named is
 * the store even when it is empty: it trusts nobody.
 * @throws FormatError, EnvironmentError `TRUST_STORE`
 */
export async function openTrustStore(
  options: { dir?: string | undefined; env?: Env } = {},
): Promise<TrustStore | undefined> {
  const env = options.env ?? process.env;
  const named = options.dir ?? namedTrustFolder(env);
  if (named !== undefined) return readStore(named);
  for (const dir of standardFolders(env)) {
    const store = await readStore(dir, { absentIsEmpty: true });
    if (store.present) return store;
  }
  return undefined;
}

function standardFolders(env: Env): string[] {
  const system = systemTrustFolder(env);
  try {
    return [userTrustFolder(env), system];
  } catch (error) {
    // A service without a home has the system's store only.
    if (error instanceof EnvironmentError && error.code === "CACHE_UNSET") return [system];
    throw error;
  }
}

/**
 * SEALIFT_TRUST_DIR; undefined when it is unset or empty. A relative value would mean another store in each folder.
 * @throws EnvironmentError `CACHE_RELATIVE`
 */
export function namedTrustFolder(env: Env): string | undefined {
  const dir = env.SEALIFT_TRUST_DIR || undefined;
  if (dir === undefined || isAbsolute(dir)) return dir;
  throw new EnvironmentError("CACHE_RELATIVE", `SEALIFT_TRUST_DIR=${dir} is not an absolute path`, {
    hint: "Set it to an absolute path.",
    details: { variable: "SEALIFT_TRUST_DIR", actual: dir },
  });
}

/** @throws EnvironmentError when no home is known */
export function userTrustFolder(env: Env = process.env): string {
  return join(configFolder(env), "trust.d");
}

export function systemTrustFolder(env: Env = process.env): string {
  if (process.platform !== "win32") return "/etc/sealift/trust.d";
  return join(env.PROGRAMDATA ?? "C:\\ProgramData", "sealift", "trust.d");
}

/**
 * Reads one folder.
 * @throws FormatError, EnvironmentError `TRUST_STORE`
 */
export async function readStore(
  dir: string,
  options: { absentIsEmpty?: boolean } = {},
): Promise<StoreFolder> {
  const names = await entries(dir, options.absentIsEmpty === true);
  const keys = await readKeys(dir, names, ".pub");
  const revoked = await readKeys(dir, names, ".revoked");
  const hasPins = names.includes("pins");
  const pins = hasPins ? await readPins(dir) : [];
  const present = hasPins || keys.length + revoked.length > 0;
  return { dir, keys, revoked, pins, present };
}

async function entries(dir: string, absentIsEmpty: boolean): Promise<string[]> {
  try {
    const names = await readdir(dir);
    if (names.length > MAX_ENTRIES) throw unusable(dir, `it holds more than ${MAX_ENTRIES} files`);
    return names.sort();
  } catch (error) {
    if (absentIsEmpty && isSystemError(error) && error.code === "ENOENT") return [];
    throw unreadable(dir, ioError(error, dir));
  }
}

async function readKeys(dir: string, names: string[], ending: string): Promise<StoredKey[]> {
  const keys: StoredKey[] = [];
  for (const file of names) {
    if (!file.endsWith(ending)) continue;
    const path = join(dir, file);
    const publicKey = parseKey(dir, file, await readText(dir, path));
    keys.push({ name: file.slice(0, -ending.length), path, publicKey });
  }
  return keys;
}

function parseKey(dir: string, file: string, text: string): Uint8Array {
  try {
    const { label, body } = findPem(text);
    if (label !== "PUBLIC KEY") throw new KeyFormatError(`a PEM block labelled "${label}"`);
    const publicKey = parseSpki(body);
    if (!isUsableKey(publicKey)) throw new KeyFormatError("a key that anyone can sign for");
    return publicKey;
  } catch (error) {
    if (!(error instanceof KeyFormatError)) throw error;
    throw unusable(dir, `${file} is not an Ed25519 public key in PEM (${error.message})`);
  }
}

async function readPins(dir: string): Promise<Pin[]> {
  const text = await readText(dir, join(dir, "pins"));
  return text.split("\n").flatMap((line, i) => {
    const pin = parsePin(line);
    if (pin === "malformed") {
      throw unusable(dir, `line ${i + 1} of pins is not "<package name> <64 hex digits>"`);
    }
    return pin === undefined ? [] : [pin];
  });
}

/** One line of `pins`; undefined for a comment or an empty line. */
export function parsePin(line: string): Pin | undefined | "malformed" {
  const words = (line.split("#")[0] as string).split(/[ \t\r]+/).filter((word) => word !== "");
  const [name, hex] = words;
  if (name === undefined) return undefined;
  if (words.length !== 2 || !/^[0-9a-fA-F]{64}$/.test(hex as string)) return "malformed";
  return { package: name, publicKey: Uint8Array.fromHex(hex as string) };
}

async function readText(dir: string, path: string): Promise<string> {
  try {
    if (!(await stat(path)).isFile()) throw unusable(dir, `${path} is not a regular file`);
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFileBounded(path, MAX_FILE));
  } catch (error) {
    if (error instanceof SealiftError || isSystemError(error)) {
      throw unreadable(dir, ioError(error, path));
    }
    throw unusable(dir, `${path} is not UTF-8`);
  }
}

const HINT = "Repair it, or name another folder with --trust or SEALIFT_TRUST_DIR.";

function unusable(dir: string, detail: string): FormatError {
  return new FormatError("TRUST_STORE", `The trust store ${dir} cannot be used: ${detail}`, {
    hint: HINT,
    details: { store: dir },
  });
}

function unreadable(dir: string, cause: unknown): unknown {
  if (!(cause instanceof SealiftError) || cause.code === "TRUST_STORE") return cause;
  return new EnvironmentError(
    "TRUST_STORE",
    `The trust store ${dir} cannot be used: ${cause.message}`,
    { hint: HINT, details: { store: dir }, cause },
  );
}

export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/**
 * Whether a package is trusted: no signer is revoked, a pinned package has one of its pinned signers, and some signer is
 * a key of the store. A pin narrows; it trusts nobody.
 * @param signers raw keys whose signatures were verified; the first signer first
 */
export function judge(store: TrustStore, packageName: string, signers: Uint8Array[]): Judgement {
  const signerAmong = (keys: { publicKey: Uint8Array }[]) =>
    signers.find((signer) => keys.some((key) => sameKey(key.publicKey, signer)));
  const no = (reason: Judgement["reason"], key = signers[0]): Judgement => ({
    trusted: false,
    reason,
    key: key ? keyFingerprint(key) : "",
  });

  const revoked = signerAmong(store.revoked);
  if (revoked) return no("TRUST_REVOKED", revoked);
  const pins = store.pins.filter((pin) => pin.package === packageName);
  if (pins.length > 0 && !signerAmong(pins)) return no("TRUST_PIN");
  const trusted = signerAmong(store.keys);
  if (!trusted) return no("TRUST_UNKNOWN");
  return { trusted: true, reason: "ok", key: keyFingerprint(trusted) };
}
