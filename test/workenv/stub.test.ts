/** The cache as the launchers write it: a package is started, and what it left is read, compared and removed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { embeddedLauncher, hostPlatform, listLaunchers } from "../../lib/launcher/mod.ts";
import { openPackage, type SlotInput, writePackage } from "../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../lib/trust/mod.ts";
import {
  cleanCache,
  compareContents,
  findEnvironment,
  readCache,
  removeEnvironment,
  verifyEnvironment,
} from "../../lib/workenv/mod.ts";
import { makeBase } from "./fixture.ts";

const languages = listLaunchers()
  .filter(({ platform }) => platform === hostPlatform())
  .map(({ language }) => language);

let place: ReturnType<typeof makeBase>;
beforeAll(() => {
  place = makeBase();
});
afterAll(() => place[Symbol.dispose]());

function tree(id: string, files: Record<string, string>, more: Partial<SlotInput>): SlotInput {
  const entries = Object.entries(files).map(([path, text]) => {
    const bytes = new TextEncoder().encode(text);
    return { path, type: "file" as const, mode: 0o755, size: bytes.length, source: { bytes } };
  });
  return {
    id,
    source: id,
    target: id,
    operations: ["tar", "zstd"],
    content: { kind: "tree", entries },
    ...more,
  };
}

async function writeApp(language: "rust" | "go", file: string): Promise<string> {
  const path = join(place.folder, file);
  const [os, arch] = hostPlatform().split("_") as [string, string];
  await writePackage(path, {
    launcher: await embeddedLauncher(language, hostPlatform()),
    manifest: {
      package: { name: "stubapp", version: "2.0" },
      execution: { argv: ["/bin/sh", "{workenv}/app/main.sh"] },
    },
    slots: [
      tree("app", { "main.sh": 'test "$(cat "$SEALIFT_WORKENV/conf.txt")" = conf\n' }, {}),
      tree("lib", { "one.txt": "1", "two.txt": "22" }, { share: true }),
      {
        id: "conf",
        source: "conf.txt",
        target: "conf.txt",
        operations: ["gzip"],
        content: { kind: "bytes", bytes: new TextEncoder().encode("conf") },
      },
    ],
    signer: signerFromSeed("workenv"),
    profile: "sealed",
    epoch: 315532800,
    platform: { os, arch },
  });
  return path;
}

function start(path: string, base: string): void {
  const env = { PATH: process.env.PATH ?? "", HOME: place.folder, SEALIFT_CACHE: base };
  const { exitCode, stderr } = Bun.spawnSync([path], { env, stdin: null });
  expect(`${exitCode} ${stderr}`).toBe("0 ");
}

test.each(languages)(
  "what the %s launcher leaves is understood, compared and removed",
  async (language) => {
    const base = join(place.folder, `cache-${language}`);
    const path = await writeApp(language, `app-${language}.psp`);
    start(path, base);

    const cache = await readCache(base, { sizes: true });
    expect(cache).toMatchObject({ leftovers: [], foreign: [] });
    const one = findEnvironment(cache, "stubapp");
    expect(one).toMatchObject({ state: "ready", name: "stubapp", version: "2.0" });
    expect(cache.shared).toMatchObject([{ state: "ready", usedBy: [one.id] }]);
    expect(await verifyEnvironment(cache, one)).toMatchObject({
      ok: true,
      added: 0,
      differences: [],
    });

    const pkg = await openPackage(path);
    expect(await compareContents(cache, one, pkg)).toEqual({ compared: 4, differences: [] });

    // Forged with the size, time and mode that it had: only the content tells.
    const forged = [join(one.path, "conf.txt"), join(cache.shared[0]?.path as string, "two.txt")];
    for (const file of forged) {
      const { mtime, atime, mode } = statSync(file);
      writeFileSync(file, readFileSync(file, "latin1").replace(/.$/, "X"));
      utimesSync(file, atime, mtime);
      chmodSync(file, mode & 0o777);
    }
    const { differences } = await compareContents(cache, one, pkg);
    expect(differences.map(({ path: changed }) => changed)).toEqual([
      forged[1] as string,
      "conf.txt",
    ]);
    await pkg.close();

    const removed = await removeEnvironment(base, one.path, { env: process.env });
    expect(removed.removed).toHaveLength(1);
    start(path, base);
    const again = await readCache(base);
    expect(findEnvironment(again, "stubapp").state).toBe("ready");
    await cleanCache(base, { env: process.env, all: true });
    expect(await readCache(base)).toMatchObject({ environments: [], shared: [] });
    start(path, base);
  },
);

test("a package that is another one is not compared", async () => {
  const base = join(place.folder, "cache-other");
  const language = languages[0] as "rust" | "go";
  const path = await writeApp(language, "other.psp");
  start(path, base);
  const cache = await readCache(base);
  const one = { ...findEnvironment(cache, "stubapp"), identity: "0".repeat(64) };
  const pkg = await openPackage(path);
  await expect(compareContents(cache, one, pkg)).rejects.toMatchObject({ code: "WORKENV_PACKAGE" });
  await pkg.close();
});
