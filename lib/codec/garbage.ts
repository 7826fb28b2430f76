/**
 * Keeps long streams of large buffers within their memory budget. The collector sees small objects and lets hundreds of megabytes
 * of buffers behind them wait, so whoever passes megabytes on counts them here.
 */

/** So many bytes of buffers may wait. A collection takes some milliseconds, this much zstd a hundred. */
const LIMIT = 8 << 20;

export class Garbage {
  #waiting = 0;

  /** `bytes` more were passed on and are not needed any more. */
  add(bytes: number): void {
    this.#waiting += bytes;
    if (this.#waiting < LIMIT) return;
    this.#waiting = 0;
    Bun.gc(true);
  }
}
