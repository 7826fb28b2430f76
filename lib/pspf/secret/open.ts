/** The key of an encrypted slot of a package: found, and tried on the first chunk before anybody relies on it. */
import { EnvironmentError, FormatError } from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import type { Package, PackageSlot } from "../package.ts";
import { digestHolds, slotChanged } from "../stored.ts";
import { openChunk } from "./chunks.ts";
import { slotKey } from "./key.ts";
import { CIPHER_CHUNK, CIPHER_TAG } from "./parameters.ts";

/** Keys that were found right, so that nobody is asked twice. */
const found = new WeakMap<PackageSlot, Promise<Uint8Array>>();

/**
 * The slot's key; undefined when the slot is not encrypted. Throws `EnvironmentError("KEY_MISSING")`, `FormatError("KEY_WRONG")`, and
 * `CheckError("SEAL_SLOT")` when the key does not fit because the stored bytes were damaged.
 */
export async function openSlot(pkg: Package, slot: PackageSlot): Promise<Uint8Array | undefined> {
  if (slot.metadata.encryption === undefined) return undefined;
  const known = found.get(slot) ?? findAndTry(pkg, slot);
  found.set(slot, known);
  try {
    return await known;
  } catch (error) {
    found.delete(slot);
    throw error;
  }
}

async function findAndTry(pkg: Package, slot: PackageSlot): Promise<Uint8Array> {
  const encryption = slot.metadata.encryption as NonNullable<typeof slot.metadata.encryption>;
  const source = encryption.key_source;
  if (pkg.findKey === undefined) {
    throw new EnvironmentError(
      "KEY_MISSING",
      `${pkg.path}: slot ${slot.id} is encrypted and can only be read with its key (${source})`,
      { hint: "Extract it with `sealift extract`.", details: { file: pkg.path, slot: slot.id } },
    );
  }
  const key = slotKey(encryption, slot.id, await pkg.findKey({ id: slot.id, keySource: source }));
  if (key === undefined) throw noKey(pkg, slot);
  const { start } = slot.region;
  const length = Math.min(slot.size, CIPHER_CHUNK + CIPHER_TAG);
  const first = await pkg.file.read({ start, end: start + length });
  if (openChunk(key, 0, length === slot.size, first) !== undefined) return key;
  // Damage looks the same, but then the signed digest differs too.
  const digest = await sha256File(pkg.path, { offset: start, length: slot.size });
  throw digestHolds(slot, digest) ? wrongKey(pkg, slot) : slotChanged(pkg, slot);
}

function noKey(pkg: Package, slot: PackageSlot): EnvironmentError {
  return new EnvironmentError(
    "KEY_MISSING",
    `${pkg.path}: slot ${slot.id} is encrypted, and what was found holds no key`,
    {
      hint: "A key is 64 hex digits, 44 characters of base64 or a file of 32 bytes; this slot has no passphrase.",
      details: { file: pkg.path, slot: slot.id },
    },
  );
}

function wrongKey(pkg: Package, slot: PackageSlot): FormatError {
  const source = slot.metadata.encryption?.key_source;
  return new FormatError(
    "KEY_WRONG",
    `${pkg.path}: slot ${slot.id} is encrypted and its key (${source}) is not the right one`,
    {
      hint: "The file is not damaged; ask its publisher for the key, and name it with --key-source.",
      details: { file: pkg.path, slot: slot.id, key_source: source },
    },
  );
}
