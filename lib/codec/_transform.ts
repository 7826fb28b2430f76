/**
 * A native transform stream of node:zlib as an async iterable: back pressure both ways, the source's own errors
 * unchanged, and both ends let go when the reader stops early.
 */
import type { Transform } from "node:stream";

/** What the native side gets at a time. Always the same length, because the output of an encoder depends on it. */
const BATCH = 1 << 18;

/** What `transform` makes of the bytes of `source`, however they are cut. Pieces are copied before the next is asked for. */
export async function* through(
  transform: Transform,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pumped = pump(transform, source);
  try {
    for await (const piece of transform) yield piece as Uint8Array;
    await pumped;
  } finally {
    transform.destroy();
    await pumped;
  }
}

/** Never rejects: a failing source destroys the transform, whose reader then gets the error. */
async function pump(transform: Transform, source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const batch of batches(source)) {
      if (transform.destroyed) return;
      if (!transform.write(batch)) await drained(transform);
    }
    if (!transform.destroyed) transform.end();
  } catch (error) {
    transform.destroy(error as Error);
  }
}

async function* batches(source: AsyncIterable<Uint8Array>) {
  let batch = new Uint8Array(BATCH);
  let filled = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + BATCH - filled);
      batch.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < BATCH) continue;
      yield batch;
      // The native side reads the old one later.
      batch = new Uint8Array(BATCH);
      filled = 0;
    }
  }
  if (filled > 0) yield batch.subarray(0, filled);
}

function drained(transform: Transform): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    transform.off("drain", done);
    transform.off("close", done);
    resolve();
  };
  transform.on("drain", done);
  transform.on("close", done);
  if (transform.destroyed) done();
  return promise;
}
