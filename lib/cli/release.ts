/** A release manifest as the commands show it: `verify` its verdict, `inspect` what it says. */
import * as v from "valibot";

import { type Context, UsageError } from "../base/mod.ts";
import { judgeRelease, readRelease, RELEASE_ENDING } from "../pack/mod.ts";
import { keyFingerprint } from "../trust/mod.ts";
import { checkRow, Checks, describeChecks, verdictLines } from "./verdict.ts";
import { printable, type View } from "./view.ts";

const Packages = v.array(
  v.strictObject({
    file: v.string(),
    platform: v.string(),
    size: v.number(),
    /** SHA-256 of the signed JSON in the package, and of the whole file. */
    identity: v.string(),
    sha256: v.string(),
  }),
);

export const ReleaseHead = v.strictObject({
  file: v.string(),
  kind: v.literal("release"),
  name: v.string(),
  version: v.string(),
  /** Fingerprints of the keys whose signatures hold; empty when one of them does not. */
  signers: v.array(v.string()),
  packages: Packages,
});
export type ReleaseHead = v.InferOutput<typeof ReleaseHead>;

export const ReleaseVerdict = v.strictObject({
  ...ReleaseHead.entries,
  ok: v.boolean(),
  checks: Checks,
  trusted: v.optional(v.boolean()),
  trust_store: v.optional(v.string()),
});
export type ReleaseVerdict = v.InferOutput<typeof ReleaseVerdict>;

/** Releases are told from packages by the ending that `pack` gives them. */
export function isRelease(file: string): boolean {
  return file.toLowerCase().endsWith(RELEASE_ENDING);
}

/** `--platform` chooses among the packages of a release and means nothing for one package. */
export function refusePlatforms(file: string, platforms: readonly string[]): void {
  if (platforms.length === 0) return;
  throw new UsageError("PLATFORM_OPTION", `--platform has no effect on ${file}`, {
    hint: `It is for a release: a file that ends in ${RELEASE_ENDING}.`,
  });
}

interface Asked {
  file: string;
  key: string | undefined;
  trust: string | undefined;
  strict: boolean;
  platform: readonly string[];
}

export async function verifyRelease(context: Context, asked: Asked): Promise<ReleaseVerdict> {
  const { file, platform: platforms, ...demands } = asked;
  const { trustStore, checks, ...verdict } = await judgeRelease(context, file, {
    ...demands,
    platforms,
  });
  return {
    file,
    kind: "release",
    ...verdict,
    checks: describeChecks(checks),
    ...(trustStore && { trust_store: trustStore }),
  };
}

export function renderVerdict(data: ReleaseVerdict, view: View): string {
  return [
    `${title(data, view)}  ${data.packages.length} platforms`,
    view.table(data.checks.map((check) => checkRow(check, view))),
    ...verdictLines(data, view),
  ].join("\n");
}

/** @param option of `inspect` that is about one package and cannot be answered */
export async function describeRelease(
  file: string,
  option: string | undefined,
): Promise<ReleaseHead> {
  if (option !== undefined) {
    throw new UsageError("RELEASE_OPTION", `--${option} has no effect on ${file}`, {
      hint: "Name one of the packages beside it.",
    });
  }
  const { signers, ...release } = await readRelease(file);
  return { file, kind: "release", ...release, signers: signers.map(keyFingerprint) };
}

export function renderRelease(data: ReleaseHead, view: View): string {
  const rows = data.packages.map((one) => [
    `  ${one.platform}`,
    printable(one.file),
    view.size(one.size),
    one.identity.slice(0, 16),
    one.sha256,
  ]);
  const signers = data.signers.map((signer) => `signed by ${signer}`);
  return [
    title(data, view),
    view.table([["  platform", "file", "size", "identity", "SHA-256"], ...rows]),
    ...(signers.length > 0 ? signers : [view.style.red("its signature does not hold")]),
  ].join("\n");
}

function title({ name, version }: ReleaseHead, { style }: View): string {
  return style.bold(printable(`${name} ${version}`));
}
