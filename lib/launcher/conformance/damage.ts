/** Changes to a finished package: where its regions are, and flipping, cutting and appending bytes. */

import { InternalError } from "../../base/mod.ts";
import { adler32 } from "../../codec/mod.ts";
import type { Damage } from "./case.ts";

const TRAILER = 8200;

/** Applies the changes in order and returns the new file. */
export function applyDamage(file: Uint8Array, damage: Damage[]): Uint8Array {
  return damage.reduce(applyOne, file);
}

function applyOne(file: Uint8Array, change: Damage): Uint8Array {
  if ("truncate" in change) return file.slice(0, Math.max(0, file.length - change.truncate));
  if ("append" in change) return concat(file, new TextEncoder().encode(change.append));
  const out = file.slice();
  if ("zeroSignature" in change) {
    out.fill(0, out.length - TRAILER + 4 + 128, out.length - TRAILER + 4 + 192);
    return repairChecksum(out);
  }
  const start = regionStart(file, change.flip) + change.at;
  out[start] = (out[start] as number) ^ 0x01;
  // A forger would repair the checksum, so the cases do, except where the checksum itself is meant.
  return change.flip === "index" && change.at >= 4 && change.at < 8 ? out : repairChecksum(out);
}

function regionStart(file: Uint8Array, region: string): number {
  const end = file.length - TRAILER;
  const view = new DataView(file.buffer, file.byteOffset + end + 4, 8192);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  switch (region) {
    case "launcher":
      return 0;
    case "metadata":
      return u64(24);
    case "padding":
      return u64(24) + u64(32);
    case "table":
      return u64(40);
    case "trailer":
      return end;
    case "index":
      return end + 4;
  }
  const slot = /^slot:(\d+)$/.exec(region)?.[1];
  if (slot === undefined) throw new InternalError("CASE_REGION", `Unknown region "${region}"`);
  const table = new DataView(file.buffer, file.byteOffset + u64(40) + 64 * Number(slot), 64);
  return Number(table.getBigUint64(16, true));
}

function repairChecksum(file: Uint8Array): Uint8Array {
  const index = file.subarray(file.length - TRAILER + 4, file.length - 4);
  index.fill(0, 4, 8);
  new DataView(index.buffer, index.byteOffset).setUint32(4, adler32(index), true);
  return file;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
