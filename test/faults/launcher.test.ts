/** What may happen to a machine while a package starts for the first time: kills, full disks, mounts without exec, lost homes. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { embeddedLauncher, hostPlatform, type StubLanguage } from "../../lib/launcher/mod.ts";
import { parseOperations, writePackage } from "../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../lib/trust/mod.ts";

const folder = mkdtempSync(join(tmpdir(), "sealift-faults-"));
const FILES = 300;
const SUM_OF_SIZES = Array.from({ length: FILES }, (_, i) => size(i)).reduce((a, b) => a + b, 0);
const canMount = process.getuid?.() === 0 && (await run(["unshare", "-m", "true"])).code === 0;
const mounted = canMount ? test : test.skip;
const why = canMount ? "" : " (needs root and mount namespaces)";

beforeAll(async () => {
  for (const language of ["rust", "go"] as const) await pack(language);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["rust", "go"] as const)("the %s launcher", (language) => {
  test("survives a kill at any moment of the first start", async () => {
    const cache = fresh(language, "kill");
    let kills = 0;
    for (let wait = 1; wait < 200; wait = Math.ceil(wait * 1.4)) {
      rmSync(cache, { recursive: true, force: true });
      const child = Bun.spawn([file(language)], {
        env: env(cache),
        stdio: ["ignore", "ignore", "ignore"],
      });
      await Bun.sleep(wait);
      child.kill("SIGKILL");
      if ((await child.exited) !== 0) kills++;
      await expectGood(language, cache);
    }
    expect(kills).toBeGreaterThan(0);
  }, 120_000);

  test("a kill while others wait leaves them working", async () => {
    const cache = fresh(language, "waiters");
    const first = Bun.spawn([file(language)], {
      env: env(cache),
      stdio: ["ignore", "ignore", "ignore"],
    });
    const others = Array.from({ length: 4 }, () => run([file(language)], { env: env(cache) }));
    await Bun.sleep(15);
    first.kill("SIGKILL");
    await first.exited;
    for (const { code, stdout } of await Promise.all(others)) {
      expect({ code, out: new TextDecoder().decode(stdout) }).toEqual({
        code: 0,
        out: `${SUM_OF_SIZES}`,
      });
    }
  }, 60_000);

  mounted(`a full disk is said before the first write and leaves no marker${why}`, async () => {
    const result = await inMount(language, "size=1m,mode=700", "");
    expect(result.code).toBe(106);
    expect(result.err).toContain("bytes and");
    expect(result.err).toContain("SEALIFT_CACHE");
  });

  mounted(
    `a disk that fills while it works leaves no marker, and room heals it${why}`,
    async () => {
      // The free space looks large enough; inodes run out half way.
      const result = await inMount(
        language,
        "size=64m,mode=700,nr_inodes=100",
        "; find $C -name ready | wc -l",
      );
      expect(result.err).toContain("sealift: error: ");
      expect(result.out.trim()).toBe("0");
    },
  );

  mounted(`a noexec file system is named${why}`, async () => {
    const result = await inMount(language, "noexec,mode=700", "");
    expect(result.code).toBe(106);
    expect(result.err).toContain("noexec");
  });

  mounted(`a read-only cache is named${why}`, async () => {
    const result = await inMount(language, "ro,mode=700", "");
    expect(result.code).toBe(106);
    expect(result.err).toContain("SEALIFT_CACHE");
  });

  mounted(`a warm start works on a read-only cache${why}`, async () => {
    const cache = fresh(language, "readonly");
    await expectGood(language, cache);
    const script = `mount --bind ${cache} ${cache} && mount -o remount,ro,bind ${cache} && exec ${file(language)}`;
    const { code, stdout } = await run(["unshare", "-m", "sh", "-c", script], { env: env(cache) });
    expect({ code, out: new TextDecoder().decode(stdout) }).toEqual({
      code: 0,
      out: `${SUM_OF_SIZES}`,
    });
  });
});

function size(i: number): number {
  return 1000 + ((i * 7919) % 60_000);
}

function file(language: StubLanguage): string {
  return join(folder, `${language}.psp`);
}

function env(cache: string): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: folder, SEALIFT_CACHE: cache };
}

function fresh(language: StubLanguage, name: string): string {
  return join(folder, `cache-${language}-${name}`);
}

/** A tree of a few hundred files and a program that adds up their sizes: anything missing or short shows. */
async function pack(language: StubLanguage): Promise<void> {
  const launcher = await embeddedLauncher(language, hostPlatform());
  const tree = join(folder, "tree");
  mkdirSync(join(tree, "d"), { recursive: true });
  const entries = Array.from({ length: FILES }, (_, i) => {
    const bytes = new Uint8Array(size(i)).map((_, at) => (at * 31 + i) & 255);
    return {
      path: `d/f${String(i).padStart(4, "0")}`,
      type: "file" as const,
      mode: 0o644,
      size: bytes.length,
      source: { bytes },
    };
  });
  const program = `#!/bin/sh\ncat "$SEALIFT_WORKENV"/tree/d/* | wc -c | tr -d ' \\n'\n`;
  const [os, arch] = hostPlatform().split("_") as [string, string];
  await writePackage(file(language), {
    launcher: { bytes: launcher.bytes, tool: launcher.tool, toolVersion: launcher.toolVersion },
    manifest: {
      package: { name: "faults", version: "1" },
      execution: { argv: ["{workenv}/bin/sum"] },
    },
    slots: [
      {
        id: "sum",
        source: "sum",
        target: "bin/sum",
        operations: [],
        permissions: "0755",
        content: { kind: "bytes", bytes: new TextEncoder().encode(program) },
      },
      {
        id: "tree",
        source: "tree",
        target: "tree",
        operations: parseOperations("tar|zstd"),
        content: {
          kind: "tree",
          entries: [{ path: "d", type: "directory", mode: 0o755, size: 0 }, ...entries],
        },
      },
    ],
    signer: signerFromSeed("faults"),
    profile: "sealed",
    epoch: 315532800,
    platform: { os, arch },
  });
}

async function expectGood(language: StubLanguage, cache: string): Promise<void> {
  const { code, stdout, stderr } = await run([file(language)], { env: env(cache) });
  const result = {
    code,
    out: new TextDecoder().decode(stdout),
    err: new TextDecoder().decode(stderr),
  };
  expect(result).toEqual({ code: 0, out: `${SUM_OF_SIZES}`, err: "" });
  expect(readdirSync(join(cache, "workenv")).length).toBe(1);
}

async function inMount(language: StubLanguage, options: string, after: string) {
  const cache = fresh(language, options.replaceAll(/\W/g, "-"));
  mkdirSync(cache, { mode: 0o700 });
  const script = `C=${cache}; mount -t tmpfs -o ${options} tmpfs $C && { ${file(language)}; code=$?; true ${after}; exit $code; }`;
  const { code, stdout, stderr } = await run(["unshare", "-m", "sh", "-c", script], {
    env: env(cache),
  });
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}
