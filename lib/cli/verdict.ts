/** What commands that judge have in common: whom they trust, and how they tell their verdict on a package or a release. */
import * as v from "valibot";

import type { Check } from "../pspf/mod.ts";
import { printable, type View } from "./view.ts";

/** Whose signature it must be. */
export const TRUST_ARGS = {
  key: {
    type: "string",
    valueHint: "PUB",
    group: "Trust",
    description: "Demand a signature by this public key (file or text)",
  },
  trust: {
    type: "string",
    valueHint: "DIR",
    group: "Trust",
    description: "Judge the signers by this trust store",
  },
} as const;

export const Checks = v.array(
  v.strictObject({
    name: v.string(),
    ok: v.boolean(),
    code: v.optional(v.string()),
    detail: v.string(),
  }),
);
export type Checks = v.InferOutput<typeof Checks>;

export function describeChecks(checks: readonly Check[]): Checks {
  return checks.map(({ name, ok, code, detail }) => ({ name, ok, ...(code && { code }), detail }));
}

/** One row for a table. */
export function checkRow({ ok, name, detail }: Checks[number], { style }: View): string[] {
  return [ok ? style.green("✓") : style.red("✗"), printable(name), printable(detail)];
}

interface Judged {
  file: string;
  ok: boolean;
  signers: string[];
  trusted?: boolean | undefined;
  trust_store?: string | undefined;
}

/** Who signed, what the trust store says, and the verdict. */
export function verdictLines({ file, ok, signers, ...trust }: Judged, { style }: View): string[] {
  const { trusted, trust_store: store } = trust;
  const verdict = ok ? style.green("verified") : style.red("NOT verified");
  return [
    ...signers.map((signer) => `signed by ${signer}`),
    store === undefined
      ? "no trust store: any valid signature is accepted"
      : `${trusted ? "trusted" : "not trusted"} by ${printable(store)}`,
    `${printable(file)}: ${verdict}`,
  ];
}
