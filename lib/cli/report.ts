/** The one place where an error becomes text or JSON and an exit code. */
import { InternalError, ioError, SealiftError } from "../base/mod.ts";
import { closeResult, note, writeResult } from "./output.ts";
import { makeStyle, printable } from "./view.ts";

export interface ReportOptions {
  json: boolean;
  debug: boolean;
  /** Whether stderr may be coloured; asked only when text is printed. */
  color: () => boolean;
}

/** Prints the error and returns the exit code. */
export async function report(thrown: unknown, options: ReportOptions): Promise<number> {
  const error = classify(thrown);
  if (options.json) await writeResult(JSON.stringify(document(error)));
  else note(text(error, options.color()));
  closeResult();
  if (options.debug || error instanceof InternalError) note(stackOf(error));
  return error.exit;
}

/** Anything thrown as one of our errors: system errors are the environment, everything unknown is a bug of ours. */
export function classify(thrown: unknown): SealiftError {
  const error = ioError(thrown);
  if (error instanceof SealiftError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new InternalError("INTERNAL", message === "" ? "An unknown error" : message, {
    hint: "This is a bug in sealift: please report it with the stack below and the command line.",
    cause: error,
  });
}

function document(error: SealiftError): Record<string, unknown> {
  return {
    schema: "sealift.error/1",
    ok: false,
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
    exit: error.exit,
  };
}

function text(error: SealiftError, color: boolean): string {
  const style = makeStyle(color);
  const lines = [`sealift: ${style.red("error:")} ${printable(error.message)}`];
  for (const key of ["expected", "actual"]) {
    const value = error.details?.[key];
    if (typeof value === "string" || typeof value === "number") {
      lines.push(`  ${key}: ${printable(String(value))}`);
    }
  }
  if (error.hint !== undefined) lines.push(`${style.cyan("hint:")} ${printable(error.hint)}`);
  return lines.join("\n");
}

function stackOf(error: Error): string {
  const parts: string[] = [];
  for (let one: unknown = error; one instanceof Error && parts.length < 8; one = one.cause) {
    parts.push(one.stack ?? String(one));
  }
  return parts.join("\ncaused by: ");
}
