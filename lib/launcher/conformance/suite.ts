/** The whole suite over stubs: every case × every writer it names × every stub this machine can start. */

import { availableParallelism } from "node:os";

import { findProgram, type Progress } from "../../base/mod.ts";
import { embeddedLauncher, type Launcher, listLaunchers } from "../embedded.ts";
import { hostPlatform, type Platform } from "../platform.ts";
import type { StubLanguage } from "../recipe.ts";
import { type Case } from "./case.ts";
import { caseGroups } from "./cases.ts";
import { type CaseResult, runCase } from "./runner.ts";

export interface SuiteOptions {
  language?: StubLanguage;
  platform?: Platform;
  /** Only cases whose group or name contains this text. */
  filter?: string;
}

export interface StubResult {
  launcher: string;
  passed: number;
  failed: number;
  /** Cases that mean another system. */
  skipped: number;
  failures: (CaseResult & { group: string })[];
}

/** Words to put in front of a stub of another architecture; undefined when this machine cannot start it. */
export function starterFor(platform: Platform): string[] | undefined {
  if (platform === hostPlatform()) return [];
  const emulator =
    platform === "linux_arm64" && process.platform === "linux"
      ? findProgram("qemu-aarch64-static")
      : undefined;
  return emulator ? [emulator] : undefined;
}

/** Runs the suite on every embedded stub that fits the options and can be started here. */
export async function testLaunchers(
  options: SuiteOptions,
  progress: Progress,
): Promise<StubResult[]> {
  const results: StubResult[] = [];
  for (const { language, platform, name } of listLaunchers()) {
    const prefix = starterFor(platform);
    if (prefix === undefined || (options.language && options.language !== language)) continue;
    if (options.platform ? options.platform !== platform : platform !== hostPlatform()) continue;
    results.push(
      await testLauncher(
        name,
        await embeddedLauncher(language, platform),
        prefix,
        options,
        progress,
      ),
    );
  }
  return results;
}

async function testLauncher(
  name: string,
  launcher: Launcher,
  prefix: string[],
  options: SuiteOptions,
  progress: Progress,
): Promise<StubResult> {
  const result: StubResult = { launcher: name, passed: 0, failed: 0, skipped: 0, failures: [] };
  const os = launcher.platform.split("_")[0] as string;
  const jobs = selectCases(options.filter).flatMap(({ group, test }) => {
    if (test.on.includes(os)) return test.writers.map((writer) => ({ group, test, writer }));
    result.skipped += test.writers.length;
    return [];
  });
  const task = progress.task(`Testing ${name}`, jobs.length);
  await eachOf(jobs, availableParallelism() + 1, async ({ group, test, writer }) => {
    const outcome = await runCase(test, writer, launcher, prefix);
    if (outcome.ok) result.passed++;
    else {
      result.failed++;
      result.failures.push({ ...outcome, group });
    }
    task.advance(1);
  });
  task.done();
  result.failures.sort((a, b) => (`${a.group} ${a.name}` < `${b.group} ${b.name}` ? -1 : 1));
  return result;
}

function selectCases(filter: string | undefined): { group: string; test: Case }[] {
  const all = caseGroups().flatMap(({ name, cases }) =>
    cases.map((test) => ({ group: name, test })),
  );
  return filter === undefined
    ? all
    : all.filter(({ group, test }) => group === filter || test.name.includes(filter));
}

async function eachOf<T>(
  items: T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
