/** Tests that need something from the machine are skipped with the reason in their name, so that a report says why. */
import { test } from "bun:test";

/**
 * `test`, or a skipped test whose name ends in the reason.
 * @param available `true`, or why the test cannot run here
 */
export function testIf(
  available: true | string,
): (name: string, body: () => unknown, timeoutMs?: number) => void {
  return (name, body, timeoutMs) => {
    if (available === true) test(name, body as () => Promise<void>, timeoutMs);
    else test.skip(`${name} [skipped: ${available}]`, () => undefined);
  };
}
