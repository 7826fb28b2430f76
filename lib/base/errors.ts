/**
 * Every failure of sealift is one of these classes: a stable code, one sentence that names the file
 * and the field, and one hint that says what to do. The class fixes the exit code.
 */

/** Exit codes, the same for every command. */
export const ExitCode = {
  ok: 0,
  /** A check failed: the verdict is "no". */
  check: 1,
  usage: 2,
  /** Bad input or format. */
  input: 3,
  /** Environment or I/O. */
  environment: 4,
  network: 5,
  /** A bug in sealift. */
  internal: 6,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export interface ErrorOptions {
  /** One sentence that says what the user can do. */
  hint?: string;
  /** Facts for `--json`: file, field, offset, expected, actual. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export abstract class SealiftError extends Error {
  abstract readonly exit: ExitCode;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  /** @param code stable upper-case code such as `PSPF_TRAILER` */
  constructor(
    readonly code: string,
    message: string,
    options: ErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** A check failed: signature, digest, trust, policy. The input was understood. */
export class CheckError extends SealiftError {
  readonly exit = ExitCode.check;
}

/** The command line is wrong. */
export class UsageError extends SealiftError {
  readonly exit = ExitCode.usage;
}

/** A file, manifest or archive is not what it must be. */
export class FormatError extends SealiftError {
  readonly exit = ExitCode.input;
}

/** The machine says no: missing file or tool, permissions, disk full. */
export class EnvironmentError extends SealiftError {
  readonly exit = ExitCode.environment;
}

/** A server could not be reached or answered wrongly; also: a socket is needed under `--offline`. */
export class NetworkError extends SealiftError {
  readonly exit = ExitCode.network;
}

/** sealift itself is wrong. */
export class InternalError extends SealiftError {
  readonly exit = ExitCode.internal;
}
