/**
 * Project → package. The order matters: outputs that exist are refused first, the layout is checked before a byte is compressed,
 * and with `--validate-before-sign` or `--test-command` the real key signs only what was proven.
 */
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import {
  type Context,
  EnvironmentError,
  FormatError,
  ioError,
  scratchFolder,
  sourceDateEpoch,
  UsageError,
} from "../base/mod.ts";
import { hostPlatform } from "../launcher/mod.ts";
import { formatOperations, signPackage, writePackage } from "../pspf/mod.ts";
import type { PackedPython } from "../python/mod.ts";
import { generateKeyPair, keyFingerprint, type Signer } from "../trust/mod.ts";
import type { Project } from "./manifest/project.ts";
import { addNotes, type PackedOutput, type PackOptions, type PackReport } from "./options.ts";
import { type Output, planOutputs, planRelease } from "./output.ts";
import { type NativeReport, nativeReport } from "./proof/native.ts";
import { type Proof, provePackage } from "./proof/proof.ts";
import { runTest } from "./proof/trial.ts";
import { refusePythonOptions } from "./python-options.ts";
import { writeRelease } from "./release/manifest.ts";
import { compatProject, compatSlot } from "./seal/compat.ts";
import { chooseKey, type ChosenKey } from "./seal/keys.ts";
import { writerManifest } from "./seal/manifest.ts";
import { type SlotKeys, slotKeys } from "./seal/slot-keys.ts";
import { findStub, type Stub } from "./seal/stub.ts";
import { type CompressionChoice, parseCompression } from "./stage/compression.ts";
import { checkLayout } from "./stage/layout.ts";
import { slotMemory } from "./stage/memory.ts";
import { refuseOwnFiles } from "./stage/own.ts";
import { addPython } from "./stage/python.ts";
import { sourceHash } from "./stage/source-hash.ts";
import { isFor, type StagedSlot, stageSlot } from "./stage/stage.ts";

/**
 * Default of slots that choose nothing: the knee of the curve. A Python library of 134 MB: level 3 31.2 MB in 1.0 s, 9 27.8 MB in 3.3 s,
 * 12 27.6 MB in 6.1 s, 15 27.5 MB in 33 s, 19 25.0 MB in 60 s (two busy cores). `zstd:19` is for what many people download.
 */
const DEFAULT_COMPRESSION: CompressionChoice = { algorithm: "zstd", level: 9 };
/**
 * Interpreters are packed once and kept, so they can take their time: HTTPie's package is 22.3 MB with it and 23.6 MB at level 9.
 */
const INTERPRETER_COMPRESSION: CompressionChoice = { algorithm: "zstd", level: 19 };
const COMPAT_COMPRESSION: CompressionChoice = { algorithm: "gzip", level: 9 };

/** One package, ready to be written. */
interface Planned {
  output: Output;
  project: Project;
  slots: StagedSlot[];
  stub: Stub;
  hostPrograms: string[];
  python?: PackedPython;
  native?: NativeReport;
}

/**
 * Packs a project for each of its platforms.
 * @throws every error class but NetworkError, and that one for Python projects; nothing is left behind on failure
 */
export async function packProject(
  ctx: Context,
  project: Project,
  options: PackOptions = {},
): Promise<PackReport> {
  const outputs = planOutputs(project, options);
  const key = chooseKey(options, project.key, ctx.env);
  // A key that is missing or locked is said before minutes of work; one that has to be made waits for their success.
  const known = options.dryRun || key.isNew ? undefined : await key.open();
  const encryption = slotKeys(ctx, project, options.slotKeys);
  if (!options.dryRun) await findSlotKeys(project, outputs, encryption);
  if (options.testCommand !== undefined) refuseForeignTest(outputs);
  refusePythonOptions(project, options);
  // Below the cache, where there is room; a dry run leaves no folder there.
  const base = options.dryRun ? tmpdir() : join(ctx.cacheDir, "tmp");
  await using folder = await scratchFolder(base, "sealift-pack-");
  const scratch = folder.path;
  const report = emptyReport(project, key, options);
  const planned: Planned[] = [];
  const scope: Scope = {
    options,
    scratch,
    report,
    key: key.file,
    encryption,
    outputs: outputs.map(({ path }) => path),
  };
  for (const output of outputs) {
    planned.push(await naming(project.manifest, plan(ctx, project, output, scope)));
  }
  report.outputs = planned.map(describe);
  const release = planned[0] && planRelease(planned[0].project, outputs, options.force === true);
  if (release !== undefined) report.release = release;
  if (options.dryRun) return report;
  const signer = known ?? (await key.open());
  report.key.fingerprint = keyFingerprint(signer.publicKey);
  if (key.isNew)
    report.notes.push(`signed with ${key.origin}, which was made now; keep a copy of it`);
  for (const [i, item] of planned.entries()) {
    report.outputs[i] = await write(ctx, item, signer, options, { scratch, report });
  }
  if (release !== undefined) await bind(release, planned, report, signer, options);
  return report;
}

