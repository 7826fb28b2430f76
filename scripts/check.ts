/**
 * Everything that can be checked without running the program: format, types, the rules of the house, generated docs, and the
 * formatters of Go and Rust where they are installed. Error lines end with what to do.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { findProgram } from "../lib/base/mod.ts";
import {
  cargoDependencies,
  checkDependencies,
  checkLockFile,
  checkSources,
  goDependencies,
  npmDependencies,
  type Problem,
  type SourceFile,
} from "./rules.ts";

const ROOT = join(import.meta.dir, "..");
const BUN = process.execPath;
const FILES = await sources();

let failed = false;

await step("format", format);
await step("types", () => command([BUN, "check", "--no-script"], "see above"));
await step("rules", rules);
if (existsSync(join(ROOT, "scripts", "docs.ts"))) {
  await step("docs", () => command([BUN, "scripts/docs.ts", "--check"], "npm run docs"));
}
if (findProgram("gofmt") !== undefined && existsSync(join(ROOT, "launchers", "go", "go.mod"))) {
  await step("gofmt", goFormat);
  await step("go vet", () => command(["go", "vet", "./..."], "see above", "launchers/go"));
}
if (
  findProgram("rustfmt") !== undefined &&
  existsSync(join(ROOT, "launchers", "rust", "Cargo.toml"))
) {
  await step("cargo fmt", () =>
    command(["cargo", "fmt", "--check"], "cargo fmt", "launchers/rust"),
  );
}
if (failed) process.exitCode = 1;

async function step(name: string, action: () => Promise<string[]>): Promise<void> {
  const problems = await action();
  if (problems.length > 0) failed = true;
  console.log(`${problems.length === 0 ? "✓" : "✗"} ${name}`);
  for (const problem of problems) console.log(problem);
}

/** The output of a command that failed, with what cures it. */
async function command(argv: string[], cure: string, folder = "."): Promise<string[]> {
  const { code, text } = await capture(argv, folder);
  return code === 0 ? [] : [text.trimEnd(), `  cure: ${cure}`];
}

async function format(): Promise<string[]> {
  const paths = FILES.map(({ path }) => path).filter((path) => /\.(?:ts|mjs)$/.test(path));
  return await command([BUN, "fmt", "--check", ...paths], "bun fmt main.ts lib scripts test");
}

async function goFormat(): Promise<string[]> {
  const { code, text } = await capture(["gofmt", "-l", "."], "launchers/go");
  return code === 0 && text.trim() === "" ? [] : [text.trimEnd(), "  cure: gofmt -w launchers/go"];
}

async function capture(argv: string[], folder: string): Promise<{ code: number; text: string }> {
  const child = Bun.spawn(argv, {
    cwd: join(ROOT, folder),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, text: out + err };
}

async function rules(): Promise<string[]> {
  const lock = await readFile(join(ROOT, "package-lock.json"), "utf8");
  const problems: Problem[] = [
    ...checkSources(FILES),
    ...checkLockFile("package-lock.json", lock),
    ...(await dependencies()),
  ];
  return problems.map(
    ({ path, line, message }) => `  ${path}${line === undefined ? "" : `:${line}`}: ${message}`,
  );
}

async function dependencies(): Promise<Problem[]> {
  const read = (path: string) => readFile(join(ROOT, path), "utf8");
  const all = {
    ...npmDependencies(await read("package.json")),
    ...cargoDependencies(await read("launchers/rust/Cargo.toml")),
    ...cargoDependencies(await read("launchers/rust/gcm/Cargo.toml")),
    ...goDependencies(await read("launchers/go/go.mod")),
  };
  return checkDependencies(all, await read("docs/explanation/dependencies.md"));
}

async function sources(): Promise<SourceFile[]> {
  const patterns = [
    "main.ts",
    "{lib,scripts,test}/**/*.{ts,mjs,sh}",
    "launchers/{go,rust}/**/*.{go,rs}",
  ];
  const files: SourceFile[] = [];
  for (const pattern of patterns) {
    for await (const path of new Bun.Glob(pattern).scan({ cwd: ROOT })) {
      if (path.includes("/target/")) continue;
      files.push({ path, text: await readFile(join(ROOT, path), "utf8") });
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}
