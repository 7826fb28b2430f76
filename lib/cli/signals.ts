/**
 * What happens when a person or the system stops sealift: unfinished outputs are removed, the progress line is erased, and
 * the process dies by that very signal, so that shells and parents see it (130 for SIGINT).
 */
import { note } from "./output.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** `cleanUp` runs once, synchronously, before the process ends. Returns a function that takes the handlers away. */
export function dieBySignal(cleanUp: () => void): () => void {
  const handlers = SIGNALS.map((signal) => {
    const handler = () => {
      remove();
      try {
        cleanUp();
      } catch (error) {
        note(`sealift: warning: cleaning up failed: ${error}`);
      }
      process.kill(process.pid, signal);
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  const remove = () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
  return remove;
}
