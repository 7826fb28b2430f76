/** Commands in the environment that a package makes on its first start, before its key signs. */
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import {
  CheckError,
  type Context,
  EnvironmentError,
  findProgram,
  ioError,
  run,
  type RunResult,
  splitWords,
  UsageError,
} from "../../base/mod.ts";
import { embeddedLauncher, hostPlatform } from "../../launcher/mod.ts";
import { openPackage, type SlotInput, storedSlot, writePackage } from "../../pspf/mod.ts";
import { generateKeyPair } from "../../trust/mod.ts";
import type { Project } from "../manifest/project.ts";
import { writerManifest } from "../seal/manifest.ts";
import type { StagedSlot } from "../stage/stage.ts";
import { trialEncryption, trialKeys } from "./trial-keys.ts";

export interface Trial {
  /** The package, signed by anybody. */
  draft: string;
  project: Project;
  slots: StagedSlot[];
  /** Folder for everything that trials make; one for all trials of a package, so that it is unpacked once. */
  folder: string;
}

/** Long enough for the tests of an application; what waits for input or a network waits for ever. */
const TEST_LIMIT_MS = 600_000;

/**
 * Runs the user's test in the work environment of the package; its first word may be the package's name or one of its entries.
 * @returns what it printed. @throws CheckError `TEST_COMMAND` when it does not end with 0 within ten minutes
 */
export async function runTest(ctx: Context, trial: Trial, command: string): Promise<string> {
  ctx.progress.step(`Testing the package: ${command}`);
  const words = testWords(command, trial.project);
  const { code, stdout, stderr } = await runTrial(ctx, trial, words, {
    timeoutMs: TEST_LIMIT_MS,
  }).catch((error: unknown) => {
    throw isTimeout(error) ? testFailed(command, "did not end within 10 minutes", "") : error;
  });
  const output = lastLines(stdout, stderr);
  if (code === 0) return output;
  throw testFailed(command, `ended with ${code}`, output);
}

export function isTimeout(error: unknown): boolean {
  return error instanceof EnvironmentError && error.code === "PROGRAM_TIMEOUT";
}

export interface TrialOptions {
  timeoutMs: number;
  /** Variables over those of the user. */
  env?: Record<string, string>;
  /** Without a network, where the system lets us take it away. */
  isolated?: boolean;
}

/** Runs `words` in the work environment of the package: the same slots and setup in a package whose command they are. */
export async function runTrial(
  ctx: Context,
  { draft, project, slots, folder }: Trial,
  words: string[],
  { timeoutMs, env = {}, isolated = false }: TrialOptions,
): Promise<RunResult> {
  const trust = join(folder, "trust.d");
  const file = join(folder, "trial.psp");
  try {
    await mkdir(trust, { recursive: true, mode: 0o700 });
    await rm(file, { force: true });
    const pair = generateKeyPair();
    await writeFile(join(trust, "trial.pub"), pair.publicPem);
    const tested = {
      ...project,
      execution: { ...(project.execution?.env && { env: project.execution.env }), argv: words },
    };
    await writePackage(file, {
      launcher: await embeddedLauncher("auto", hostPlatform()),
      manifest: writerManifest(tested),
      slots: await storedSlots(draft, folder, slots),
      signer: pair.signer,
      profile: "sealed",
      epoch: 0,
      platform: hostParts(),
    });
    await chmod(file, 0o700);
  } catch (error) {
    throw ioError(error, folder);
  }
  const prefix = isolated ? await withoutNetwork(ctx) : [];
  return await run([...prefix, file], {
    env: { ...trialEnv(ctx.env, folder, trust), ...(await trialKeys(slots)), ...env },
    cwd: project.root,
    timeoutMs,
  });
}

/** A network namespace of its own, with nothing in it; nothing where the system forbids or lacks it. */
async function withoutNetwork({ env }: Context): Promise<string[]> {
  const words = ["unshare", "--net", "--map-root-user"];
  if (process.platform !== "linux" || findProgram("unshare", env) === undefined) return [];
  const { code } = await run([...words, "true"], { env, timeoutMs: 10_000 });
  return code === 0 ? words : [];
}

function testWords(command: string, { package: { name }, execution }: Project): string[] {
  const [first = "", ...rest] = splitWords(command);
  if (first === "") {
    throw new UsageError("TEST_COMMAND", "The test command is empty", {
      hint: 'Name a program or an entry, such as --test-command "report --version".',
    });
  }
  const main = execution?.argv ?? splitWords(execution?.command ?? "");
  const entry = execution?.entries?.[first] ?? (first === name ? main : undefined);
  return [...(entry ?? [first]), ...rest];
}

/** The stored bytes of the draft as files, so that the trial holds exactly what will be signed. */
async function storedSlots(
  draft: string,
  folder: string,
  staged: StagedSlot[],
): Promise<SlotInput[]> {
  const pkg = await openPackage(draft);
  try {
    const slots: SlotInput[] = [];
    for (const slot of pkg.slots) {
      const path = join(folder, `slot-${slot.index}`);
      const writer = Bun.file(path).writer();
      for await (const piece of storedSlot(pkg, slot.index)) {
        writer.write(piece);
        await writer.flush();
      }
      await writer.end();
      const { id, target, operations, purpose, lifecycle, permissions, share, platform } = slot;
      slots.push({
        id,
        source: "trial",
        target,
        operations,
        purpose,
        lifecycle,
        permissions,
        ...(share && { share }),
        ...(platform && { platform }),
        ...trialEncryption(slot, staged),
        content: { kind: "stored", path },
      });
    }
    return slots;
  } catch (error) {
    throw ioError(error, folder);
  } finally {
    await pkg.close();
  }
}

function hostParts(): { os: string; arch: string } {
  const [os, arch] = hostPlatform().split("_") as [string, string];
  return { os, arch };
}

/** Variables that steer a launcher and are meant for other packages. */
const STEERING = /^(SEALIFT_(VALIDATION|ENTRY|VERIFY|EXEC|LAUNCHER_CLI)|FLAVOR_LAUNCHER_CLI)$/;

/** The trial must not touch the user's folders. */
function trialEnv(
  env: Context["env"],
  folder: string,
  trust: string,
): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(([name]) => !STEERING.test(name));
  return {
    ...Object.fromEntries(kept),
    SEALIFT_CACHE: join(folder, "cache"),
    SEALIFT_DATA: join(folder, "data"),
    SEALIFT_TRUST_DIR: trust,
  };
}

function lastLines(...outputs: Uint8Array[]): string {
  const text = outputs.map((bytes) => new TextDecoder().decode(bytes).trimEnd()).filter(Boolean);
  return text.join("\n").split("\n").slice(-20).join("\n");
}

function testFailed(command: string, end: string, output: string): CheckError {
  return new CheckError("TEST_COMMAND", `The test command ${end}: ${command}`, {
    hint: output === "" ? "It printed nothing." : `Its last lines:\n${output}`,
    details: { command },
  });
}
