/**
 * Runs conformance cases against a stub on this machine: writes each case's package, damages it as the case says, starts it as
 * a user would, and compares exit code and output. Used by `sealift launchers test` and by the test suite.
 */

import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as v from "valibot";

import messages from "../../../test/conformance/messages.json";
import { InternalError, run } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { openPackage } from "../../pspf/mod.ts";
import { publicKeyPem, signerFromSeed } from "../../trust/mod.ts";
import type { Launcher } from "../embedded.ts";
import { type Case, CaseFile, type Step } from "./case.ts";
import { applyDamage } from "./damage.ts";
import { writeCase, type Writer } from "./package.ts";

const STEP_TIMEOUT_MS = 60_000;

export interface CaseResult {
  name: string;
  writer: Writer;
  ok: boolean;
  /** What differed, one line each. */
  problems: string[];
}

/** Checks the shape of a case file. */
export function readCases(document: unknown): CaseFile {
  const parsed = v.safeParse(CaseFile, document);
  if (parsed.success) return parsed.output;
  throw new InternalError(
    "CASE_SHAPE",
    `Conformance cases are malformed: ${v.summarize(parsed.issues)}`,
  );
}

/** @param prefix words in front of the package, such as `["qemu-aarch64-static"]` */
export async function runCase(
  test: Case,
  writer: Writer,
  launcher: Launcher,
  prefix: string[] = [],
): Promise<CaseResult> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "sealift-case-")));
  try {
    const stage = await Stage.create(folder, test, writer, launcher, prefix);
    const problems: string[] = [];
    for (const [i, step] of test.steps.entries()) {
      const found = await stage.play(step);
      problems.push(
        ...found.map((problem) => (test.steps.length > 1 ? `step ${i + 1}: ${problem}` : problem)),
      );
    }
    return { name: test.name, writer, ok: problems.length === 0, problems };
  } finally {
    await run(["chmod", "-R", "u+rwX", folder]);
    await rm(folder, { recursive: true, force: true });
  }
}

class Stage {
  private constructor(
    readonly folder: string,
    readonly test: Case,
    readonly bytes: Uint8Array,
    readonly workenv: string,
    readonly prefix: string[],
  ) {}

  static async create(
    folder: string,
    test: Case,
    writer: Writer,
    launcher: Launcher,
    prefix: string[],
  ): Promise<Stage> {
    const path = join(folder, "written.psp");
    const written = await writeCase(test, writer, launcher, path);
    const bytes = applyDamage(written, test.damage);
    await writeFile(path, written);
    const workenv = join(folder, "cache", "workenv", await workenvName(path, test));
    await rm(path);
    await mkdir(join(folder, "home"));
    // For cases about trust: the key that signed the package, and another one.
    for (const [name, seed] of [
      ["signer", "conformance"],
      ["other", "somebody else"],
    ] as const) {
      await writeFile(join(folder, `${name}.pub`), publicKeyPem(signerFromSeed(seed).publicKey));
    }
    return new Stage(folder, test, bytes, workenv, prefix);
  }

  async play(step: Step): Promise<string[]> {
    const file = join(this.folder, step.as ?? `${this.test.package}.psp`);
    await writeFile(file, this.bytes);
    await chmod(file, 0o755);
    const env = this.environment(step, file);
    if (step.before) await this.shell(step.before, env);
    const argv = [...this.prefix, file, ...step.args.map((word) => this.fill(word, file))];
    const starts = Array.from({ length: step.together }, () =>
      run(argv, { env, cwd: this.folder, timeoutMs: STEP_TIMEOUT_MS }),
    );
    const problems = new Set<string>();
    for (const outcome of await Promise.all(starts)) {
      for (const problem of this.compare(step, file, outcome)) problems.add(problem);
    }
    if (step.after) {
      const { code, stdout, stderr } = await this.shell(step.after, env);
      if (code !== 0)
        problems.add(`\`${step.after}\` exited with ${code}: ${text(stdout)}${text(stderr)}`);
    }
    return [...problems];
  }

  private environment(step: Step, file: string): Record<string, string> {
    const env: Record<string, string> = {
      PATH: process.env.PATH ?? "/usr/bin:/bin",
      HOME: join(this.folder, "home"),
      SEALIFT_CACHE: join(this.folder, "cache"),
      FILE: file,
      DIR: this.folder,
      CACHE: join(this.folder, "cache"),
      WORKENV: this.workenv,
    };
    for (const [name, value] of Object.entries(step.env)) env[name] = this.fill(value, file);
    for (const name of step.unset) delete env[name];
    return env;
  }

  private shell(command: string, env: Record<string, string>) {
    return run(["/bin/sh", "-ec", command], { env, cwd: this.folder, timeoutMs: STEP_TIMEOUT_MS });
  }

  private fill(value: string, file: string): string {
    return value
      .replaceAll("${dir}", this.folder)
      .replaceAll("${cache}", join(this.folder, "cache"))
      .replaceAll("${workenv}", this.workenv)
      .replaceAll("${file}", file);
  }

  private compare(
    step: Step,
    file: string,
    outcome: { code: number; stdout: Uint8Array; stderr: Uint8Array },
  ): string[] {
    const stdout = text(outcome.stdout);
    const stderr = text(outcome.stderr);
    const message = step.error === undefined ? undefined : expectedMessage(step.error);
    const problems: string[] = [];
    const exit = message?.exit ?? step.exit;
    if (outcome.code !== exit)
      problems.push(`exit code ${outcome.code}, expected ${exit}; stderr: ${stderr.trim()}`);
    if (step.stdout !== undefined && stdout !== this.fill(step.stdout, file)) {
      problems.push(
        `stdout ${JSON.stringify(stdout)}, expected ${JSON.stringify(this.fill(step.stdout, file))}`,
      );
    }
    if (step.stderr !== undefined && stderr !== this.fill(step.stderr, file)) {
      problems.push(
        `stderr ${JSON.stringify(stderr)}, expected ${JSON.stringify(this.fill(step.stderr, file))}`,
      );
    }
    const inStdout = step.stdoutHas.map((part) => this.fill(part, file));
    problems.push(
      ...inStdout
        .filter((part) => !stdout.includes(part))
        .map((part) => `stdout lacks ${JSON.stringify(part)}: ${stdout}`),
    );
    const inStderr = [
      ...step.stderrHas.map((part) => this.fill(part, file)),
      ...(message ? message.parts : []),
    ];
    problems.push(
      ...inStderr
        .filter((part) => !stderr.includes(part))
        .map((part) => `stderr lacks ${JSON.stringify(part)}: ${stderr}`),
    );
    return problems;
  }
}

/** The fixed pieces of a message's text, without its placeholders. */
function expectedMessage(code: string): { exit: number; parts: string[] } {
  const entry = (messages as Record<string, { exit: number; message: string }>)[code];
  if (!entry) throw new InternalError("CASE_MESSAGE", `There is no message ${code}`);
  const parts = entry.message.split(/\{\w+\}/).filter((part) => part.trim() !== "");
  return { exit: entry.exit, parts: ["sealift: ", ...parts] };
}

/** Name of the work environment; a package too broken to be opened has none. */
async function workenvName(path: string, test: Case): Promise<string> {
  try {
    const opened = await openPackage(path);
    opened.close();
    return `${test.package}-${test.version}-${sha256Hex(opened.json).slice(0, 16)}`;
  } catch {
    return `${test.package}-${test.version}-none`;
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
