/**
 * The release manifest (docs/reference/release.md): one small signed file that says which packages, one per platform, are one release. A DSSE
 * envelope around an in-toto Statement v1 whose subjects are the files.
 */
import { basename } from "node:path";

import * as v from "valibot";

import { AtomicFile, checkArchivePath, FormatError, readFileBounded } from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import { NAME_PATTERN, parseJson, PLATFORM_PATTERN, VERSION_PATTERN } from "../../pspf/mod.ts";
import { openEnvelope, signEnvelope, type Signer } from "../../trust/mod.ts";

export const RELEASE_ENDING = ".release.json";
const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const PREDICATE_TYPE = "urn:sealift:release:1";
const MAX_FILE = 1 << 20;

const Length = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "not 64 hex digits"));
const FileName = v.pipe(v.string(), v.check(isFileName, "not the name of a file in this folder"));

const ReleasePackage = v.strictObject({
  file: FileName,
  platform: v.pipe(v.string(), v.regex(PLATFORM_PATTERN, "not a platform")),
  size: Length,
  /** SHA-256 of the signed JSON in the package. */
  identity: Digest,
});

const Predicate = v.strictObject({
  name: v.pipe(v.string(), v.regex(NAME_PATTERN), v.maxLength(128)),
  version: v.pipe(v.string(), v.regex(VERSION_PATTERN), v.maxBytes(128)),
  packages: v.pipe(v.array(ReleasePackage), v.minLength(1)),
});

const Statement = v.strictObject({
  _type: v.literal("https://in-toto.io/Statement/v1"),
  subject: v.array(v.strictObject({ name: FileName, digest: v.strictObject({ sha256: Digest }) })),
  predicateType: v.literal(PREDICATE_TYPE),
  predicate: Predicate,
});
type Statement = v.InferOutput<typeof Statement>;

export interface Release {
  name: string;
  version: string;
  packages: Array<v.InferOutput<typeof ReleasePackage> & { sha256: string }>;
  /** Raw keys; empty when a signature does not hold. */
  signers: Uint8Array[];
}

/** `NAME-VERSION.release.json`. Throws `FormatError("PATH_…")` when no file here can have that name. */
export function releaseName(name: string, version: string): string {
  return checkArchivePath(`${name}-${version}${RELEASE_ENDING}`);
}

export interface PackedFile {
  path: string;
  platform: string;
  size: number;
  identity: string;
}

/** Writes the manifest of packages that stand beside it. Equal packages and keys give equal bytes. */
export async function writeRelease(
  path: string,
  of: { name: string; version: string; packages: readonly PackedFile[] },
  signer: Signer,
  options: { force: boolean },
): Promise<void> {
  const files = of.packages.toSorted((a, b) => (a.platform < b.platform ? -1 : 1));
  const subject: Statement["subject"] = [];
  for (const file of files) {
    subject.push({ name: basename(file.path), digest: { sha256: await sha256File(file.path) } });
  }
  const statement: Statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject,
    predicateType: PREDICATE_TYPE,
    predicate: {
      name: of.name,
      version: of.version,
      packages: files.map(({ path: file, platform, size, identity }) => ({
        file: basename(file),
        platform,
        size,
        identity,
      })),
    },
  };
  const payload = new TextEncoder().encode(JSON.stringify(statement));
  const envelope = signEnvelope(PAYLOAD_TYPE, payload, signer);
  await using out = await AtomicFile.create(path, options);
  await out.write(new TextEncoder().encode(`${JSON.stringify(envelope, null, 2)}\n`));
  await out.commit();
}

/** Reads a manifest; whether its signatures hold stands in `signers`. Throws `FormatError("RELEASE_FORMAT")`, `EnvironmentError`. */
export async function readRelease(path: string): Promise<Release> {
  const bytes = await readFileBounded(path, MAX_FILE);
  try {
    const { payload, signers } = openEnvelope(parseJson(bytes), PAYLOAD_TYPE);
    const { name, version, packages } = readStatement(parseJson(payload));
    return { name, version, packages, signers };
  } catch (error) {
    throw new FormatError("RELEASE_FORMAT", `${path}: is no release: ${(error as Error).message}`, {
      hint: "Name the .release.json that `sealift pack` wrote for several platforms.",
      details: { file: path },
      cause: error,
    });
  }
}

function readStatement(document: unknown): Omit<Release, "signers"> {
  const checked = v.safeParse(Statement, document);
  if (!checked.success) {
    const [issue] = checked.issues;
    throw new Error(`field ${v.getDotPath(issue) ?? "?"}: ${issue.message}`);
  }
  const { subject, predicate } = checked.output;
  const digests = new Map(subject.map(({ name, digest }) => [name, digest.sha256]));
  const names = new Set(predicate.packages.map(({ file }) => file.toLowerCase()));
  const platforms = new Set(predicate.packages.map(({ platform }) => platform));
  const count = predicate.packages.length;
  if (names.size < count || platforms.size < count || subject.length !== count) {
    throw new Error("field subject: one file for each platform is needed");
  }
  const packages = predicate.packages.map((one) => {
    const sha256 = digests.get(one.file);
    if (sha256 === undefined) throw new Error(`field subject: ${one.file} is missing`);
    return { ...one, sha256 };
  });
  return { name: predicate.name, version: predicate.version, packages };
}

function isFileName(name: string): boolean {
  try {
    return !name.includes("/") && checkArchivePath(name, { windows: true }) === name;
  } catch {
    return false;
  }
}
