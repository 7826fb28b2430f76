/** What a domain function may know about the world it runs in; commands pass it down. */
import { NetworkError } from "./errors.ts";
import type { Progress } from "./progress.ts";

export interface Context {
  /** No socket may be opened. */
  offline: boolean;
  /** Base of caches, absolute. */
  cacheDir: string;
  progress: Progress;
  env: Record<string, string | undefined>;
}

/** Throws `NetworkError("OFFLINE")` that says what the network is needed for, when `--offline` forbids it. */
export function requireNetwork(context: Pick<Context, "offline">, purpose: string): void {
  if (!context.offline) return;
  throw new NetworkError("OFFLINE", `${purpose} needs the network, and --offline forbids it`, {
    hint: "Run it without `--offline` (and with SEALIFT_OFFLINE unset), or provide the files locally.",
    details: { purpose },
  });
}
