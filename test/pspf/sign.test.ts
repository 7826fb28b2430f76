/** Signing again and co-signing. */
import { describe, expect, test } from "bun:test";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { openPackage, signPackage, verifyPackage } from "../../lib/pspf/mod.ts";
import { keyFingerprint, signerFromSeed } from "../../lib/trust/mod.ts";
import { save, signer, smallPackage, temporaryFolder, text, thrown } from "./fixture.ts";
import { adler32, upstreamPackage } from "./upstream.ts";

const folder = temporaryFolder();
const other = (n: number) => signerFromSeed(`co-signer ${n}`);
let counter = 0;
const fresh = () => join(folder, `${counter++}.psp`);

function patchIndex(bytes: Uint8Array, change: (index: Uint8Array) => void): Uint8Array {
  const index = bytes.subarray(bytes.length - 8196, bytes.length - 4);
  change(index);
  index.fill(0, 4, 8);
  new DataView(index.buffer, index.byteOffset).setUint32(4, adler32(index), true);
  return bytes;
}

describe("signPackage()", () => {
  test("replace puts another first signer in and keeps the identity", async () => {
    const path = fresh();
    await smallPackage(path);
    const before = await verifyPackage(path);
    const signed = await signPackage(path, other(1), { mode: "replace" });
    const after = await verifyPackage(path);
    expect(after.ok).toBe(true);
    expect(after.signers).toEqual([keyFingerprint(other(1).publicKey)]);
    expect(signed).toEqual({ path, signers: after.signers, identity: before.identity });
    expect((await stat(path)).mode & 0o777).toBe(0o755);
  });

  test("add puts up to four co-signatures beside it, each key once", async () => {
    const path = fresh();
    await smallPackage(path);
    for (let n = 1; n <= 4; n++) await signPackage(path, other(n), { mode: "add" });
    const verdict = await verifyPackage(path);
    expect(verdict.ok).toBe(true);
    expect(verdict.coverage.covered).toBe(verdict.coverage.total);
    expect(verdict.signers).toEqual(
      [signer, ...[1, 2, 3, 4].map(other)].map((s) => keyFingerprint(s.publicKey)),
    );
    expect((await thrown(() => signPackage(path, other(5), { mode: "add" }))).code).toBe(
      "SIGN_FULL",
    );
    expect((await thrown(() => signPackage(path, other(2), { mode: "add" }))).code).toBe(
      "SIGN_TWICE",
    );
    const key = other(3).publicKey;
    expect((await verifyPackage(path, { key })).ok).toBe(true);
  });

  test("writes elsewhere when asked, and leaves the old file alone", async () => {
    const path = fresh();
    const before = await smallPackage(path);
    const out = fresh();
    await signPackage(path, other(1), { mode: "add", out });
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    expect((await verifyPackage(out)).signers).toHaveLength(2);
    expect((await thrown(() => signPackage(path, other(2), { mode: "add", out }))).code).toBe(
      "FILE_EXISTS",
    );
  });

  test("replace signs an unsigned package, add does not", async () => {
    const path = fresh();
    const bytes = await smallPackage(path);
    await save(
      path,
      patchIndex(bytes, (index) => index.fill(0, 128, 640)),
    );
    expect((await thrown(() => signPackage(path, other(1), { mode: "add" }))).code).toBe(
      "SEAL_UNSIGNED",
    );
    await signPackage(path, other(1), { mode: "replace" });
    expect((await verifyPackage(path)).ok).toBe(true);
  });

  test("signs nothing that is damaged", async () => {
    const path = fresh();
    const bytes = await smallPackage(path);
    bytes[3] = (bytes[3] as number) ^ 1;
    await save(path, bytes);
    for (const mode of ["replace", "add"] as const) {
      expect(await thrown(() => signPackage(path, other(1), { mode }))).toMatchObject({
        code: "SEAL_LAUNCHER",
        exit: 1,
      });
    }
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  });

  test("packages of other writers can be signed again, not co-signed", async () => {
    const slot = { id: "a", target: "a", stored: text("x"), operations: 0n, text: "raw" };
    const path = await save(fresh(), upstreamPackage("rust", [slot]));
    expect((await thrown(() => signPackage(path, other(1), { mode: "add" }))).code).toBe(
      "SIGN_SEALED",
    );
    await signPackage(path, other(1), { mode: "replace" });
    const verdict = await verifyPackage(path);
    expect(verdict.ok).toBe(true);
    expect(verdict.signers).toEqual([keyFingerprint(other(1).publicKey)]);
  });
});

test("a signature area of another writer that holds more than a signature is judged too", async () => {
  const slot = { id: "a", target: "a", stored: text("x"), operations: 0n, text: "raw" };
  const index = (_: DataView, bytes: Uint8Array) => void (bytes[200] = 1);
  const path = await save(fresh(), upstreamPackage("go", [slot], { index }));
  expect((await thrown(() => openPackage(path))).code).toBe("SEAL_SIGNATURE");
});

describe("co-signatures in a file", () => {
  const place = (n: number) => 128 + 64 + 96 * n;

  test.each<[string, (index: Uint8Array) => void, string]>([
    [
      "one that does not verify",
      (index) => (index[place(0) + 40] = (index[place(0) + 40] as number) ^ 1),
      "SEAL_SIGNATURE",
    ],
    [
      "a gap before it",
      (index) => index.copyWithin(place(1), place(0), place(1)).fill(0, place(0), place(1)),
      "SEAL_INDEX",
    ],
    [
      "the same key twice",
      (index) => void index.copyWithin(place(1), place(0), place(1)),
      "SEAL_SIGNATURE",
    ],
    ["bytes behind the last place", (index) => (index[639] = 1), "SEAL_INDEX"],
    [
      "the first signer again",
      (index) =>
        void (index.copyWithin(place(1), 64, 96), index.copyWithin(place(1) + 32, 128, 192)),
      "SEAL_SIGNATURE",
    ],
    [
      "a key of small order",
      (index) =>
        void (index.fill(0, place(1), place(2)), (index[place(1)] = 1), (index[place(1) + 32] = 1)),
      "SEAL_KEY",
    ],
  ])("%s is refused", async (_, change, code) => {
    const path = fresh();
    await smallPackage(path);
    await signPackage(path, other(1), { mode: "add" });
    await save(path, patchIndex(new Uint8Array(await readFile(path)), change));
    expect((await thrown(() => openPackage(path))).code).toBe(code);
    expect((await verifyPackage(path)).ok).toBe(false);
  });
});
