/** Every example that a command's help prints is run as it stands, in a folder that holds what the examples speak of. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { commands, isNoun, load } from "../../lib/cli/commands.ts";
import { freshBinary } from "../../scripts/binary.ts";

const ROOT = join(import.meta.dir, "..", "..");
const work = mkdtempSync(join(tmpdir(), "sealift-examples-"));
const template = join(work, "template");
const sealift = await freshBinary();

const examples: string[] = [];
for (const row of Object.values(commands)) {
  for (const leaf of isNoun(row) ? Object.values(row.verbs) : [row]) {
    examples.push(...(await load(leaf)).examples.map(([line]) => line));
  }
}

beforeAll(async () => {
  mkdirSync(join(template, "bin"), { recursive: true });
  writeFileSync(join(template, "sealift.toml"), MANIFEST);
  writeFileSync(join(template, "app.sh"), '#!/bin/sh\necho "app $*"\n', { mode: 0o755 });
  for (const name of ["release", "old", "stolen"])
    await must(template, `sealift keygen --out-dir . --name ${name}`);
  await must(template, "sealift pack --key old.key -o app.psp");
  cpSync(join(template, "app.psp"), join(template, "report.psp"));
}, 60_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("the examples of --help", () => {
  test.each(examples)(
    "%s",
    async (line) => {
      const folder = join(work, `run-${examples.indexOf(line)}`);
      cpSync(template, folder, { recursive: true });
      if (line.startsWith("sealift launchers build"))
        symlinkSync(join(ROOT, "launchers"), join(folder, "launchers"));
      for (const preparation of preparations(line)) await must(folder, preparation);
      // As `diff` does it: 1 says that there is a difference.
      await must(folder, line, line.startsWith("sealift diff app.psp app-2.psp") ? 1 : 0);
    },
    120_000,
  );
});

/** What the example takes for granted. */
function preparations(line: string): string[] {
  const noun = line.split(" ")[1];
  const steps = [];
  if (noun === "trust" && !line.includes(" add ")) {
    steps.push("sealift trust add release.pub --name acme --yes");
    steps.push("sealift trust add old.pub --yes");
    if (line.includes("--revoked")) steps.push("sealift trust revoke acme --yes");
    if (line.includes("unpin"))
      steps.push("sealift trust pin report release.pub", "sealift trust pin report old.pub");
  }
  if (line.includes(".release.json"))
    steps.push("sealift pack --key old.key --platform linux_amd64,darwin_arm64 -o ./");
  if (noun === "diff" || noun === "delta")
    steps.push(
      "sed s/1.4.0/2.0.0/ sealift.toml > 2.toml && sealift pack -m 2.toml --key old.key -o app-2.psp",
    );
  if (noun === "delta" && !line.includes(" create "))
    steps.push("sealift delta create app.psp app-2.psp -o app.delta");
  if (noun === "init") steps.push("rm sealift.toml");
  if (noun === "workenv" || noun === "clean") steps.push("./app.psp");
  return steps;
}

const MANIFEST = `
[package]
name = "report"
version = "1.4.0"

[execution]
argv = ["{workenv}/bin/app"]

[[slots]]
id = "app"
source = "app.sh"
target = "bin/app"
permissions = "0755"
`;

async function must(folder: string, line: string, expected = 0): Promise<void> {
  const child = Bun.spawn(["sh", "-c", line], {
    cwd: folder,
    env: {
      PATH: `${join(sealift, "..")}:${process.env.PATH}`,
      HOME: join(folder, "home"),
      SEALIFT_KEY_PASSPHRASE: line.includes("--passphrase") ? "example" : undefined,
      GOCACHE: process.env.GOCACHE ?? join(process.env.HOME ?? "/root", ".cache", "go-build"),
      GOPATH: process.env.GOPATH ?? join(process.env.HOME ?? "/root", "go"),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ line, code, output: code === expected ? "" : out + err }).toEqual({
    line,
    code: expected,
    output: "",
  });
}
