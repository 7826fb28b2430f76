/** The stored bytes of slots, hashed while they pass: whoever reads to the end knows that they are what was signed. */
import { FormatError, type SealiftError } from "../base/mod.ts";
import { Sha256 } from "../codec/mod.ts";
import { digest64 } from "./descriptor.ts";
import type { Package, PackageSlot } from "./package.ts";
import { problem, problemError } from "./problem.ts";

/** The slot at `i`. Throws `FormatError("SLOT_UNKNOWN")`. */
export function slotAt(pkg: Package, i: number): PackageSlot {
  const slot = pkg.slots[i];
  if (slot !== undefined) return slot;
  throw new FormatError("SLOT_UNKNOWN", `${pkg.path}: there is no slot ${i}`, {
    hint: `Slots: ${pkg.slots.map((entry) => `${entry.index} ${entry.id}`).join(", ") || "none"}`,
    details: { file: pkg.path, slot: i },
  });
}

/** The stored bytes. Throws `CheckError("SEAL_SLOT")` at the end when they are not what was signed. */
export async function* storedSlot(pkg: Package, i: number): AsyncGenerator<Uint8Array> {
  const slot = slotAt(pkg, i);
  const hash = new Sha256();
  for await (const piece of pkg.file.stream(slot.region)) {
    hash.update(piece);
    yield piece;
  }
  if (!digestHolds(slot, hash.hex())) throw slotChanged(pkg, slot);
}

/** Whether the SHA-256 of the stored bytes is the signed one, or fits the descriptor's 64 bits when none was signed. */
export function digestHolds(slot: PackageSlot, hex: string): boolean {
  if (slot.checksum !== undefined) return hex === slot.checksum;
  return slot.metadata.self_ref || digest64(Uint8Array.fromHex(hex)) === slot.descriptor.checksum;
}

export function slotChanged(pkg: Package, slot: PackageSlot): SealiftError {
  return problemError(problem("SEAL_SLOT", { file: pkg.path, slot: slot.id }));
}
