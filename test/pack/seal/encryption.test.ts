/** Encrypted slots from the manifest to a package that runs. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { run } from "../../../lib/base/mod.ts";
import { parseJson, verifyPackage } from "../../../lib/pspf/mod.ts";
import { FILES, folder, HEAD, only, pack, problem, SCRIPT, slotsOf } from "../fixture.ts";

const KEY = "0123456789abcdef".repeat(4);
const secret = (more: string) =>
  `${HEAD}${SCRIPT}[[slots]]\nid = "secret"\nsource = "secret.txt"\nencryption = "aes256"\n${more}\n`;
const files = {
  ...FILES,
  "run.sh": '#!/bin/sh\ncat "$SEALIFT_WORKENV/secret.txt"\n',
  "secret.txt": "hidden words\n",
};
const FROM_ENV = secret('key_source = "env:DEMO_KEY"');

describe("a manifest", () => {
  test("makes an encrypted slot, the same one every time", async () => {
    using project = folder();
    project.ctx.env.DEMO_KEY = KEY;
    const path = only(await pack(project, FROM_ENV, {}, files));
    const first = readFileSync(path);
    expect(first.includes("hidden words")).toBe(false);
    expect((await slotsOf(path))[1]?.operations).toEqual(["zstd", "aes256gcm"]);
    only(await pack(project, FROM_ENV, { force: true }, files));
    expect(readFileSync(path).equals(first)).toBe(true);
    const { code, stdout } = await run([path], { env: project.ctx.env });
    expect([code, new TextDecoder().decode(stdout)]).toEqual([0, "hidden words\n"]);
    expect((await verifyPackage(path)).encrypted).toEqual([
      { id: "secret", keySource: "env:DEMO_KEY" },
    ]);
  });

  test("names the key that contradicts another one", async () => {
    using project = folder();
    const said = (text: string) => problem(() => pack(project, text, {}, files));
    const slot = secret("");
    expect(await said(slot)).toContain("slots[1].encryption needs key_source");
    const unencrypted = FROM_ENV.replace('encryption = "aes256"\n', "");
    expect(await said(unencrypted)).toContain("slots[1].key_source needs encryption");
    expect(await said(`${FROM_ENV}share = true\n`)).toContain(
      "slots[1].share contradicts encryption",
    );
    expect(await said(secret('key_source = "keyring:x"'))).toContain("key_source");
    expect(await said(FROM_ENV.replace("aes256", "aes128"))).toContain("encryption");
  });

  test("of the earlier builders has no place for a key", async () => {
    using project = folder();
    const manifest = {
      package: { name: "demo", version: "1" },
      execution: { command: "/bin/true" },
      slots: [{ id: "s", source: "secret.txt", target: "s", operations: "gzip|aes256gcm" }],
    };
    expect(parseJson(new TextEncoder().encode(JSON.stringify(manifest)))).toEqual(manifest);
    const root = project.put({ ...files, "manifest.json": JSON.stringify(manifest) });
    const { loadProject } = await import("../../../lib/pack/mod.ts");
    const message = await problem(() => loadProject(join(root, "manifest.json")));
    expect(message).toContain("slots[0].operations asks for encryption");
  });
});

describe("the key", () => {
  test("that is missing is said before anything is packed; a dry run needs none", async () => {
    using project = folder();
    const message = await problem(() => pack(project, FROM_ENV, {}, files));
    expect(message).toContain(
      "KEY_MISSING: Slot secret is encrypted and its key (env:DEMO_KEY) is missing",
    );
    const plan = await pack(project, FROM_ENV, { dryRun: true }, files);
    expect(plan.outputs[0]?.slots[1]?.operations).toBe("zstd|aes256gcm");
  });

  test("may come from elsewhere while the package is made, and from a question, once", async () => {
    using project = folder();
    const answers = ["a passphrase"];
    const slotKeys = { prompt: async () => answers.pop() };
    const prompt = secret('key_source = "prompt"');
    const asked = readFileSync(only(await pack(project, prompt, { slotKeys }, files)));
    const phrase = join(project.put({ phrase: "a passphrase\n" }), "phrase");
    const fromFile = { sources: [`secret=file:${phrase}`] };
    const given = only(await pack(project, prompt, { slotKeys: fromFile, force: true }, files));
    expect(readFileSync(given).equals(asked)).toBe(true);
    const none = { sources: ["script=env:X"] };
    expect(
      await problem(() => pack(project, prompt, { slotKeys: none, force: true }, files)),
    ).toContain("KEY_SOURCE");
  });

  test("in a file must not go into the package", async () => {
    using project = folder();
    const manifest = `${secret('key_source = "file:keys/slot.key"')}[[slots]]\nid = "all"\nsource = "keys"\n`;
    const message = await problem(() =>
      pack(project, manifest, {}, { ...files, "keys/slot.key": KEY }),
    );
    expect(message).toContain("KEY_PACKED: Slot all");
  });
});

describe("proof before the signature", () => {
  for (const [kind, material] of [
    ["key", KEY],
    ["passphrase", "correct horse"],
  ] as const) {
    test(`decodes and runs a package with a ${kind}`, async () => {
      using project = folder();
      const manifest = secret('key_source = "file:slot.key"');
      const options = {
        validateBeforeSign: true,
        testCommand: `/bin/sh -c 'grep hidden "$SEALIFT_WORKENV/secret.txt"'`,
      };
      const path = only(await pack(project, manifest, options, { ...files, "slot.key": material }));
      expect((await slotsOf(path))[1]?.metadata.encryption?.key_source).toBe("file:slot.key");
    });
  }

  test("the tested program does not see the key either", async () => {
    using project = folder();
    project.ctx.env.DEMO_KEY = KEY;
    const testCommand = `/bin/sh -c 'test -z "$DEMO_KEY" && ! env | grep -q TRIAL_KEY'`;
    await pack(project, FROM_ENV, { testCommand }, files);
  });

  test("the earlier launchers cannot decrypt", async () => {
    using project = folder();
    project.ctx.env.DEMO_KEY = KEY;
    const message = await problem(() => pack(project, FROM_ENV, { compat: "flavorpack" }, files));
    expect(message).toContain("COMPAT_ENCRYPTION");
  });
});
