/** The file that the download tests fetch, and what they fetch it with. */
import { hostname } from "node:os";

import { silentProgress } from "../../../lib/base/mod.ts";
import { sha256Hex } from "../../../lib/codec/mod.ts";
import { indexSettings } from "../../../lib/python/index/index-settings.ts";
import type { LockedFile } from "../../../lib/python/lock/locked.ts";

/** Not compressible, so that a piece of it is like no other piece. */
export const body = new Uint8Array(300_000);
for (let i = 0, x = 1; i < body.length; i++) body[i] = (x = (x * 48271) % 2147483647) & 255;
export const sha256 = sha256Hex(body);
export const half = body.length / 2;

export const context = (cacheDir: string, env: Record<string, string> = {}) => ({
  offline: false,
  cacheDir,
  progress: silentProgress,
  env,
  index: indexSettings({}, {}, ".", env),
});
export const file = (url: string, more: Partial<LockedFile> = {}): LockedFile => ({
  kind: "wheel",
  file: "a-1-py3-none-any.whl",
  location: { url },
  sha256,
  ...more,
});

/** How parts of this machine are marked. */
export const MINE = Bun.CryptoHasher.hash("sha256", hostname(), "hex").slice(0, 8);
