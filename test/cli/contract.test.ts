/** What every command promises, asked of every command there is. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { leaves } from "../../lib/cli/schemas.ts";
import { makeHome } from "./sealift.ts";

const place = makeHome();
const { home, run } = place;

beforeAll(async () => {
  mkdirSync(join(home, "project", "bin"), { recursive: true });
  writeFileSync(join(home, "project/bin/hello"), "#!/bin/sh\necho hello\n");
  chmodSync(join(home, "project/bin/hello"), 0o755);
  mkdirSync(join(home, "other"));
  writeFileSync(join(home, "other/main.sh"), "#!/bin/sh\necho other\n");
  writeFileSync(
    join(home, "project/sealift.toml"),
    [
      '[package]\nname = "report"\nversion = "1.0"',
      '[execution]\nargv = ["{workenv}/bin/hello"]',
      '[[slots]]\nid = "app"\nsource = "bin/"\ntarget = "bin"',
    ].join("\n"),
  );
  expect((await run(["keygen", "--name", "k"])).code).toBe(0);
  const packed = await run(["pack", "project", "--key", "k.key", "-o", "report.psp"]);
  expect(packed.err).toContain("Collecting");
  expect((await run(["trust", "add", "k.pub", "--yes"])).code).toBe(0);
  expect((await run(["trust", "pin", "report", "k.pub"])).code).toBe(0);
  expect((await run(["run", "report.psp"])).out).toBe("hello\n");
});
afterAll(() => place[Symbol.dispose]());

describe.each(leaves().map(([name]) => name))("sealift %s", (name) => {
  test("answers a mistake with one document and says nothing else", async () => {
    const words = [...name.split(" "), "--no-such-option", "--json", "--quiet"];
    const { code, err, json } = await run(words);
    expect({ code, err }).toEqual({ code: 2, err: "" });
    expect(json).toMatchObject({ schema: "sealift.error/1", ok: false, code: "OPTION_UNKNOWN" });
  });
});

/** Every path below the home with its kind, mode and content. */
function snapshot(folder = home): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const info = lstatSync(join(folder, name));
    const content = info.isFile() ? readFileSync(join(folder, name)) : "";
    const digest = createHash("sha256").update(content).digest("hex");
    found[name] = `${info.mode.toString(8)} ${info.mtimeMs} ${digest}`;
  }
  return found;
}

describe("--dry-run changes no byte", () => {
  test.each([
    "pack project --key k.key",
    "pack project --key k.key -o report.psp --force",
    "run report.psp",
    "extract report.psp app",
    "extract report.psp app --raw-tar",
    "extract-all report.psp out",
    "init other --yes",
    "demo",
    "keygen --name other",
    "sign report.psp --key k.key",
    "trust add report.psp",
    "trust remove k",
    "trust revoke k.pub",
    "trust pin report k.pub",
    "trust unpin report",
    "workenv remove report",
    "workenv clean --all",
    "clean --all",
    "launchers clean",
    "launchers build",
  ])("%s", async (line) => {
    const before = snapshot();
    const { code, json } = await run([...line.split(" "), "--dry-run", "--json"]);
    expect([code, json.ok]).toEqual([0, true]);
    expect(snapshot()).toEqual(before);
  });

  test("and a refusal shows there already", async () => {
    const again = ["sign", "report.psp", "--key", "k.key", "--add", "--dry-run", "--json"];
    expect((await run(again)).json.code).toBe("SIGN_TWICE");
    const python = ["pack", "project", "--key", "k.key", "--python", "3.12", "--dry-run", "--json"];
    expect((await run(python)).json.code).toBe("PYTHON_OPTION");
    const index = ["pack", "project", "--key", "k.key", "--find-links", ".", "--dry-run", "--json"];
    expect((await run(index)).json).toMatchObject({
      code: "PYTHON_OPTION",
      message: expect.stringContaining("--find-links"),
    });
  });
});

describe("sealift schema", () => {
  test("prints the schema of the manifest", async () => {
    const { out } = await run(["schema", "sealift.toml"]);
    const { $id, properties, required } = JSON.parse(out);
    expect($id).toBe("sealift.toml");
    expect(Object.keys(properties)).toContain("slots");
    expect(required).toEqual(["package"]);
  });

  test("knows what was meant", async () => {
    expect((await run(["schema", "verfy"])).err).toContain("Did you mean verify?");
    expect((await run(["schema", "sealift.tml"])).err).toContain("Did you mean sealift.toml?");
  });
});
