/** The reader against the launchers' cases about encrypted slots: what they refuse it refuses, what they decrypt it decrypts. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Case } from "../../lib/launcher/conformance/case.ts";
import { applyDamage } from "../../lib/launcher/conformance/damage.ts";
import { writeCase } from "../../lib/launcher/conformance/package.ts";
import { caseGroups, type Launcher } from "../../lib/launcher/mod.ts";
import { decodedSlot, openPackage } from "../../lib/pspf/mod.ts";
import { collect } from "../pspf/fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "sealift-encryption-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const launcher = {
  bytes: new TextEncoder().encode("#!/bin/sh\n"),
  tool: "sealift-rust",
  toolVersion: "0.1.0",
  platform: "linux_amd64",
} as unknown as Launcher;

const { cases } = caseGroups().find(({ name }) => name === "encryption") ?? { cases: [] };
/** Errors that depend on the slots alone, with the code that the reader has for them. */
const CODES: Record<string, string> = {
  PSPF_FIELD: "PSPF_FIELD",
  PSPF_OPERATION: "PSPF_OPERATION",
  UNPACK: "CIPHER_DATA",
  SEAL_SLOT: "SEAL_SLOT",
};

describe("the reader", () => {
  for (const one of cases) {
    for (const writer of one.writers) {
      const [step] = one.steps;
      const code = step?.error === undefined ? "none" : CODES[step.error];
      // In a sealed document a chain that nobody knows is a field that is not canonical text.
      const isText = code === "PSPF_OPERATION" && one.json?.seal !== null;
      const expected = isText ? "PSPF_FIELD" : code;
      if (expected === undefined || step?.env?.SEALIFT_LAUNCHER_CLI === "1") continue;
      test(`${one.name} (${writer}): ${expected}`, async () => {
        const path = join(folder, "case.psp");
        const bytes = await writeCase(one, writer, launcher, path);
        writeFileSync(path, applyDamage(bytes, one.damage));
        expect(await read(path, one)).toBe(expected);
      });
    }
  }
});

/** Decodes every slot with the keys that it was encrypted with. @returns the code of the error, or "none" */
async function read(path: string, one: Case): Promise<string> {
  const findKey = async ({ id }: { id: string }) =>
    new TextEncoder().encode(one.slots.find((slot) => slot.id === id)?.encryption?.key);
  try {
    const pkg = await openPackage(path, { findKey });
    try {
      for (const slot of pkg.slots) await collect(decodedSlot(pkg, slot.index));
    } finally {
      await pkg.close();
    }
    return "none";
  } catch (error) {
    return (error as { code: string }).code;
  }
}
