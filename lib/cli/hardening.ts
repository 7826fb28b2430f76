/**
 * The runtime flags that `scripts/build.ts` bakes into the binary, and the check at start that they are what is in force.
 * `BUN_OPTIONS` is read by every compiled program before its first line, and shows up in `process.execArgv`. (`BUN_BE_BUN`
 * cannot be seen from here: whoever sets it gets Bun, not sealift.)
 */
import { EnvironmentError } from "../base/mod.ts";

export const EXEC_ARGV = [
  "--disallow-code-generation-from-strings=strict",
  "--use-system-ca",
  "--no-addons",
  "--no-ffi-cc",
] as const;

/** Throws `EnvironmentError("RUNTIME_FLAGS")` when a compiled sealift was started with other flags than its own. */
export function checkRuntimeFlags(
  flags: readonly string[] = process.execArgv,
  standalone: boolean = Bun.isStandaloneExecutable,
): void {
  if (!standalone) return;
  const same = flags.length === EXEC_ARGV.length && EXEC_ARGV.every((flag, i) => flags[i] === flag);
  if (same) return;
  throw new EnvironmentError(
    "RUNTIME_FLAGS",
    "Other runtime flags than those of sealift are in force",
    {
      hint: "Unset BUN_OPTIONS and start it again.",
      details: { expected: [...EXEC_ARGV], actual: [...flags] },
    },
  );
}
