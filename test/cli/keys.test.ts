/** keygen, sign and trust, from the command line. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { writePackage } from "../../lib/pspf/mod.ts";
import { keyFingerprint, publicKeyPem, signerFromSeed } from "../../lib/trust/mod.ts";
import { makeHome } from "./sealift.ts";

const ACME = signerFromSeed("acme");
const OTHER = signerFromSeed("other");

// Each test starts the program several times.
setDefaultTimeout(30_000);

let place: ReturnType<typeof makeHome>;
let home: string;
let run: ReturnType<typeof makeHome>["run"];
beforeEach(() => {
  place = makeHome();
  ({ home, run } = place);
});
afterEach(() => place[Symbol.dispose]());

async function putPackage(name = "report.psp"): Promise<string> {
  await writePackage(join(home, name), {
    launcher: {
      bytes: new TextEncoder().encode("#!/bin/sh\n"),
      tool: "sealift-go",
      toolVersion: "0",
    },
    manifest: { package: { name: "report", version: "1.4.0" }, execution: { argv: ["true"] } },
    slots: [],
    signer: ACME,
    profile: "sealed",
    epoch: 315532800,
    platform: { os: "linux", arch: "amd64" },
  });
  return name;
}

function put(name: string, signer = ACME): string {
  writeFileSync(join(home, name), publicKeyPem(signer.publicKey));
  return name;
}

const store = () => join(home, ".config/sealift/trust.d");

describe("sealift keygen", () => {
  test("makes a pair, says what to do next, and never overwrites it", async () => {
    const first = await run(["keygen", "--out-dir", "keys", "--name", "release"]);
    expect(first.code).toBe(0);
    expect(first.out).toContain("sealift trust add keys/release.pub");
    expect(statSync(join(home, "keys/release.key")).mode & 0o777).toBe(0o600);
    const before = readFileSync(join(home, "keys/release.key"), "utf8");
    expect(first.out + first.err).not.toContain(before.split("\n")[1] as string);
    const second = await run(["keygen", "--out-dir", "keys", "--name", "release", "--json"]);
    expect(second).toMatchObject({
      code: 4,
      json: { schema: "sealift.error/1", code: "FILE_EXISTS" },
    });
    expect(readFileSync(join(home, "keys/release.key"), "utf8")).toBe(before);
  });

  test("-o names the private key", async () => {
    const { json } = await run(["keygen", "-o", "my.pem", "--json"]);
    expect(json).toMatchObject({
      ok: true,
      private_key: "my.pem",
      public_key: "my.pub",
      encrypted: false,
    });
    expect(json.fingerprint).toMatch(/^ed25519:[0-9a-f]{64}$/);
    expect((await run(["keygen", "-o", "x.key", "--name", "y"])).code).toBe(2);
  });

  test("a dry run makes no key", async () => {
    const { code, json } = await run(["keygen", "--dry-run", "--json"]);
    expect(code).toBe(0);
    expect(json.private_key).toBe("sealift.key");
    expect(readdirSync(home).filter((name) => !name.startsWith("."))).toEqual([]);
  });

  test("puts the key under a passphrase, which sign needs then", async () => {
    writeFileSync(join(home, "secret"), "correct horse\n");
    const made = await run(["keygen", "--name", "k", "--passphrase-file", "secret"]);
    expect(made.code).toBe(0);
    expect(readFileSync(join(home, "k.key"), "utf8")).toContain("ENCRYPTED");
    await putPackage();
    const sign = ["sign", "report.psp", "--key", "k.key", "--add"];
    expect(await run(sign)).toMatchObject({ code: 2, err: expect.stringContaining("passphrase") });
    expect((await run(sign, { SEALIFT_KEY_PASSPHRASE: "wrong" })).code).toBe(3);
    expect((await run([...sign, "--passphrase-file", "secret"])).code).toBe(0);
  });

  test("asks for a passphrase only where somebody can answer", async () => {
    const answer = await run(["keygen", "--passphrase"]);
    expect(answer).toMatchObject({ code: 2, err: expect.stringContaining("--passphrase-file") });
    expect(readdirSync(home).filter((name) => !name.startsWith("."))).toEqual([]);
  });

  test.skipIf(process.platform === "win32")(
    "asks twice at a terminal and shows nothing",
    async () => {
      let shown = "";
      let answered = 0;
      const main = join(import.meta.dir, "../../main.ts");
      const child = Bun.spawn([process.execPath, main, "keygen", "--passphrase"], {
        cwd: home,
        env: place.env,
        terminal: {
          data(terminal, data) {
            shown += Buffer.from(data).toString();
            const asked = shown.match(/passphrase: |Once more: /g)?.length ?? 0;
            // "pässwörd", with a mistake that is taken back.
            if (asked > answered) {
              answered = asked;
              terminal.write("pässwörx\x7fd\r");
            }
          },
        },
      });
      expect(await child.exited).toBe(0);
      expect(shown).not.toMatch(/pässw|wörd|wörx/);
      await putPackage();
      const sign = ["sign", "report.psp", "--key", "sealift.key", "--add"];
      expect((await run(sign, { SEALIFT_KEY_PASSPHRASE: "pässwörd" })).code).toBe(0);
    },
  );
});

describe("sealift sign", () => {
  test("adds a co-signature, and replaces all of them only when told", async () => {
    await putPackage();
    await run(["keygen", "--name", "mine"]);
    const added = await run(["sign", "report.psp", "--key", "mine.key", "--add", "--json"]);
    expect(added).toMatchObject({ code: 0, json: { changed: true, mode: "add" } });
    expect(added.json.signers).toHaveLength(2);
    expect(added.json.signers[0]).toBe(keyFingerprint(ACME.publicKey));
    expect((await run(["verify", "report.psp"])).code).toBe(0);

    const replace = ["sign", "report.psp", "--key", "mine.key", "--json"];
    expect(await run(replace)).toMatchObject({ code: 2, json: { code: "CONFIRM" } });
    const replaced = await run([...replace, "--yes"]);
    expect(replaced.json.signers).toEqual([added.json.signers[1]]);
    expect(replaced.json.identity).toBe(added.json.identity);
  });

  test("writes a copy, leaves the original, and keeps what exists", async () => {
    await putPackage();
    await run(["keygen", "--name", "mine"]);
    const before = readFileSync(join(home, "report.psp"));
    const sign = ["sign", "report.psp", "--key", "mine.key", "-o", "signed.psp"];
    expect((await run([...sign, "--dry-run"])).code).toBe(0);
    expect(existsSync(join(home, "signed.psp"))).toBe(false);
    expect((await run(sign)).code).toBe(0);
    expect((await run(sign)).code).toBe(4);
    expect((await run([...sign, "--force"])).code).toBe(0);
    expect(readFileSync(join(home, "report.psp"))).toEqual(before);
  });

  test("does not sign what was changed", async () => {
    await putPackage();
    await run(["keygen", "--name", "mine"]);
    const bytes = readFileSync(join(home, "report.psp"));
    bytes[2] = (bytes[2] as number) ^ 1;
    writeFileSync(join(home, "report.psp"), bytes);
    expect((await run(["sign", "report.psp", "--key", "mine.key", "--add"])).code).toBe(1);
    expect(readFileSync(join(home, "report.psp"))).toEqual(bytes);
  });
});

describe("sealift trust", () => {
  test("decides what verify accepts", async () => {
    await putPackage();
    expect((await run(["trust", "list"])).out).toContain("any valid signature");
    const added = await run(["trust", "add", put("other.pub", OTHER)]);
    expect(added).toMatchObject({ code: 0, out: expect.stringContaining("From now on only") });
    expect((await run(["verify", "report.psp"])).code).toBe(1);
    expect((await run(["trust", "add", put("acme.pub")])).out).not.toContain("From now on");
    expect((await run(["verify", "report.psp"])).code).toBe(0);

    expect(await run(["trust", "pin", "report", "other"])).toMatchObject({ code: 0, err: "" });
    expect((await run(["verify", "report.psp"])).code).toBe(1);
    expect((await run(["trust", "pin", "report", ACME.publicKey.toHex()])).code).toBe(0);
    expect((await run(["verify", "report.psp"])).code).toBe(0);
    expect((await run(["trust", "unpin", "report", "--yes"])).code).toBe(0);

    expect((await run(["trust", "revoke", "acme"])).code).toBe(0);
    expect((await run(["verify", "report.psp"])).code).toBe(1);
    const { json } = await run(["trust", "list", "--json"]);
    expect(json).toMatchObject({
      store: store(),
      keys: [{ name: "other" }],
      revoked: [{ name: "acme", fingerprint: keyFingerprint(ACME.publicKey) }],
      pins: [],
    });
  });

  test("takes the signers of a package, after asking", async () => {
    await putPackage();
    expect((await run(["trust", "add", "report.psp"])).code).toBe(2);
    expect(existsSync(store())).toBe(false);
    const added = await run(["trust", "add", "report.psp", "--yes", "--json"]);
    expect(added.json.keys).toMatchObject([
      { name: "report", fingerprint: keyFingerprint(ACME.publicKey), added: true },
    ]);
    expect(readdirSync(store())).toEqual(["report.pub"]);
  });

  test("takes SSH keys and texts, and a name", async () => {
    const made = Bun.spawnSync([
      "ssh-keygen",
      "-q",
      "-t",
      "ed25519",
      "-N",
      "",
      "-f",
      join(home, "id"),
    ]);
    if (made.exitCode === 0) {
      expect((await run(["trust", "add", "id.pub", "--name", "alice"])).code).toBe(0);
      expect(readdirSync(store())).toEqual(["alice.pub"]);
    }
    const hex = OTHER.publicKey.toHex();
    expect((await run(["trust", "add", hex])).out).toContain(hex.slice(0, 16));
    expect((await run(["trust", "add", hex, "--name", "../x"])).code).toBe(2);
    expect((await run(["trust", "add", "nowhere.pub"])).code).toBe(4);
  });

  test("removes only after asking, and says when nothing is left", async () => {
    await run(["trust", "add", put("acme.pub")]);
    expect((await run(["trust", "remove", "acme"])).code).toBe(2);
    const dry = await run(["trust", "remove", "acme", "--dry-run"]);
    expect(dry.out).toContain("would be removed");
    expect(readdirSync(store())).toEqual(["acme.pub"]);
    const gone = await run(["trust", "remove", "acme", "--yes"]);
    expect(gone).toMatchObject({ code: 0, out: expect.stringContaining("no longer decides") });
    expect((await run(["trust", "remove", "acme", "--yes"])).code).toBe(2);
  });

  test("dry runs change nothing", async () => {
    put("acme.pub");
    const words = [
      ["add", "acme.pub"],
      ["revoke", "acme.pub"],
      ["pin", "report", "acme.pub"],
    ];
    for (const word of words) {
      expect(await run(["trust", ...word, "--dry-run"])).toMatchObject({
        code: 0,
        out: expect.stringContaining("would be"),
      });
    }
    expect(existsSync(store())).toBe(false);
  });

  test("pin says when the key is not trusted, because a pin does not trust it", async () => {
    const { code, err } = await run(["trust", "pin", "report", put("acme.pub")]);
    expect({ code, err }).toMatchObject({
      code: 0,
      err: expect.stringContaining("not trusted yet"),
    });
    await putPackage();
    const verdict = await run(["verify", "report.psp"]);
    expect(verdict).toMatchObject({
      code: 1,
      out: expect.stringContaining("not in the trust store"),
    });
  });

  test("--trust and SEALIFT_TRUST_DIR name the store", async () => {
    put("acme.pub");
    await run(["trust", "add", "acme.pub", "--trust", "mine"]);
    expect(readdirSync(join(home, "mine"))).toEqual(["acme.pub"]);
    await run(["trust", "revoke", "acme.pub"], { SEALIFT_TRUST_DIR: join(home, "mine") });
    expect(readdirSync(join(home, "mine"))).toEqual(["acme.revoked"]);
    expect((await run(["trust", "list", "--trust", "mine", "--system"])).code).toBe(2);
    expect((await run(["trust", "list", "--trust", "absent"])).code).toBe(4);
  });

  test("a malformed file in the store is an error that names it", async () => {
    await run(["trust", "add", put("acme.pub")]);
    writeFileSync(join(store(), "bad.revoked"), "words");
    for (const words of [
      ["trust", "list"],
      ["trust", "revoke", "acme"],
      ["trust", "remove", "acme", "--yes"],
    ]) {
      const { code, json } = await run([...words, "--json"]);
      expect(code).toBe(3);
      expect(json.message).toContain("bad.revoked");
    }
  });
});
