/** Whether a file is meant to be a package, without opening it as one. */
import { open } from "node:fs/promises";

import { MAGIC_END, sameBytes, TRAILER_SIZE } from "./layout.ts";

/** Whether `path` is a file that ends as a package does. False for what cannot be read. */
export async function endsLikePackage(path: string): Promise<boolean> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return false;
  try {
    const info = await file.stat();
    if (!info.isFile() || info.size < TRAILER_SIZE) return false;
    const end = new Uint8Array(MAGIC_END.length);
    await file.read(end, 0, end.length, info.size - end.length);
    return sameBytes(end, MAGIC_END);
  } finally {
    await file.close();
  }
}
