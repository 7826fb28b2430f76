/**
 * Everything that can be checked about a package without running it: what opening checks, then launcher, padding and
 * every slot (format.md section 8), then trust. The verdict names each check, so nothing passes unseen.
 */
import { FormatError, type Progress, silentProgress } from "../base/mod.ts";
import { sha256Ranges } from "../codec/mod.ts";
import { judge, keyFingerprint, type TrustStore } from "../trust/mod.ts";
import { type Confirmed, type Coverage, coverageOf } from "./coverage.ts";
import { proveSlot } from "./decode.ts";
import { digest64 } from "./descriptor.ts";
import { firstNonZero, sameBytes } from "./layout.ts";
import { formatOperations } from "./operations.ts";
import type { Package, PackageSlot } from "./package.ts";
import { type Problem, problem, type ProblemCode } from "./problem.ts";
import { openTolerant } from "./reader.ts";

export interface VerifyOptions {
  /** Judge the signers by this store. */
  trust?: TrustStore;
  /** Demand a signature by this raw public key. */
  key?: Uint8Array;
  progress?: Progress;
  /** Workers for hashing; default: one per core. */
  jobs?: number;
  /** Also decode every slot, which a launcher does at the first start only. */
  contents?: boolean;
}

export interface Check {
  /** `trailer`, `index`, `regions`, `metadata`, `signature`, `seal`, `launcher`, `padding`, `slot <id>`, `content <id>`, `key`, `trust`. */
  name: string;
  ok: boolean;
  /** Of a failed check: `SEAL_…` or `TRUST_…`. */
  code?: string;
  /** One sentence; of a failed check it names the file and the field. */
  detail: string;
}

export interface Verdict {
  /** Every check passed. */
  ok: boolean;
  checks: Check[];
  /** Of the sealed profile, where the signature pins every byte. */
  sealed: boolean;
  coverage: Coverage;
  /** Fingerprints of the keys whose signatures hold. */
  signers: string[];
  /** Encrypted slots: without their keys only the stored bytes are checked. */
  encrypted: Array<{ id: string; keySource: string }>;
  /** Absent when no trust store was given. */
  trusted?: boolean;
  identity: string;
  name: string;
  version: string;
}

/**
 * The verdict on a package. A failed check is a "no" in the verdict. Throws `FormatError` when the file cannot be understood, `CheckError`
 * when that is so because an earlier check failed (metadata that is damaged cannot be parsed), `EnvironmentError` when it cannot be read.
 */
export async function verifyPackage(path: string, options: VerifyOptions = {}): Promise<Verdict> {
  const pkg = await openTolerant(path, "checks");
  try {
    return await verifyOpen(pkg, options);
  } finally {
    await pkg.close();
  }
}

/** `verifyPackage` for a package that is open already. */
export async function verifyOpen(pkg: Package, options: VerifyOptions): Promise<Verdict> {
  const contents = await checkContents(pkg, options);
  const proofs = options.contents === true ? await proveContents(pkg, contents.checks) : [];
  const checks = [
    ...openingChecks(pkg),
    ...contents.checks,
    ...proofs,
    ...trustChecks(pkg, options),
  ];
  const trust = checks.find((entry) => entry.name === "trust");
  return {
    ok: checks.every((entry) => entry.ok),
    checks,
    sealed: pkg.sealed,
    coverage: coverageOf(pkg, contents.confirmed),
    signers: pkg.signers.map(keyFingerprint),
    encrypted: pkg.slots.flatMap(({ id, metadata: { encryption } }) =>
      encryption === undefined ? [] : [{ id, keySource: encryption.key_source }],
    ),
    ...(trust === undefined ? {} : { trusted: trust.ok }),
    identity: pkg.identity,
    name: pkg.metadata.package.name,
    version: pkg.metadata.package.version,
  };
}

/** The checks that opening made, from the problems it noted. */
function openingChecks(pkg: Package): Check[] {
  const slots = pkg.slots.length === 1 ? "1 slot" : `${pkg.slots.length} slots`;
  const signed = `Ed25519 by ${pkg.signers.map(keyFingerprint).join(", ")}`;
  const checks = [
    passed("trailer", "both magics stand in the last 8,200 bytes"),
    passed("index", "its Adler-32 and the length of the file agree"),
    passed("regions", `launcher, metadata, slot table and ${slots} lie inside the file, in order`),
    outcome(pkg, "metadata", "its SHA-256 agrees with the index", "SEAL_METADATA"),
    outcome(pkg, "signature", signed, "SEAL_UNSIGNED", "SEAL_KEY", "SEAL_SIGNATURE"),
  ];
  if (!pkg.sealed) return checks;
  const derived = "index block and slot table are what the signed metadata says";
  return [...checks, outcome(pkg, "seal", derived, "SEAL_INDEX", "SEAL_TABLE")];
}

function passed(name: string, detail: string): Check {
  return { name, ok: true, detail };
}

function failed(name: string, found: Problem): Check {
  return { name, ok: false, code: found.code, detail: found.message };
}

function outcome(pkg: Package, name: string, detail: string, ...codes: ProblemCode[]): Check {
  const found = pkg.problems.find((entry) => codes.includes(entry.code));
  return found === undefined ? passed(name, detail) : failed(name, found);
}