/** The release manifest comes last: whoever finds it finds every package that it names. */
async function bind(
  path: string,
  planned: readonly Planned[],
  report: PackReport,
  signer: Signer,
  options: PackOptions,
): Promise<void> {
  const { name, version } = (planned[0] as Planned).project.package;
  const packages = report.outputs.map(({ path: file, platform, size = 0, identity = "" }) => ({
    path: file,
    platform,
    size,
    identity,
  }));
  await writeRelease(path, { name, version, packages }, signer, { force: options.force === true });
}

/** Errors about slots, programs and placeholders say which manifest they are about. */
async function naming<T>(manifest: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const about = error instanceof FormatError || error instanceof EnvironmentError;
    if (!about || !ABOUT_MANIFEST.test(error.code) || error.message.includes(manifest)) throw error;
    const { code, hint, details, cause } = error;
    const extra = { ...(hint !== undefined && { hint }), details: { ...details, manifest }, cause };
    const message = `${manifest}: ${error.message}`;
    throw error instanceof FormatError
      ? new FormatError(code, message, extra)
      : new EnvironmentError(code, message, extra);
  }
}

const ABOUT_MANIFEST = /^(SLOT_|SOURCE_|SETUP_|PLACEHOLDER|PROGRAM_MISSING)/;

function emptyReport(project: Project, key: ChosenKey, options: PackOptions): PackReport {
  return {
    name: project.package.name,
    version: project.package.version,
    manifest: project.manifest,
    key: { origin: key.origin, created: key.isNew && !options.dryRun },
    outputs: [],
    notes: [...project.notes],
    dryRun: options.dryRun === true,
  };
}

async function findSlotKeys(project: Project, outputs: Output[], keys: SlotKeys): Promise<void> {
  for (const spec of project.slots) {
    if (outputs.some(({ platform }) => isFor(spec, platform))) await keys.of(spec)?.key();
  }
}

function refuseForeignTest(outputs: Output[]): void {
  const foreign = outputs.find(({ platform }) => platform !== hostPlatform());
  if (!foreign) return;
  throw new UsageError(
    "TEST_PLATFORM",
    `--test-command cannot run a package for ${foreign.platform} here`,
    {
      hint: `Pack for ${hostPlatform()} with it, and for other platforms without it.`,
    },
  );
}

interface Scope {
  options: PackOptions;
  /** Private key file. */
  key: string | undefined;
  encryption: SlotKeys;
  /** Paths of all packages that are made. */
  outputs: string[];
  scratch: string;
  report: PackReport;
}

async function plan(ctx: Context, source: Project, output: Output, scope: Scope): Promise<Planned> {
  const { options, report } = scope;
  const { platform } = output;
  const override =
    options.compression === undefined ? undefined : parseCompression(options.compression);
  const usual = source.compression ?? (options.compat ? COMPAT_COMPRESSION : undefined);
  const chosen = override ?? usual;
  ctx.progress.step(`Collecting the slots for ${platform}`);
  const wanted = source.slots.filter((slot) => isFor(slot, platform));
  const own: StagedSlot[] = [];
  for (const spec of wanted) {
    const stage = {
      root: source.root,
      compression: usual ?? DEFAULT_COMPRESSION,
      encryption: scope.encryption.of(spec),
      ...(override && { override }),
    };
    own.push(await stageSlot(spec, stage));
  }
  const { key, encryption, outputs } = scope;
  refuseOwnFiles(own, { key, slotKeys: encryption.files, outputs });
  const staged = await addPython(ctx, source, own, {
    options: {
      platform,
      python: options.python,
      source: options.pythonSource,
      frozen: options.frozen,
      extras: options.extras,
      groups: options.groups,
      index: options.index,
      dryRun: options.dryRun,
    },
    scratch: scope.scratch,
    compression: chosen ?? DEFAULT_COMPRESSION,
    interpreterCompression: chosen ?? INTERPRETER_COMPRESSION,
    report,
  });
  if (!options.dryRun) {
    const sources = { manifest: source.manifest, slots: own, project: staged.project.sourceHash };
    staged.project = { ...staged.project, sourceHash: await sourceHash(sources) };
  }
  const isCompat = options.compat !== undefined;
  const notes: string[] = [];
  const project = isCompat ? compatProject(staged.project, staged.slots) : staged.project;
  const slots = isCompat ? staged.slots.map((slot) => compatSlot(slot, notes)) : staged.slots;
  addNotes(report, notes);
  const { hostPrograms } = checkLayout(project, slots, platform);
  const stub = await findStub(
    options.launcher ?? source.launcher ?? "auto",
    options.launcherBin,
    platform,
  );
  const { python } = staged;
  const native = await nativeReport(slots, platform);
  return {
    output,
    project,
    slots,
    stub,
    hostPrograms,
    ...(python && { python }),
    ...(native && { native }),
  };
}

