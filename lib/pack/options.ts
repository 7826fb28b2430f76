/** What `pack` is asked for beyond the project, and what it answers. */
import type { IndexWishes, PackedPython, PythonReport, PythonSource } from "../python/mod.ts";
import type { OutputOptions } from "./output.ts";
import type { NativeReport } from "./proof/native.ts";
import type { Proven } from "./proof/proof.ts";
import type { KeyOptions } from "./seal/keys.ts";
import type { SlotKeyOptions } from "./seal/slot-keys.ts";

export interface PackOptions extends KeyOptions, OutputOptions {
  launcher?: "auto" | "rust" | "go" | undefined;
  /** A stub of the user's own, taken as it is. */
  launcherBin?: string | undefined;
  /** Overrides what the slots choose: `zstd:3`, `none`. */
  compression?: string | undefined;
  compat?: "flavorpack" | undefined;
  /** Change no byte: only the plan. */
  dryRun?: boolean | undefined;
  /** Decode and compare everything before the key signs. */
  validateBeforeSign?: boolean | undefined;
  /** Words of a command that must succeed in the extracted package before the key signs. */
  testCommand?: string | undefined;
  /** Version, path or archive of the interpreter. */
  python?: string | undefined;
  /** Where it may come from, before what the project says. */
  pythonSource?: PythonSource | undefined;
  /** Resolve from the lock only. */
  frozen?: boolean | undefined;
  /** Extras and dependency groups beside those of the manifest. */
  extras?: string[] | undefined;
  groups?: string[] | undefined;
  /** Where packages come from. */
  index?: IndexWishes | undefined;
  jobs?: number | undefined;
  /** Keys of encrypted slots. */
  slotKeys?: SlotKeyOptions | undefined;
}

export interface PackedSlot {
  id: string;
  target: string;
  /** Canonical text of the chain. */
  operations: string;
  /** Bytes before compression. */
  original: number;
  /** Bytes in the file; absent in a plan. */
  stored?: number;
}

export interface PackedOutput {
  platform: string;
  path: string;
  launcher: { tool: string; version: string; size: number };
  slots: PackedSlot[];
  /** Programs of the target machine that the commands start. */
  hostPrograms: string[];
  /** The interpreter of a Python project. */
  python?: PackedPython;
  /** What its programs and libraries ask of the target; Linux only. */
  native?: NativeReport;
  /** What was proven before the key signed. */
  checks?: Proven[];
  /** Absent in a plan. */
  size?: number;
  identity?: string;
}

export interface PackReport {
  name: string;
  version: string;
  manifest: string;
  key: { origin: string; created: boolean; fingerprint?: string };
  outputs: PackedOutput[];
  /** Path of the signed manifest that binds the packages of several platforms. */
  release?: string;
  notes: string[];
  dryRun: boolean;
  /** Of a Python project: what the resolution and the layout found. */
  python?: PythonReport;
}

/** Packages for several platforms often have the same to say: it is said once. */
export function addNotes(report: PackReport, notes: readonly string[]): void {
  for (const note of notes) if (!report.notes.includes(note)) report.notes.push(note);
}
