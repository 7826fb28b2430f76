import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";

import * as v from "valibot";

import { EnvironmentError, UsageError } from "../../base/mod.ts";
import {
  allTargets,
  buildStub,
  embeddedLauncher,
  hostPlatform,
  launcherVersion,
  listLaunchers,
  missingFor,
  parsePlatform,
  stubName,
  testLaunchers,
} from "../../launcher/mod.ts";
import { cleanToolFolders } from "../../workenv/mod.ts";
import { command } from "../command.ts";
import { Removal, removalText, removeAfterAsking } from "../removal.ts";

const Stub = v.strictObject({
  name: v.string(),
  language: v.picklist(["rust", "go"]),
  platform: v.string(),
  size: v.number(),
  sha256: v.string(),
  toolchain: v.string(),
  source: v.string(),
});

export const list = command({
  name: "launchers list",
  description: "A launcher is the small native program in front of every package.",
  args: {},
  examples: [
    ["sealift launchers list", "Every launcher inside this program"],
    ["sealift launchers list --json", "The same with digests, for a program"],
  ],
  data: v.strictObject({ version: v.string(), host: v.string(), launchers: v.array(Stub) }),
  run: async () => ({ version: launcherVersion, host: hostPlatform(), launchers: listLaunchers() }),
  render: (data, view) =>
    view.table(
      data.launchers.map((stub) => [
        view.style.bold(stub.name),
        view.size(stub.size),
        stub.sha256.slice(0, 16),
        stub.platform === data.host ? "this system" : "",
      ]),
    ),
});

export const info = command({
  name: "launchers info",
  args: {
    name: {
      type: "positional",
      valueHint: "NAME",
      description: "A launcher, such as rust-linux_amd64",
    },
  },
  examples: [
    ["sealift launchers info go-linux_amd64", "Size, digest, compiler"],
    ["sealift launchers info go-linux_amd64 --json", "The same for a program"],
  ],
  data: Stub,
  run: async (_context, args) => {
    const stub = listLaunchers().find(({ name }) => name === args.name);
    if (stub === undefined) throw unknownLauncher(args.name);
    await embeddedLauncher(stub.language, stub.platform as ReturnType<typeof hostPlatform>); // checks its digest
    return stub;
  },
  render: (stub, view) =>
    view.table([
      ["name", stub.name],
      ["version", launcherVersion],
      ["size", view.size(stub.size)],
      ["sha256", stub.sha256],
      ["compiler", stub.toolchain],
      ["source", stub.source],
    ]),
});

export const test = command({
  name: "launchers test",
  description:
    "Runs the conformance cases of the launcher contract on the launchers inside this program.",
  args: {
    lang: {
      type: "enum",
      options: ["rust", "go"],
      valueHint: "LANG",
      description: "Only this one",
    },
    platform: {
      type: "string",
      valueHint: "PLATFORM",
      description: "Default: this system; others need an emulator",
    },
    filter: {
      type: "string",
      valueHint: "TEXT",
      description: "Only the group of that name, or cases whose name holds it",
    },
  },
  examples: [
    ["sealift launchers test --filter trust", "The cases of one group"],
    ["sealift launchers test --lang rust --filter 'exit code 42'", "One case on one launcher"],
  ],
  data: v.strictObject({
    launchers: v.array(
      v.strictObject({
        launcher: v.string(),
        passed: v.number(),
        failed: v.number(),
        skipped: v.number(),
        failures: v.array(
          v.strictObject({
            group: v.string(),
            name: v.string(),
            writer: v.string(),
            ok: v.boolean(),
            problems: v.array(v.string()),
          }),
        ),
      }),
    ),
  }),
  run: async (context, args) => {
    const launchers = await testLaunchers(
      {
        ...(args.lang === undefined ? {} : { language: args.lang }),
        ...(args.platform === undefined ? {} : { platform: parsePlatform(args.platform) }),
        ...(args.filter === undefined ? {} : { filter: args.filter }),
      },
      context.progress,
    );
    if (launchers.every(({ passed, failed }) => passed + failed === 0)) {
      throw new EnvironmentError("CONFORMANCE_EMPTY", "No conformance case could be run", {
        hint: "Check --lang, --platform and --filter; a foreign platform needs its emulator on PATH.",
      });
    }
    return { launchers };
  },
  render: (data, view) =>
    data.launchers
      .flatMap((stub) => [
        ...stub.failures.map(({ group, name, writer, problems }) =>
          [view.style.red(`${stub.launcher} ${group}: ${name} (${writer})`), ...problems].join(
            "\n  ",
          ),
        ),
        `${view.style.bold(stub.launcher)}: ${stub.passed} passed, ${stub.failed} failed, ${stub.skipped} for other systems`,
      ])
      .join("\n"),
  exit: (data) => (data.launchers.every(({ failed }) => failed === 0) ? 0 : 1),
});