function describe({ output, slots, stub, hostPrograms, python, native }: Planned): PackedOutput {
  return {
    platform: output.platform,
    path: output.path,
    launcher: { tool: stub.tool, version: stub.toolVersion, size: stub.bytes.length },
    slots: slots.map(({ input, bytes }) => ({
      id: input.id,
      target: input.target,
      operations: formatOperations(input.operations),
      original: bytes,
    })),
    hostPrograms,
    ...(python && { python }),
    ...(native && { native }),
  };
}

/** Writes one package. What has to be proven first is signed by a key that nobody keeps, and signed again afterwards. */
async function write(
  ctx: Context,
  planned: Planned,
  signer: Signer,
  options: PackOptions,
  { scratch, report }: { scratch: string; report: PackReport },
): Promise<PackedOutput> {
  const { path } = planned.output;
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw ioError(error, dirname(path));
  });
  const force = options.force === true;
  const isProven = options.validateBeforeSign || options.testCommand !== undefined;
  if (!isProven)
    return packed(planned, await writeFile(ctx, planned, { path, signer, force, options }));

  const draft = join(scratch, `${planned.output.platform}.draft`);
  const nobody = generateKeyPair().signer;
  const written = await writeFile(ctx, planned, {
    path: draft,
    signer: nobody,
    force: false,
    options,
  });
  const { checks, notes } = await prove(ctx, planned, draft, options);
  addNotes(report, notes);
  await signPackage(draft, signer, { mode: "replace", out: path, force });
  await rm(draft);
  return { ...packed(planned, { ...written, path }), checks };
}

async function prove(
  ctx: Context,
  { project, slots, output, native }: Planned,
  draft: string,
  options: PackOptions,
): Promise<Proof> {
  const trial = { draft, project, slots, folder: `${draft}.trial` };
  const subject = { project, slots, platform: output.platform, native };
  const proof = options.validateBeforeSign
    ? await provePackage(ctx, subject, trial)
    : { checks: [], notes: [] };
  if (options.testCommand !== undefined) {
    const printed = await runTest(ctx, trial, options.testCommand);
    const detail = `${options.testCommand} ended with 0${printed === "" ? "" : `\n${printed}`}`;
    proof.checks.push({ name: "test", detail });
  }
  await rm(trial.folder, { recursive: true, force: true });
  return proof;
}

interface Target {
  path: string;
  signer: Signer;
  force: boolean;
  options: PackOptions;
}

async function writeFile(ctx: Context, planned: Planned, { path, signer, force, options }: Target) {
  const [os, arch] = planned.output.platform.split("_") as [string, string];
  return await writePackage(path, {
    launcher: planned.stub,
    manifest: writerManifest(planned.project),
    slots: planned.slots.map((slot) => slot.input),
    signer,
    profile: options.compat ?? "sealed",
    epoch: sourceDateEpoch(ctx.env),
    platform: { os, arch },
    progress: ctx.progress,
    memory: slotMemory(ctx.cacheDir),
    force,
    ...(options.jobs !== undefined && { jobs: options.jobs }),
  });
}

type Written = Awaited<ReturnType<typeof writePackage>>;

function packed(planned: Planned, written: Written): PackedOutput {
  const plan = describe(planned);
  return {
    ...plan,
    size: written.size,
    identity: written.identity,
    slots: plan.slots.map((slot, i) => ({
      ...slot,
      original: written.slots[i]?.original ?? slot.original,
      stored: written.slots[i]?.stored ?? 0,
    })),
  };
}
