/**
 * Every test there is: TypeScript, Rust, Go. The last line is `N passed, N failed, N skipped`; the exit code is not zero when
 * one failed, a runner crashed, or nothing ran.
 *
 *   bun scripts/test.ts [PATH…]     only tests under these paths (`test/pspf`, `launchers/go`)
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { findProgram } from "../lib/base/mod.ts";
import { needPackages } from "../test/support/debian.ts";
import { freshBinary } from "./binary.ts";
import { closingLine, type Counts, noTests, readCargo, readGo, readJunit, sum } from "./summary.ts";

const ROOT = join(import.meta.dir, "..");
const REPORT = join(ROOT, "build", "test", "junit.xml");

/** What the Rust launcher for the other Linux needs beside the host's Rust. */
const ARM64_PACKAGES = [
  "rustc-web",
  "libstd-rust-web-dev:arm64",
  "gcc-aarch64-linux-gnu",
  "libc6-dev-arm64-cross",
];

const filters = process.argv.slice(2);
if (filters.length === 0) await provideArm64Launcher();
const results: Counts[] = [];
if (wanted("test"))
  results.push(await typescript(filters.filter((path) => !path.startsWith("launchers"))));
if (wanted("launchers/rust")) results.push(await rust());
if (wanted("launchers/go")) results.push(await go());

const all = sum(results);
if (all.skips.length > 0)
  console.log(`\nSkipped:\n${all.skips.map((name) => `  ${name}`).join("\n")}`);
if (all.failures.length > 0)
  console.log(`\nFailed:\n${all.failures.map((name) => `  ${name}`).join("\n")}`);
if (all.passed + all.failed === 0) console.log("\nNo test ran: check the paths");
console.log(`\n${closingLine(all)}`);
if (all.failed > 0 || all.passed === 0) process.exitCode = 1;

/** Whether a part takes part: always without filters; TypeScript for every filter that names nothing of the launchers. */
function wanted(part: "test" | "launchers/rust" | "launchers/go"): boolean {
  if (filters.length === 0) return true;
  if (part === "test") return filters.some((path) => !path.startsWith("launchers"));
  return filters.some((path) => path.startsWith(part) || path.replace(/\/$/, "") === "launchers");
}

/** The journeys and the pages of the documentation run `dist/sealift`. */
function needsBinary(): boolean {
  return (
    filters.length === 0 ||
    filters.some((path) => /^(?:\.\/)?test(?:\/?$|\/(?:e2e|docs))/.test(path))
  );
}

async function binary(): Promise<Counts> {
  console.log("── dist/sealift");
  try {
    await freshBinary();
    return noTests();
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    return { ...noTests(), failed: 1, failures: ["dist/sealift cannot be compiled"] };
  }
}

/** Builds the Rust launcher for arm64 where Debian's packages make it possible; its cases then run under qemu-user. */
async function provideArm64Launcher(): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64") return;
  if (process.getuid?.() === 0) await run(["dpkg", "--add-architecture", "arm64"], ROOT);
  const reason = await needPackages(ARM64_PACKAGES);
  if (reason !== true) console.log(`The Rust launcher for linux_arm64 is left out: ${reason}`);
  const { code } = await show([process.execPath, "scripts/launchers.ts"], ROOT);
  if (code !== 0) throw new Error(`scripts/launchers.ts ended with exit code ${code}`);
}

async function typescript(paths: string[]): Promise<Counts> {
  console.log("── TypeScript: bun test");
  await mkdir(join(REPORT, ".."), { recursive: true });
  await rm(REPORT, { force: true });
  const reporter = ["--reporter=junit", `--reporter-outfile=${REPORT}`];
  const { code } = await show([process.execPath, "test", ...reporter, ...paths], ROOT);
  const counts = existsSync(REPORT) ? readJunit(await readFile(REPORT, "utf8")) : noTests();
  return withExitCode(counts, code, "bun test");
}

async function rust(): Promise<Counts> {
  const folder = join(ROOT, "launchers", "rust");
  if (!existsSync(join(folder, "Cargo.toml"))) return noTests();
  if (findProgram("cargo") === undefined)
    return skipped("rust: all tests (cargo is not installed)");
  console.log("── Rust: cargo test");
  const { code, text } = await show(
    ["cargo", "test", "--locked", "--quiet", "--", "--format=pretty"],
    folder,
  );
  return withExitCode(readCargo(text), code, "cargo test");
}

async function go(): Promise<Counts> {
  const folder = join(ROOT, "launchers", "go");
  if (!existsSync(join(folder, "go.mod"))) return noTests();
  if (findProgram("go") === undefined) return skipped("go: all tests (Go is not installed)");
  console.log("── Go: go test");
  const { code, text } = await run(["go", "test", "-json", "./..."], folder);
  const counts = withExitCode(readGo(text), code, "go test");
  if (counts.failed > 0) console.log(goOutput(text));
  return counts;
}

/** A runner that fails without a failed test (it crashed, the code does not compile) counts as one failure. */
function withExitCode(counts: Counts, code: number, runner: string): Counts {
  if (code === 0 || counts.failed > 0) return counts;
  return { ...counts, failed: 1, failures: [`${runner} ended with exit code ${code}`] };
}

function skipped(reason: string): Counts {
  return { ...noTests(), skipped: 1, skips: [reason] };
}

/** What the tests of a failed run printed. */
function goOutput(events: string): string {
  return events
    .split("\n")
    .filter((line) => line !== "")
    .map((line) =>
      line.startsWith("{") ? ((JSON.parse(line) as { Output?: string }).Output ?? "") : `${line}\n`,
    )
    .join("");
}

/** Runs and shows what it prints as it comes. */
async function show(argv: string[], cwd: string): Promise<{ code: number; text: string }> {
  return await run(argv, cwd, (text) => process.stdout.write(text));
}

async function run(
  argv: string[],
  cwd: string,
  onText: (text: string) => void = () => undefined,
): Promise<{ code: number; text: string }> {
  const child = Bun.spawn(argv, { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const parts: string[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      parts.push(text);
      onText(text);
    }
  };
  await Promise.all([collect(child.stdout), collect(child.stderr)]);
  return { code: await child.exited, text: parts.join("") };
}
