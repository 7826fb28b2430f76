/** `sealift verify`: the verdict of the format plus what only the person who asks can demand. */
import type { Context } from "../../base/mod.ts";
import { type Check, type Verdict, verifyPackage } from "../../pspf/mod.ts";
import { loadPublicKey, openTrustStore, type TrustStore } from "../../trust/mod.ts";

export interface JudgeOptions {
  /** Public key: a file, or its text. The package must be signed by it. */
  key?: string | undefined;
  /** Trust store; default: the user's or the system's, when there is one. */
  trust?: string | undefined;
  /** A trust store and full coverage are required. */
  strict?: boolean | undefined;
}

export type Judged = Verdict & { trustStore?: string };

export async function judgePackage(
  ctx: Context,
  file: string,
  options: JudgeOptions,
): Promise<Judged> {
  const key = options.key === undefined ? undefined : await loadPublicKey(options.key);
  const trust = await openTrustStore({ env: ctx.env, dir: options.trust });
  const verdict = await verifyPackage(file, {
    progress: ctx.progress,
    ...(key && { key }),
    ...(trust && { trust }),
  });
  const extra = options.strict ? strictChecks(verdict, trust) : [];
  return {
    ...verdict,
    checks: [...verdict.checks, ...extra],
    ok: verdict.ok && extra.every((check) => check.ok),
    ...(trust && { trustStore: trust.dir }),
  };
}

function strictChecks({ coverage }: Verdict, trust: TrustStore | undefined): Check[] {
  const checks: Check[] = [];
  if (trust === undefined) {
    checks.push({
      name: "trust",
      ok: false,
      code: "TRUST_STORE",
      detail: "--strict needs a trust store, and there is none: add a key with `sealift trust add`",
    });
  }
  const open = coverage.total - coverage.covered;
  checks.push({
    name: "coverage",
    ok: open === 0,
    ...(open > 0 && { code: "SEAL_COVERAGE" }),
    detail:
      open === 0
        ? "the signature covers every byte"
        : `the signature does not cover ${open} of ${coverage.total} bytes`,
  });
  return checks;
}
