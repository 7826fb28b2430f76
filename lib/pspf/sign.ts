/**
 * Signatures on a finished package (format.md section 7): a new first signature, or one more co-signature. Only the index block changes;
 * the signed JSON, and so the package's identity, stay.
 *
 * Whoever signs vouches for the whole file, so everything but what is replaced is verified first.
 */
import { AtomicFile, CheckError, FormatError } from "../base/mod.ts";
import { keyFingerprint, type Signer } from "../trust/mod.ts";
import {
  encodeSignatures,
  INDEX_OFFSET,
  MAX_COSIGNATURES,
  type Signature,
  withChecksum,
} from "./block.ts";
import { MAGIC_START, sameBytes } from "./layout.ts";
import type { Package } from "./package.ts";
import { openTolerant } from "./reader.ts";
import { verifyOpen } from "./verify.ts";

export interface SignOptions {
  /** `replace`: the new first and only signature. `add`: one more co-signature, sealed packages only. */
  mode: "replace" | "add";
  /** Where the signed package goes; default: in place of the old one. */
  out?: string;
  /** Replace an existing `out`. */
  force?: boolean;
  /** Check everything and write nothing. */
  dryRun?: boolean;
}

export interface Signed {
  path: string;
  /** Fingerprints after signing, the first signer at the front. */
  signers: string[];
  identity: string;
}

/**
 * Signs the package at `path`. Throws `CheckError` when it does not verify, `FormatError("SIGN_SEALED" | "SIGN_TWICE" | "SIGN_FULL")`,
 * `EnvironmentError`.
 */
export async function signPackage(
  path: string,
  signer: Signer,
  options: SignOptions,
): Promise<Signed> {
  const pkg = await openTolerant(path, "checks");
  try {
    await refuseDamaged(pkg, options.mode);
    const others = options.mode === "add" ? coSigned(pkg, signer) : [];
    const first =
      options.mode === "add"
        ? (pkg.signatures[0] as Signature)
        : { publicKey: signer.publicKey, signature: signer.sign(pkg.json) };
    if (!options.dryRun) await rewrite(pkg, first, others, options);
    return {
      path: options.out ?? path,
      signers: [first, ...others].map((entry) => keyFingerprint(entry.publicKey)),
      identity: pkg.identity,
    };
  } finally {
    await pkg.close();
  }
}

/** A first signature may be missing or wrong when it is replaced; nothing else may be. */
async function refuseDamaged(pkg: Package, mode: SignOptions["mode"]): Promise<void> {
  const verdict = await verifyOpen(pkg, {});
  const failed = verdict.checks.find(
    (check) => !check.ok && !(mode === "replace" && check.name === "signature"),
  );
  if (failed === undefined) return;
  throw new CheckError(failed.code ?? "SEAL_SIGNATURE", failed.detail, {
    hint: "Only a package that is whole can be signed.",
    details: { file: pkg.path, check: failed.name },
  });
}

function coSigned(pkg: Package, signer: Signer): Signature[] {
  const refuse = (code: string, what: string, hint: string) =>
    new FormatError(code, `${pkg.path}: ${what}`, { hint, details: { file: pkg.path } });
  const replace = "Replace its signatures instead, or pack it again.";
  if (!pkg.sealed) {
    throw refuse(
      "SIGN_SEALED",
      "packages of other writers have no place for co-signatures",
      replace,
    );
  }
  const others = pkg.signatures.slice(1);
  if (pkg.signatures.some((entry) => sameBytes(entry.publicKey, signer.publicKey))) {
    throw refuse(
      "SIGN_TWICE",
      `${keyFingerprint(signer.publicKey)} has signed it already`,
      "Nothing is left to do.",
    );
  }
  if (others.length >= MAX_COSIGNATURES) {
    throw refuse(
      "SIGN_FULL",
      `it has ${MAX_COSIGNATURES} co-signatures and no place for more`,
      replace,
    );
  }
  return [...others, { publicKey: signer.publicKey, signature: signer.sign(pkg.json) }];
}

async function rewrite(
  pkg: Package,
  first: Signature,
  others: readonly Signature[],
  options: SignOptions,
): Promise<void> {
  const index = pkg.index.bytes.slice();
  index.set(first.publicKey, INDEX_OFFSET.publicKey);
  index.set(encodeSignatures(first.signature, others), INDEX_OFFSET.signatures);
  withChecksum(index);
  const out = options.out ?? pkg.path;
  const force = options.out === undefined || options.force === true;
  await using file = await AtomicFile.create(out, { force, mode: pkg.file.mode });
  await pkg.file.copy({ start: 0, end: pkg.size }, (piece) => file.write(piece));
  const start = pkg.layout.trailer.start + MAGIC_START.length;
  await file.writeAt(index, start);
  await file.commit();
}
