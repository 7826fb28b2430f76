/**
 * A native transform stream of node:zlib as an async iterable: back pressure both ways, the source's own errors
 * unchanged, and both ends let go when the reader stops early.
 */
import type { Transform } from "node:stream";

/** The pieces of `source` must not be changed after they are handed over: the native side reads them later. */
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
    for await (const piece of source) {
      if (transform.destroyed) return;
      if (piece.length > 0 && !transform.write(piece)) await drained(transform);
    }
    if (!transform.destroyed) transform.end();
  } catch (error) {
    transform.destroy(error as Error);
  }
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
