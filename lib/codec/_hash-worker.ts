/** A thread that hashes ranges of one file: a path first, then ranges one by one (see ranges.ts). */
import { openSync } from "node:fs";

import { type ByteRange, hashRange } from "./_range.ts";

/** What the thread answers: bytes done, or the result of a range (`undefined` when it could not be read). */
export type Answer = { advance: number } | { hex: string | undefined };

declare const self: Worker;

let file: number | undefined;

self.onmessage = async ({ data }: MessageEvent<string | ByteRange>) => {
  if (typeof data === "string") {
    file = openSync(data, "r");
    return;
  }
  const answer = (message: Answer) => self.postMessage(message);
  try {
    answer({ hex: await hashRange(file as number, data, (bytes) => answer({ advance: bytes })) });
  } catch {
    // The main thread reads the range again and gets the error with its name.
    answer({ hex: undefined });
  }
};
