/** What a delta holds, without the packages that it is between. */
import { PlanReader } from "../../codec/mod.ts";
import { type DeltaHeader, openDelta } from "./file.ts";

export interface DeltaInfo {
  path: string;
  size: number;
  header: DeltaHeader;
  /** Bytes that are named in the old package, described as differences, new, and carried as they are stored. */
  bytes: { copied: number; differing: number; literal: number; carried: number };
  /** Pieces that are compressed again, per encoder. */
  recompressed: Record<string, number>;
}

/** @throws FormatError, EnvironmentError */
export async function inspectDelta(path: string): Promise<DeltaInfo> {
  const delta = await openDelta(path);
  try {
    const info: DeltaInfo = {
      path,
      size: delta.size,
      header: delta.header,
      bytes: { copied: 0, differing: 0, literal: 0, carried: 0 },
      recompressed: {},
    };
    count(new PlanReader(await delta.plan()), info);
    return info;
  } finally {
    await delta.close();
  }
}

const COUNTED = {
  copy: "copied",
  diff: "differing",
  literal: "literal",
  stored: "carried",
} as const;

function count(plan: PlanReader, { bytes, recompressed }: DeltaInfo): void {
  for (let segment = plan.segment(); segment; segment = plan.segment()) {
    const kind = segment.encoder.split("-")[0] as string;
    if (kind !== "none") recompressed[kind] = (recompressed[kind] ?? 0) + 1;
    for (let op = plan.op(); op; op = plan.op()) bytes[COUNTED[op.kind]] += op.length;
  }
}