/** Launcher, padding and slots against the signed digests. */
async function checkContents(
  pkg: Package,
  options: VerifyOptions,
): Promise<{ checks: Check[]; confirmed: Confirmed }> {
  const regions = [pkg.layout.launcher, ...pkg.slots.map((slot) => slot.region)];
  const ranges = regions.map(({ start, end }) => ({ offset: start, length: end - start }));
  const digests = await sha256Ranges(pkg.path, ranges, {
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    progress: options.progress ?? silentProgress,
  });
  const launcher = checkLauncher(pkg, digests[0] as string);
  const padding = pkg.sealed ? await checkPadding(pkg) : undefined;
  const slots = pkg.slots.map((slot) => checkSlot(pkg, slot, digests[slot.index + 1] as string));
  const isClean = (...codes: ProblemCode[]) =>
    !pkg.problems.some((entry) => codes.includes(entry.code));
  const confirmed: Confirmed = {
    signature: pkg.signers.length > 0 && isClean("SEAL_SIGNATURE", "SEAL_KEY", "SEAL_UNSIGNED"),
    launcher: launcher?.ok === true,
    seal: pkg.sealed && isClean("SEAL_INDEX", "SEAL_TABLE", "SEAL_METADATA"),
    padding: padding?.ok === true,
    slots: slots.map((entry, i) => entry.ok && pkg.slots[i]?.checksum !== undefined),
  };
  const checks = [launcher, padding, ...slots].filter((entry) => entry !== undefined);
  return { checks, confirmed };
}

/** Other writers need not name a launcher digest; when they do, it was signed and must hold. */
function checkLauncher(pkg: Package, digest: string): Check | undefined {
  const signed = pkg.metadata.launcher;
  if (signed?.checksum === undefined) return undefined;
  const size = pkg.layout.launcher.end;
  const holds = signed.checksum === digest && (signed.size ?? size) === size;
  if (holds) return passed("launcher", `${size} bytes, SHA-256 as signed`);
  return failed("launcher", problem("SEAL_LAUNCHER", { file: pkg.path }));
}

async function checkPadding(pkg: Package): Promise<Check> {
  let bytes = 0;
  for (const gap of pkg.layout.padding) {
    // A sealed package has gaps of at most 7 bytes; larger ones differ from the seal and are not read whole.
    const end = Math.min(gap.end, gap.start + 4096);
    const at = firstNonZero(await pkg.file.read({ start: gap.start, end }));
    if (at !== -1) {
      return failed("padding", problem("SEAL_PADDING", { file: pkg.path, offset: gap.start + at }));
    }
    bytes += gap.end - gap.start;
  }
  return passed("padding", `${bytes} bytes between regions are zero`);
}

function checkSlot(pkg: Package, slot: PackageSlot, digest: string): Check {
  const name = `slot ${slot.id}`;
  if (slot.checksum !== undefined || slot.metadata.self_ref) {
    if (slot.checksum === undefined)
      return passed(name, "refers to the package and holds no bytes");
    if (slot.checksum === digest) {
      return passed(name, `${slot.size} bytes, SHA-256 as signed${encryptionNote(slot)}`);
    }
  } else if (digest64(Uint8Array.fromHex(digest)) === slot.descriptor.checksum) {
    return passed(name, `${slot.size} bytes, 64-bit checksum of the unsigned slot table`);
  }
  return failed(name, problem("SEAL_SLOT", { file: pkg.path, slot: slot.id }));
}

function encryptionNote({ metadata: { encryption } }: PackageSlot): string {
  if (encryption === undefined) return "";
  return `; encrypted (${encryption.key_source}), content not checked without its key`;
}

/** Decodes the slots whose stored bytes are right; of encrypted ones nothing can be said without their keys. */
async function proveContents(pkg: Package, checks: readonly Check[]): Promise<Check[]> {
  const proofs: Check[] = [];
  for (const slot of pkg.slots) {
    if (checks.some((entry) => entry.name === `slot ${slot.id}` && !entry.ok)) continue;
    if (slot.metadata.encryption !== undefined && pkg.findKey === undefined) continue;
    const name = `content ${slot.id}`;
    try {
      await proveSlot(pkg, slot);
      proofs.push(passed(name, `decodes as ${formatOperations(slot.operations)}`));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      proofs.push({ name, ok: false, code: error.code, detail: error.message });
    }
  }
  return proofs;
}

function trustChecks(pkg: Package, options: VerifyOptions): Check[] {
  const checks: Check[] = [];
  const { key, trust } = options;
  if (key !== undefined) {
    const ok = pkg.signers.some((signer) => sameBytes(signer, key));
    const detail = ok
      ? "is among the signers"
      : `${pkg.path}: ${keyFingerprint(key)} did not sign it`;
    checks.push(ok ? passed("key", detail) : { name: "key", ok, code: "TRUST_KEY", detail });
  }
  if (trust !== undefined) checks.push(checkTrust(pkg, trust));
  return checks;
}

function checkTrust(pkg: Package, store: TrustStore): Check {
  const name = pkg.metadata.package.name;
  const { trusted, reason, key } = judge(store, name, pkg.signers);
  if (trusted) return passed("trust", `${key} is trusted by ${store.dir}`);
  const says = {
    TRUST_UNKNOWN: `the signing key ${key} is not in the trust store ${store.dir}`,
    TRUST_REVOKED: `the signing key ${key} was revoked in the trust store ${store.dir}`,
    TRUST_PIN: `${name} is pinned to other keys than ${key} in the trust store ${store.dir}`,
    ok: "",
  };
  return { name: "trust", ok: false, code: reason, detail: `${pkg.path}: ${says[reason]}` };
}
