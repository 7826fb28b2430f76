/** An old package and a delta → the new package, byte for byte, or nothing. */
import { join } from "node:path";

import {
  AtomicFile,
  checkArchivePath,
  CheckError,
  type Context,
  EnvironmentError,
  FormatError,
  quoted,
  scratchFolder,
  UsageError,
  version,
} from "../../base/mod.ts";
import { engines, rebuild, Sha256 } from "../../codec/mod.ts";
import { openPackage, type Verdict, verifyPackage } from "../../pspf/mod.ts";
import { loadPublicKey, openTrustStore } from "../../trust/mod.ts";
import { type Delta, type DeltaHeader, openDelta } from "./file.ts";
import { PackageSources } from "./sources.ts";

export interface ApplyOptions {
  /** Default: name and version of the new package, with the ending of the old one, in this folder. */
  out?: string | undefined;
  /** The new package must be signed by this public key: a file, or its text. */
  key?: string | undefined;
  /** Trust store that the new package is judged by; default: the user's or the system's, when there is one. */
  trust?: string | undefined;
  force?: boolean;
  dryRun?: boolean;
}

export interface AppliedDelta {
  path: string;
  header: DeltaHeader;
  signers: string[];
  trusted?: boolean;
}

/**
 * Writes the new package. OLD is verified first; the result is compared with the delta's digest and verified like any package before it
 * gets its name. It must be signed by the key that the user names, or be trusted by the trust store, or, without either, have a
 * signer of the old package: an update does not change its publisher in silence.
 * @throws CheckError `DELTA_BASE`, `DELTA_RESULT`, `DELTA_SIGNER`, `TRUST_…`; FormatError, EnvironmentError
 */
export async function applyDelta(
  ctx: Context,
  from: string,
  patch: string,
  options: ApplyOptions,
): Promise<AppliedDelta> {
  const key = options.key === undefined ? undefined : await loadPublicKey(options.key);
  const trust = await openTrustStore({ env: ctx.env, dir: options.trust });
  const delta = await openDelta(patch);
  try {
    const { header } = delta;
    await checkBase(from, patch, header);
    const path = options.out ?? defaultName(from, header);
    await using out = await AtomicFile.create(path, { force: options.force === true, mode: 0o755 });
    const before = await checkWhole(ctx, from);
    await using folder = await scratchFolder(join(ctx.cacheDir, "tmp"), "sealift-delta-");
    await using old = new PackageSources(await openPackage(from), folder.path, "old");
    await replay(ctx, delta, old, (piece) => out.write(piece)).catch((error: unknown) => {
      throw namingEngines(error, header);
    });
    const verdict = await verifyPackage(out.temporary, {
      ...(key && { key }),
      ...(trust && { trust }),
    });
    refuseUnsound(verdict, { temporary: out.temporary, path });
    if (verdict.identity !== header.to.identity) throw otherResult(path);
    if (key === undefined && trust === undefined) checkPublisher(before, verdict, path);
    if (!options.dryRun) await out.commit();
    const { signers, trusted } = verdict;
    return { path, header, signers, ...(trusted !== undefined && { trusted }) };
  } finally {
    await delta.close();
  }
}

/** Follows the plan and checks length and digest of what comes out. */
export async function replay(
  ctx: Context,
  delta: Delta,
  old: PackageSources,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const { size, sha256 } = delta.header.to;
  const hash = new Sha256();
  const task = ctx.progress.task("Making the new package", size);
  let written = 0;
  const input = {
    plan: await delta.plan(),
    source: (number: number) => old.get(number),
    literals: delta.literals(),
    diffs: delta.diffs(),
    stored: delta.stored(),
  };
  await rebuild(input, async (piece) => {
    written += piece.length;
    if (written > size) throw otherResult(delta.path);
    hash.update(piece);
    await write(piece);
    task.advance(piece.length);
  });
  task.done();
  if (written !== size || hash.hex() !== sha256) throw otherResult(delta.path);
}

/** Which versions of the compression libraries do not agree. */
function namingEngines(error: unknown, { made_by: by }: DeltaHeader): unknown {
  if (!(error instanceof EnvironmentError) || error.code !== "DELTA_ENGINE") return error;
  const here = { sealift: version, ...engines() };
  const text = ({ sealift, zstd, zlib }: typeof here) =>
    `sealift ${sealift} (zstd ${zstd.slice(0, 12)}, zlib ${zlib.slice(0, 12)})`;
  const { hint, details, cause } = error;
  const message = `${error.message}: it was made by ${text(by)}, this is ${text(here)}`;
  return new EnvironmentError(error.code, message, {
    ...(hint !== undefined && { hint }),
    details: { ...details, expected: text(by), actual: text(here) },
    cause,
  });
}

/** The verdict on a package that must be whole before anything is made from it. */
export async function checkWhole(ctx: Context, path: string): Promise<Verdict> {
  const verdict = await verifyPackage(path, { progress: ctx.progress });
  refuseUnsound(verdict, { temporary: path, path });
  return verdict;
}

function refuseUnsound(verdict: Verdict, file: { temporary: string; path: string }): void {
  const failed = verdict.checks.find((check) => !check.ok);
  if (failed === undefined) return;
  const detail = failed.detail.replaceAll(file.temporary, file.path);
  throw new CheckError(failed.code ?? "DELTA_RESULT", detail, {
    hint: "Nothing was written. `sealift verify` shows every check of a package.",
    details: { file: file.path, check: failed.name },
  });
}

async function checkBase(from: string, patch: string, header: DeltaHeader): Promise<void> {
  const pkg = await openPackage(from);
  const { identity, metadata } = pkg;
  await pkg.close();
  if (identity === header.from.identity) return;
  const { name, version } = header.from;
  const has = `${metadata.package.name} ${metadata.package.version}`;
  const what = has === `${name} ${version}` ? `another build of ${has}` : has;
  throw new CheckError(
    "DELTA_BASE",
    `${from}: is ${what}, and ${patch} is for ${name} ${version} with the identity ${header.from.identity.slice(0, 16)}…`,
    {
      hint: "Apply it to the package that it was made from, or take the whole new package.",
      details: { file: from, expected: header.from.identity, actual: identity },
    },
  );
}

function checkPublisher(before: Verdict, after: Verdict, path: string): void {
  if (after.signers.some((signer) => before.signers.includes(signer))) return;
  throw new CheckError(
    "DELTA_SIGNER",
    `${path}: signed by ${after.signers[0]}, and the old package by ${before.signers[0]}`,
    {
      hint: "If its publisher has a new key, name it with `--key`, or keep a trust store (`sealift trust add`).",
      details: { file: path, expected: before.signers, actual: after.signers },
    },
  );
}

function otherResult(path: string): CheckError {
  return new CheckError("DELTA_RESULT", `${path}: the result is not what the delta promises`, {
    hint: "The delta was damaged or made by something else; ask for a new one.",
    details: { file: path },
  });
}

function defaultName(from: string, { to }: DeltaHeader): string {
  const name = `${to.name}-${to.version}${from.toLowerCase().endsWith(".exe") ? ".exe" : ".psp"}`;
  try {
    return checkArchivePath(name);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new UsageError("DELTA_OUTPUT", `The name ${quoted(name)} cannot be a file here`, {
      hint: "Name the new package with `-o`.",
    });
  }
}
