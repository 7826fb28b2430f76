/** `sealift verify` of a release manifest: its signature, who signed it, and every package beside it. */
import { dirname, join } from "node:path";

import {
  CheckError,
  type Context,
  EnvironmentError,
  FormatError,
  UsageError,
} from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import { type Check, verifyPackage } from "../../pspf/mod.ts";
import {
  judge,
  keyFingerprint,
  loadPublicKey,
  openTrustStore,
  type TrustStore,
} from "../../trust/mod.ts";
import type { JudgeOptions } from "../seal/judge.ts";
import { readRelease, type Release } from "./manifest.ts";

export interface JudgedRelease {
  ok: boolean;
  name: string;
  version: string;
  /** `signature`, `key`, `trust`, `file <name>`. */
  checks: Check[];
  packages: Release["packages"];
  signers: string[];
  trusted?: boolean;
  trustStore?: string;
}

export interface JudgeReleaseOptions extends JudgeOptions {
  /** Only the packages of these platforms; the others may be missing. */
  platforms?: readonly string[];
}

/**
 * The verdict on a release. A package that is missing, other than the manifest says, or not signed by a signer of the release is a
 * failed check.
 * @throws FormatError when the manifest cannot be understood; UsageError `PLATFORM_MISSING`; EnvironmentError
 */
export async function judgeRelease(
  ctx: Context,
  path: string,
  options: JudgeReleaseOptions,
): Promise<JudgedRelease> {
  const key = options.key === undefined ? undefined : await loadPublicKey(options.key);
  const trust = await openTrustStore({ env: ctx.env, dir: options.trust });
  const release = await readRelease(path);
  const wanted = select(release, path, options.platforms ?? []);
  const checks = [
    signatureCheck(release, path),
    ...(key === undefined ? [] : [keyCheck(release, path, key)]),
    ...trustChecks(release, path, trust, options.strict === true),
  ];
  for (const one of wanted) {
    ctx.progress.step(`Verifying ${one.file}`);
    checks.push(await fileCheck(ctx, release, one, dirname(path)));
  }
  const trusted = checks.find((check) => check.name === "trust");
  return {
    ok: checks.every((check) => check.ok),
    name: release.name,
    version: release.version,
    checks,
    packages: release.packages,
    signers: release.signers.map(keyFingerprint),
    ...(trust && { trusted: trusted?.ok === true, trustStore: trust.dir }),
  };
}

function select(release: Release, path: string, platforms: readonly string[]) {
  const names = platforms.flatMap((text) => text.split(",")).filter((text) => text !== "");
  const known = release.packages.map(({ platform }) => platform);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError("PLATFORM_MISSING", `${path}: has no package for ${unknown}`, {
      hint: `It has them for ${known.join(", ")}.`,
    });
  }
  if (names.length === 0) return release.packages;
  return release.packages.filter(({ platform }) => names.includes(platform));
}

function signatureCheck({ signers }: Release, path: string): Check {
  const name = "signature";
  if (signers.length > 0) {
    return { name, ok: true, detail: `Ed25519 by ${signers.map(keyFingerprint).join(", ")}` };
  }
  return { name, ok: false, code: "SEAL_SIGNATURE", detail: `${path}: a signature does not hold` };
}

function keyCheck({ signers }: Release, path: string, key: Uint8Array): Check {
  const ok = signers.some((signer) => Buffer.compare(signer, key) === 0);
  const detail = ok ? "is among the signers" : `${path}: ${keyFingerprint(key)} did not sign it`;
  return { name: "key", ok, ...(!ok && { code: "TRUST_KEY" }), detail };
}

function trustChecks(
  release: Release,
  path: string,
  trust: TrustStore | undefined,
  strict: boolean,
): Check[] {
  const name = "trust";
  if (trust === undefined) {
    const detail =
      "--strict needs a trust store, and there is none: add a key with `sealift trust add`";
    return strict ? [{ name, ok: false, code: "TRUST_STORE", detail }] : [];
  }
  const { trusted, reason, key } = judge(trust, release.name, release.signers);
  if (trusted) return [{ name, ok: true, detail: `${key} is trusted by ${trust.dir}` }];
  const detail = `${path}: the trust store ${trust.dir} does not accept its signers`;
  return [{ name, ok: false, code: reason, detail }];
}

/** One package: there, the bytes that the release names, whole, of this release, and by one of its signers. */
async function fileCheck(
  ctx: Context,
  release: Release,
  one: Release["packages"][number],
  folder: string,
): Promise<Check> {
  const name = `file ${one.file}`;
  const path = join(folder, one.file);
  const no = (code: string, what: string): Check => ({
    name,
    ok: false,
    code,
    detail: `${path}: ${what}`,
  });
  try {
    if ((await sha256File(path)) !== one.sha256) {
      return no("RELEASE_FILE", "is not the file that the release names");
    }
    const verdict = await verifyPackage(path, { progress: ctx.progress });
    const failed = verdict.checks.find((check) => !check.ok);
    if (failed !== undefined) {
      return { name, ok: false, code: failed.code ?? "RELEASE_FILE", detail: failed.detail };
    }
    const isOfRelease =
      verdict.identity === one.identity &&
      verdict.coverage.total === one.size &&
      verdict.name === release.name &&
      verdict.version === release.version;
    if (!isOfRelease) return no("RELEASE_FILE", "is another package than the release says");
    const signers = release.signers.map(keyFingerprint);
    if (!verdict.signers.some((signer) => signers.includes(signer))) {
      return no("RELEASE_SIGNER", "is not signed by a signer of the release");
    }
    return {
      name,
      ok: true,
      detail: `${one.platform}, ${one.size} bytes, whole and as the release says`,
    };
  } catch (error) {
    // What is missing or cannot be read as a package is a "no" about this file, not the end of the others.
    if (
      error instanceof EnvironmentError ||
      error instanceof FormatError ||
      error instanceof CheckError
    ) {
      return { name, ok: false, code: error.code, detail: error.message };
    }
    throw error;
  }
}
