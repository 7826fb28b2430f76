/**
 * What is at the other end of the standard streams. Asking costs milliseconds (`process.stdout` 6.5, `node:tty` 3), so it
 * happens on demand, and only for character devices.
 */
export type StreamNumber = 0 | 1 | 2;

export function isTerminal(stream: StreamNumber): boolean {
  try {
    const { fstatSync } = process.getBuiltinModule("node:fs");
    if (process.platform !== "win32" && !fstatSync(stream).isCharacterDevice()) return false;
    return process.getBuiltinModule("node:tty").isatty(stream);
  } catch {
    return false;
  }
}

/** Whether text for `stream` may be coloured. An explicit flag wins over NO_COLOR (any value but empty), which wins over the terminal. */
export function useColor(
  flag: "auto" | "always" | "never",
  env: Record<string, string | undefined>,
  stream: StreamNumber,
): boolean {
  if (flag !== "auto") return flag === "always";
  if ((env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return false;
  return isTerminal(stream);
}
