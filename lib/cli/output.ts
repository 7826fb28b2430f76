/**
 * The only place that writes to the terminal.
 *
 * stdout is the result: text, one JSON document, or raw bytes. stderr is for people: steps, progress, warnings, errors.
 * A closed reader (`| head`) ends the output quietly; every other failure to write the result is an error.
 * `process.stdout` and `process.stderr` are not touched: they cost 6.5 ms.
 */
import { EnvironmentError, isSystemError } from "../base/mod.ts";

let closed = false;

/** Nothing more is a result: an error was the answer. */
export function closeResult(): void {
  closed = true;
}

/** Writes the result. Text that does not end in a line feed gets one. */
export async function writeResult(text: string): Promise<void> {
  if (text === "" || closed) return;
  await guarded(() => Bun.write(Bun.stdout, text.endsWith("\n") ? text : `${text}\n`));
}

/** Writes raw bytes as the result, with the pace of the reader. */
export async function writeBytes(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const writer = Bun.stdout.writer({ highWaterMark: 1 << 18 });
  await guarded(async () => {
    for await (const part of bytes) {
      writer.write(part);
      await writer.flush();
    }
    await writer.end();
  });
}

/** One line for people. */
export function note(text: string): void {
  try {
    console.error(text);
  } catch {
    // Nobody can be told that nobody can be told.
  }
}

async function guarded(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (isBrokenPipe(error)) return;
    if (!isSystemError(error) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new EnvironmentError(
      "STDOUT",
      `The result cannot be written to standard output (${code})`,
      {
        hint: "Check what standard output is connected to.",
        details: { errno: code },
        cause: error,
      },
    );
  }
}

export function isBrokenPipe(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === "EPIPE";
}
