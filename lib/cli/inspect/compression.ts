import { counted, printable, type View } from "../view.ts";
import type { Head } from "./head.ts";

/** How the slots are stored, and what that saves. */
export function compression(data: Head, view: View): string {
  const rows = data.slots.map((slot) => [
    view.style.bold(printable(slot.id)),
    printable(slot.operations),
    slot.original_size === undefined ? "?" : view.size(slot.original_size),
    view.size(slot.size),
    ratio(slot.size, slot.original_size),
    slot.chunks > 0 ? counted(slot.chunks, "chunk") : "",
  ]);
  const stored = data.slots.reduce((sum, slot) => sum + slot.size, 0);
  const isKnown = data.slots.every((slot) => slot.original_size !== undefined);
  const original = data.slots.reduce((sum, slot) => sum + (slot.original_size ?? 0), 0);
  const total = [
    "total",
    "",
    isKnown ? view.size(original) : "?",
    view.size(stored),
    ratio(stored, isKnown ? original : undefined),
    "",
  ];
  return view.table([
    ["slot", "operations", "original", "stored", "ratio", ""].map(view.style.dim),
    ...rows,
    total,
  ]);
}

function ratio(stored: number, original: number | undefined): string {
  return original === undefined || original === 0
    ? ""
    : `${((stored / original) * 100).toFixed(1)} %`;
}