export const build = command({
  name: "launchers build",
  description:
    "Builds launchers from a source checkout and compares them with those inside this program, so that anyone can prove where these came from. Needs Go or Rust.",
  args: {
    source: {
      type: "string",
      default: ".",
      valueHint: "DIR",
      description: "A checkout of sealift",
    },
    lang: {
      type: "enum",
      options: ["rust", "go"],
      valueHint: "LANG",
      description: "Only this language",
    },
    platform: {
      type: "string",
      repeat: true,
      valueHint: "PLATFORM",
      description: "Only these; default: this system",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "DIR",
      description: "Where to put them; default: launchers in the cache folder",
    },
  },
  examples: [
    ["sealift launchers build --lang go -o build/stubs", "Build the Go launcher of this system"],
    [
      "sealift launchers build --lang go --platform darwin_arm64 -o build/stubs",
      "Build one for another system",
    ],
  ],
  data: v.strictObject({
    launchers: v.array(
      v.strictObject({
        name: v.string(),
        path: v.string(),
        size: v.number(),
        sha256: v.string(),
        toolchain: v.string(),
        /** Whether these are the bytes inside this program; null when none is inside. */
        identical: v.nullable(v.boolean()),
      }),
    ),
    left_out: v.array(v.strictObject({ name: v.string(), reason: v.string() })),
  }),
  run: async (context, args) => {
    const wanted = args.platform.length > 0 ? args.platform.map(parsePlatform) : [hostPlatform()];
    const outDir = resolve(args.output ?? join(context.cacheDir, "launchers"));
    const targets = allTargets().filter(
      ({ language, platform }) => wanted.includes(platform) && (args.lang ?? language) === language,
    );
    const launchers = [];
    const leftOut = [];
    if (!context.dryRun) await mkdir(outDir, { recursive: true });
    for (const target of targets) {
      const name = stubName(target);
      const reason = context.dryRun ? "a dry run builds nothing" : await missingFor(target);
      if (reason !== undefined) {
        leftOut.push({ name, reason });
        continue;
      }
      context.progress.step(`Building ${name}`);
      const { path, size, sha256, toolchain } = await buildStub(
        resolve(args.source),
        target,
        outDir,
      );
      const embedded = listLaunchers().find((stub) => stub.name === name);
      launchers.push({
        name,
        path,
        size,
        sha256,
        toolchain,
        identical: embedded ? embedded.sha256 === sha256 : null,
      });
    }
    if (launchers.length === 0 && !context.dryRun) {
      throw new EnvironmentError("STUB_TOOLCHAIN", "No launcher could be built", {
        hint: leftOut.map(({ name, reason }) => `${name}: ${reason}`).join("; "),
      });
    }
    return { launchers, left_out: leftOut };
  },
  render: (data, view) =>
    view.table([
      ...data.launchers.map(({ name, path, size, identical }) => [
        view.style.bold(name),
        view.size(size),
        identical === null
          ? "not embedded"
          : identical
            ? "identical to the embedded one"
            : "differs from the embedded one",
        path,
      ]),
      ...data.left_out.map(({ name, reason }) => [name, "", "left out", reason]),
    ]),
});

export const clean = command({
  name: "launchers clean",
  description: "Removes launchers that were built or unpacked into the cache folder.",
  args: {},
  examples: [
    ["sealift launchers clean --dry-run", "Say what would go"],
    ["sealift launchers clean --yes", "Remove it"],
  ],
  data: Removal,
  run: async (context) => {
    const base = context.cacheDir;
    return await removeAfterAsking(context, base, async (dryRun) => {
      const folders = await cleanToolFolders(base, { only: "launchers", dryRun });
      const removed = folders.map(({ path, size, kind }) => ({ path, size, reason: kind }));
      return { removed, kept: [], warnings: [] };
    });
  },
  render: removalText,
});

function unknownLauncher(name: string): UsageError {
  return new UsageError("LAUNCHER_MISSING", `There is no launcher ${name} in this program`, {
    hint: `Launchers: ${listLaunchers()
      .map((stub) => stub.name)
      .join(", ")}`,
  });
}
