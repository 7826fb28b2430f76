/**
 * How a stub is built from source, so that the same source and toolchain give the same bytes anywhere:
 * used by the release build and by `sealift launchers build`, which rebuilds and compares.
 */

import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { EnvironmentError, findProgram, run } from "../base/mod.ts";
import { Sha256, sha256Hex } from "../codec/mod.ts";
import { hostPlatform, type Platform, PLATFORMS } from "./platform.ts";

export type StubLanguage = "rust" | "go";

export interface StubTarget {
  language: StubLanguage;
  platform: Platform;
}

export interface BuiltStub extends StubTarget {
  path: string;
  size: number;
  sha256: string;
  toolchain: string;
}

const RUST_TRIPLES: Partial<Record<Platform, string>> = {
  linux_amd64: "x86_64-unknown-linux-gnu",
  linux_arm64: "aarch64-unknown-linux-gnu",
};

/** What the contract asks for: Go everywhere, Rust on Linux. */
export function allTargets(): StubTarget[] {
  const rust = (Object.keys(RUST_TRIPLES) as Platform[]).map((platform) =>
    target("rust", platform),
  );
  return [...rust, ...PLATFORMS.map((platform) => target("go", platform))];
}

function target(language: StubLanguage, platform: Platform): StubTarget {
  return { language, platform };
}

export function stubName({ language, platform }: StubTarget): string {
  return `${language}-${platform}`;
}

/** SHA-256 over names and contents of everything that goes into a stub of this language. */
export async function sourceDigest(source: string, language: StubLanguage): Promise<string> {
  const root = join(source, "launchers", language);
  const hash = new Sha256();
  for (const path of (await sourceFiles(root)).sort()) {
    const digest = sha256Hex(await readFile(join(root, path)));
    hash.update(new TextEncoder().encode(`${digest}  ${path}\n`));
  }
  return hash.hex();
}

async function sourceFiles(root: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!["target", "tests", "testdata"].includes(entry.name))
        files.push(...(await sourceFiles(root, path)));
    } else if (isStubSource(entry.name)) files.push(path);
  }
  return files;
}

function isStubSource(name: string): boolean {
  if (name.endsWith("_test.go")) return false;
  return /\.(go|rs|toml|lock|mod|sum)$/.test(name);
}

/** Why this machine cannot build the target, or undefined when it can. */
export async function missingFor(stub: StubTarget): Promise<string | undefined> {
  if (stub.language === "go") return findProgram("go") ? undefined : "Go is not installed";
  if (!findProgram("cargo")) return "Rust is not installed";
  if (stub.platform === hostPlatform()) return undefined;
  return (await crossRust(stub.platform))
    ? undefined
    : `no Rust standard library for ${stub.platform} was found`;
}

/** Builds one stub from the checkout at `source` into `outDir`. */
export async function buildStub(
  source: string,
  stub: StubTarget,
  outDir: string,
): Promise<BuiltStub> {
  const reason = await missingFor(stub);
  if (reason)
    throw new EnvironmentError("STUB_TOOLCHAIN", `Cannot build ${stubName(stub)}: ${reason}`, {
      hint: "Install what is missing, or choose with --lang and --platform.",
    });
  const folder = join(source, "launchers", stub.language);
  if (!existsSync(folder)) {
    throw new EnvironmentError("STUB_SOURCE", `${folder} does not exist`, {
      hint: "Name a checkout of sealift with --source",
    });
  }
  const path = join(outDir, stubName(stub) + (stub.platform.startsWith("windows") ? ".exe" : ""));
  await mkdir(dirname(path), { recursive: true });
  const toolchain =
    stub.language === "go"
      ? await buildGo(folder, stub, path)
      : await buildRust(folder, stub, path);
  const bytes = await readFile(path);
  return { ...stub, path, size: bytes.length, sha256: sha256Hex(bytes), toolchain };
}

async function buildGo(folder: string, { platform }: StubTarget, path: string): Promise<string> {
  const [os, arch] = platform.split("_") as [string, string];
  const env = {
    ...process.env,
    GOOS: os,
    GOARCH: arch,
    CGO_ENABLED: "0",
    GOFLAGS: "",
    GOTOOLCHAIN: "local",
  };
  const flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="];
  await must(["go", "build", ...flags, "-o", path, "."], folder, env);
  return (await must(["go", "env", "GOVERSION"], folder, env)).trim();
}

async function buildRust(folder: string, { platform }: StubTarget, path: string): Promise<string> {
  const triple = RUST_TRIPLES[platform] as string;
  const cross = platform === hostPlatform() ? {} : await crossRust(platform);
  const cargoHome = process.env.CARGO_HOME ?? join(process.env.HOME ?? "", ".cargo");
  // Paths of this machine must not reach the binary: panic messages hold file names.
  const remap = [
    `--remap-path-prefix=${folder}=launcher`,
    `--remap-path-prefix=${cargoHome}=cargo`,
  ];
  const env: Record<string, string | undefined> = {
    ...process.env,
    ...cross,
    CARGO_ENCODED_RUSTFLAGS: ["-Ctarget-feature=+crt-static", ...remap].join("\x1f"),
    // zstd: the sequence decoder for windows beyond 16 MiB and the second Huffman decoder are 60 KB and no measurable gain here.
    CFLAGS: `-DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT=1 -DHUF_FORCE_DECOMPRESS_X1=1 -ffile-prefix-map=${cargoHome}=cargo -ffile-prefix-map=${folder}=launcher`,
    SOURCE_DATE_EPOCH: "315532800",
    LC_ALL: "C",
  };
  await must(["cargo", "build", "--release", "--locked", "--target", triple], folder, env);
  await copyFile(join(folder, "target", triple, "release", "sealift-launcher"), path);
  const rustc = await must([env.RUSTC ?? "rustc", "--version"], folder, env);
  const cc = await must(
    [env[`CC_${triple.replaceAll("-", "_")}`] ?? "cc", "--version"],
    folder,
    env,
  );
  return `${rustc.trim()}; ${cc.split("\n")[0]?.trim()}`;
}

/** Environment for a foreign Rust target, when its compiler, linker and standard library are installed (Debian's packages). */
async function crossRust(platform: Platform): Promise<Record<string, string> | undefined> {
  if (platform !== "linux_arm64") return undefined;
  const rustc = "/usr/bin/rustc";
  const linker = findProgram("aarch64-linux-gnu-gcc");
  if (!linker || !existsSync(rustc)) return undefined;
  const { code, stdout } = await run([
    rustc,
    "--print",
    "target-libdir",
    "--target",
    RUST_TRIPLES[platform] as string,
  ]);
  if (code !== 0 || !existsSync(new TextDecoder().decode(stdout).trim())) return undefined;
  return {
    RUSTC: rustc,
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: linker,
    CC_aarch64_unknown_linux_gnu: linker,
  };
}

async function must(
  argv: string[],
  cwd: string,
  env: Record<string, string | undefined>,
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, {
    cwd,
    env: defined(env),
    timeoutMs: 1_200_000,
  });
  if (code === 0) return new TextDecoder().decode(stdout);
  const tail = new TextDecoder().decode(stderr).trim().split("\n").slice(-20).join("\n");
  throw new EnvironmentError("STUB_BUILD", `\`${argv.join(" ")}\` failed in ${cwd}:\n${tail}`, {
    hint: "Use the compilers that `sealift launchers info` names, on unchanged sources.",
  });
}

function defined(env: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
