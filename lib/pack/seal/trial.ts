/**
 * Proof before a signature: every slot is decoded and compared with what it was made from, and a command of the user runs
 * in the environment that the package makes on its first start.
 */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { CheckError, type Context, ioError, run, UsageError } from "../../base/mod.ts";
import { readTar, Sha256, sha256File, type TreeEntry } from "../../codec/mod.ts";
import { embeddedLauncher, hostPlatform } from "../../launcher/mod.ts";
import {
  decodedSlot,
  type FindKey,
  openPackage,
  type Package,
  type PackageSlot,
  type SlotEncryption,
  type SlotInput,
  storedSlot,
  verifyPackage,
  writePackage,
} from "../../pspf/mod.ts";
import { generateKeyPair } from "../../trust/mod.ts";
import type { Project } from "../manifest/project.ts";
import { splitWords } from "../stage/_words.ts";
import type { StagedSlot } from "../stage/stage.ts";
import { writerManifest } from "./manifest.ts";

/** @throws CheckError `PACK_VERIFY`, `PACK_CONTENT` when the written package is not what was to be packed */
export async function validatePackage(
  ctx: Context,
  path: string,
  slots: StagedSlot[],
): Promise<void> {
  ctx.progress.step("Validating the package before it is signed");
  const verdict = await verifyPackage(path, { progress: ctx.progress });
  const failed = verdict.checks.find((check) => !check.ok);
  if (failed)
    throw new CheckError("PACK_VERIFY", `The written package does not verify: ${failed.detail}`, {
      hint: "Pack again when nothing else writes to the sources; if it stays, report it.",
    });
  const pkg = await openPackage(path, { findKey: keysOf(slots) });
  try {
    for (const [i, slot] of slots.entries()) await compareSlot(pkg, i, slot.input);
  } finally {
    await pkg.close();
  }
}

/** The keys that the slots were just encrypted with. */
function keysOf(slots: StagedSlot[]): FindKey {
  return async ({ id }) => {
    const slot = slots.find(({ input }) => input.id === id) as StagedSlot;
    return (await (slot.input.encryption as SlotEncryption).key()).bytes;
  };
}

async function compareSlot(
  pkg: Package,
  index: number,
  { id, content, target }: SlotInput,
): Promise<void> {
  if (content.kind === "tree") {
    // The compatible profile moves a tree to the root and its target into the names.
    const prefix = pkg.sealed || target === "" ? "" : `${target}/`;
    return await compareTree(pkg, index, { id, entries: content.entries, prefix });
  }
  // Stored bytes were decoded when they were taken in; `verifyPackage` compared them with their digest.
  if (content.kind === "stored") return;
  const expected =
    content.kind === "file" ? await sha256File(content.path) : await digest([content.bytes]);
  if ((await digest(decodedSlot(pkg, index))) !== expected) throw changed(id, "its source");
}

interface ExpectedTree {
  id: string;
  entries: TreeEntry[];
  prefix: string;
}

async function compareTree(
  pkg: Package,
  index: number,
  { id, entries, prefix }: ExpectedTree,
): Promise<void> {
  const expected = new Map(entries.map((entry) => [prefix + entry.path, entry]));
  for await (const { entry, body } of readTar(decodedSlot(pkg, index))) {
    const source = expected.get(entry.path);
    // Folders that were only implied are made by the writer.
    if (source === undefined && entry.type === "directory") continue;
    if (source === undefined) throw changed(id, entry.path);
    expected.delete(entry.path);
    if (entry.type !== "file" || source.type !== "file") continue;
    const from = source.source;
    const wanted =
      typeof from === "string"
        ? await sha256File(from)
        : await digest([from?.bytes ?? new Uint8Array()]);
    if ((await digest(body)) !== wanted) throw changed(id, entry.path);
  }
  const [lost] = expected.keys();
  if (lost !== undefined) throw changed(id, lost);
}

async function digest(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = new Sha256();
  for await (const piece of pieces) hash.update(piece);
  return hash.hex();
}

function changed(id: string, path: string): CheckError {
  return new CheckError("PACK_CONTENT", `Slot ${id}: ${path} changed while it was packed`, {
    hint: "Pack again when nothing else writes there.",
    details: { slot: id, path },
  });
}

interface Trial {
  /** The package, signed by anybody. */
  draft: string;
  /** POSIX-quoted words; the first may be the package's name or one of its entries. */
  command: string;
  project: Project;
  slots: StagedSlot[];
  /** Folder for everything that the trial makes. */
  scratch: string;
}

/**
 * Runs a command in the work environment of the package: the same slots and setup in a package whose command is the test.
 * @throws CheckError `TEST_COMMAND` when it does not end with 0
 */
export async function runTrial(
  ctx: Context,
  { draft, command, project, slots, scratch }: Trial,
): Promise<void> {
  ctx.progress.step(`Testing the package: ${command}`);
  const words = testWords(command, project);
  const folder = join(scratch, "trial");
  const trust = join(folder, "trust.d");
  await mkdir(trust, { recursive: true, mode: 0o700 });
  const pair = generateKeyPair();
  await writeFile(join(trust, "trial.pub"), pair.publicPem);
  const file = join(folder, "trial.psp");
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
  const env = { ...trialEnv(ctx.env, folder, trust), ...(await keyVariables(slots)) };
  const result = await run([file], { env, cwd: project.root });
  if (result.code === 0) return;
  throw testFailed(command, result.code, lastLines(result.stdout, result.stderr));
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

/** The same key, from a variable of the trial: files and questions are for the person who will start the package. */
function trialEncryption(
  { index, metadata }: PackageSlot,
  staged: StagedSlot[],
): Pick<SlotInput, "encryption"> {
  const encryption = staged[index]?.input.encryption;
  if (encryption === undefined || metadata.encryption === undefined) return {};
  const keySource = `env:${keyVariable(index)}`;
  const parameters = { ...metadata.encryption, key_source: keySource };
  return { encryption: { keySource, key: encryption.key, parameters } };
}

function keyVariable(index: number): string {
  return `SEALIFT_TRIAL_KEY_${index}`;
}

async function keyVariables(staged: StagedSlot[]): Promise<Record<string, string | undefined>> {
  const variables: Record<string, string | undefined> = {};
  for (const [i, { input }] of staged.entries()) {
    if (input.encryption === undefined) continue;
    const { kind, bytes } = await input.encryption.key();
    variables[keyVariable(i)] = kind === "key" ? bytes.toHex() : new TextDecoder().decode(bytes);
    // The launcher takes the package's own variable out of the program's environment.
    const own = /^env:(.*)$/.exec(input.encryption.keySource)?.[1];
    if (own !== undefined) variables[own] = undefined;
  }
  return variables;
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

function testFailed(command: string, code: number, output: string): CheckError {
  return new CheckError("TEST_COMMAND", `The test command ended with ${code}: ${command}`, {
    hint: output === "" ? "It printed nothing." : `Its last lines:\n${output}`,
    details: { command, code },
  });
}
