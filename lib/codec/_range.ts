/** SHA-256 over a range of an open file; on its own, so that a worker loads nothing else. */
import { readSync } from "node:fs";

export interface ByteRange {
  offset: number;
  length: number;
}

const PIECE = 1 << 20;
/** The event loop gets a turn after this many bytes, so that progress, signals and workers are heard. */
const TURN = 16 << 20;

/** The digest as hex; `undefined` when the file ends before the range does. Errors of the system are thrown. */
export async function hashRange(
  file: number,
  range: ByteRange,
  advance: (bytes: number) => void,
): Promise<string | undefined> {
  const hash = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(Math.min(PIECE, Math.max(range.length, 1)));
  let done = 0;
  let turn = 0;
  while (done < range.length) {
    const want = Math.min(buffer.length, range.length - done);
    const got = readSync(file, buffer, 0, want, range.offset + done);
    if (got === 0) return undefined;
    hash.update(got === buffer.length ? buffer : buffer.subarray(0, got));
    done += got;
    turn += got;
    if (turn >= TURN) {
      advance(turn);
      turn = 0;
      await Bun.sleep(0);
    }
  }
  if (turn > 0) advance(turn);
  return hash.digest("hex");
}
