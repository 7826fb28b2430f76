/** `workenv …`: the work environments and shared slots in the cache. */
import * as v from "valibot";

import { UsageError } from "../../base/mod.ts";
import {
  type Cache,
  compareContents,
  findEnvironment,
  readCache,
  removeEnvironment,
  verifyEnvironment,
  type WorkEnvironment,
} from "../../workenv/mod.ts";
import { command, type CommandContext } from "../command.ts";
import { Removal, removalText } from "../removal.ts";
import { openWithKeys } from "../slot-keys.ts";
import { counted, printable, type View } from "../view.ts";

const State = v.picklist(["ready", "unready", "corrupt"]);

const Environment = v.strictObject({
  id: v.string(),
  path: v.string(),
  state: State,
  /** What is wrong with it, when it is corrupt. */
  problem: v.optional(v.string()),
  name: v.optional(v.string()),
  version: v.optional(v.string()),
  /** SHA-256 of the signed metadata of its package. */
  identity: v.optional(v.string()),
  size: v.number(),
  files: v.number(),
  /** ISO 8601. */
  created: v.optional(v.string()),
  /** Last start, when the file system tells. */
  last_use: v.optional(v.string()),
  /** SHA-256 of the shared slots that it uses. */
  shared: v.array(v.string()),
});

const Shared = v.strictObject({
  sha256: v.string(),
  path: v.string(),
  state: State,
  size: v.number(),
  used_by: v.array(v.string()),
});

const ID = {
  type: "positional",
  valueHint: "ID",
  description: "Its folder name, or the name, name-version or identity of its package",
} as const;

function describe(one: WorkEnvironment): v.InferOutput<typeof Environment> {
  const { id, path, state, problem, name, version, identity, size, files, shared } = one;
  return {
    id,
    path,
    state,
    ...(problem === undefined ? {} : { problem }),
    ...(name === undefined ? {} : { name }),
    ...(version === undefined ? {} : { version }),
    ...(identity === undefined ? {} : { identity }),
    size,
    files,
    ...(one.created === undefined ? {} : { created: new Date(one.created).toISOString() }),
    ...(one.lastUse === undefined ? {} : { last_use: new Date(one.lastUse).toISOString() }),
    shared,
  };
}

function describeShared(cache: Cache): v.InferOutput<typeof Shared>[] {
  return cache.shared.map(({ sha256, path, state, size, usedBy }) => ({
    sha256,
    path,
    state,
    size,
    used_by: usedBy,
  }));
}

export const list = command({
  name: "workenv list",
  description:
    "A work environment is what a package becomes on its first start. Start it again and it is reused.",
  args: {},
  examples: [
    ["sealift workenv list", "Every work environment of this user"],
    ["sealift workenv list --json", "The same for a program"],
  ],
  data: v.strictObject({
    base: v.string(),
    environments: v.array(Environment),
    shared: v.array(Shared),
  }),
  async run(context) {
    const cache = await readCache(context.cacheDir, { sizes: true });
    return {
      base: cache.base,
      environments: cache.environments.map(describe),
      shared: describeShared(cache),
    };
  },
  render: (data, view) => {
    if (data.environments.length === 0) return `No work environments in ${printable(data.base)}`;
    return view.table(
      data.environments.map((one) => [
        stateWord(one.state, view),
        view.size(one.size),
        day(one.last_use ?? one.created),
        printable(one.id),
      ]),
    );
  },
});

function stateWord(state: v.InferOutput<typeof State>, view: View): string {
  return state === "ready" ? view.style.green(state) : view.style.yellow(state);
}

function day(time: string | undefined): string {
  return time?.slice(0, 10) ?? "";
}

export const info = command({
  name: "workenv info",
  args: {},
  examples: [
    ["sealift workenv info", "Where the cache is and how large"],
    ["sealift workenv info --json", "The same for a program"],
  ],
  data: v.strictObject({
    base: v.string(),
    environments: v.number(),
    unready: v.number(),
    environment_bytes: v.number(),
    shared: v.number(),
    unreferenced: v.number(),
    shared_bytes: v.number(),
    /** Folders that were taken out of use and not yet deleted. */
    leftovers: v.array(v.string()),
    /** Paths that no launcher wrote; `clean` leaves them alone. */
    foreign: v.array(v.string()),
  }),
  async run(context) {
    const { base, environments, shared, leftovers, foreign } = await readCache(context.cacheDir, {
      sizes: true,
    });
    const sum = (list: { size: number }[]) => list.reduce((total, { size }) => total + size, 0);
    return {
      base,
      environments: environments.length,
      unready: environments.filter(({ state }) => state !== "ready").length,
      environment_bytes: sum(environments),
      shared: shared.length,
      unreferenced: shared.filter(({ usedBy }) => usedBy.length === 0).length,
      shared_bytes: sum(shared),
      leftovers,
      foreign,
    };
  },
  render: (data, view) =>
    view.table([
      ["base", printable(data.base)],
      [
        "environments",
        `${data.environments} (${data.unready} not ready), ${view.size(data.environment_bytes)}`,
      ],
      [
        "shared slots",
        `${data.shared} (${data.unreferenced} not in use), ${view.size(data.shared_bytes)}`,
      ],
      ...data.leftovers.map((path) => ["left over", printable(path)]),
      ...data.foreign.map((path) => ["not ours", printable(path)]),
    ]),
});

export const inspect = command({
  name: "workenv inspect",
  args: { id: ID },
  examples: [
    ["sealift workenv inspect report", "One work environment"],
    ["sealift workenv inspect report-1.4.0 --json", "The same for a program"],
  ],
  data: v.strictObject({
    ...Environment.entries,
    /** Programs that its commands start. */
    programs: v.array(v.string()),
  }),
  async run(context, args) {
    const cache = await readCache(context.cacheDir, { sizes: true });
    const one = findEnvironment(cache, args.id);
    const entries = one.marker?.ready.entries ?? [];
    const programs = entries.map(({ path }) => Buffer.from(path, "latin1").toString("utf8"));
    return { ...describe(one), programs };
  },
  render: (data, view) =>
    view.table(
      [
        ["package", `${data.name ?? "?"} ${data.version ?? "?"}`],
        ["path", data.path],
        ["state", data.problem ?? data.state],
        ["identity", data.identity ?? "?"],
        ["size", `${view.size(data.size)}, ${counted(data.files, "file")}`],
        ["created", data.created ?? "?"],
        ["last start", data.last_use ?? "not known"],
        ...data.programs.map((path) => ["program", path]),
        ...data.shared.map((sha256) => ["shared slot", sha256]),
      ].map((row) => row.map(printable)),
    ),
});

export const verify = command({
  name: "workenv verify",
  description:
    "Compares kind, size, time and mode of every file with what the launcher recorded; with --package also the content with what the package holds.",
  args: {
    id: { ...ID, required: false, description: `${ID.description}; default: all` },
    package: {
      type: "string",
      valueHint: "FILE",
      description: "Compare contents with this package",
    },
  },
  examples: [
    ["sealift workenv verify", "Every ready work environment"],
    ["sealift workenv verify report --package report.psp", "Every byte of one"],
  ],
  data: v.strictObject({
    base: v.string(),
    environments: v.array(
      v.strictObject({
        id: v.string(),
        ok: v.boolean(),
        checked: v.number(),
        /** Files whose content was compared with the package. */
        compared: v.optional(v.number()),
        /** Files that are there and were not extracted. */
        added: v.number(),
        differences: v.array(v.strictObject({ path: v.string(), problem: v.string() })),
      }),
    ),
  }),
  async run(context, args) {
    if (args.package !== undefined && args.id === undefined) {
      throw new UsageError("ARGUMENT_MISSING", "--package needs the ID of one work environment", {
        hint: "`sealift workenv list` shows them.",
      });
    }
    const cache = await readCache(context.cacheDir);
    const chosen =
      args.id === undefined
        ? cache.environments.filter(({ state }) => state === "ready")
        : [findEnvironment(cache, args.id)];
    const environments = [];
    for (const one of chosen) environments.push(await verifyOne(context, cache, one, args.package));
    return { base: cache.base, environments };
  },
  render: (data, view) =>
    data.environments.length === 0
      ? `No ready work environments in ${printable(data.base)}`
      : data.environments.flatMap((one) => verdictLines(one, view)).join("\n"),
  exit: (data) => (data.environments.every(({ ok }) => ok) ? 0 : 1),
});

async function verifyOne(
  context: CommandContext,
  cache: Cache,
  one: WorkEnvironment,
  file: string | undefined,
) {
  const { ok, ...result } = await verifyEnvironment(cache, one);
  if (file === undefined) return { id: one.id, ok, ...result };
  const pkg = await openWithKeys(context, file);
  try {
    const { compared, differences } = await compareContents(cache, one, pkg);
    const all = [...result.differences];
    for (const difference of differences) {
      if (!all.some(({ path }) => path === difference.path)) all.push(difference);
    }
    return { id: one.id, ...result, ok: all.length === 0, compared, differences: all };
  } finally {
    await pkg.close();
  }
}

interface Verdict {
  id: string;
  ok: boolean;
  checked: number;
  compared?: number | undefined;
  added: number;
  differences: { path: string; problem: string }[];
}

function verdictLines(one: Verdict, view: View): string[] {
  const word = one.ok ? view.style.green("unchanged") : view.style.red("changed");
  const contents = one.compared === undefined ? "" : `, contents of ${one.compared}`;
  const added = one.added === 0 ? "" : `, ${one.added} added since`;
  return [
    `${printable(one.id)}: ${word} (${counted(one.checked, "file")}${contents}${added})`,
    ...one.differences.map(({ path, problem }) => `  ${printable(path)} ${problem}`),
  ];
}

export const remove = command({
  name: "workenv remove",
  description: "The package makes it again on its next start. What runs or is being set up stays.",
  args: { id: { ...ID, repeat: true } },
  examples: [
    ["sealift workenv remove report --yes", "Remove one by its name"],
    ["sealift workenv remove report-1.4.0 --yes", "Remove one version of it"],
  ],
  data: Removal,
  async run(context, args) {
    const base = context.cacheDir;
    const cache = await readCache(base);
    const chosen = [...new Set(args.id.map((id) => findEnvironment(cache, id)))];
    const names = chosen.map(({ id }) => id).join(", ");
    const data: Removal = { base, removed: [], kept: [], dry_run: context.dryRun };
    if (!context.dryRun && !(await context.confirm(`Remove ${names}?`))) return data;
    for (const { path } of chosen) {
      const outcome = await removeEnvironment(base, path, {
        dryRun: context.dryRun,
        env: context.env,
      });
      data.removed.push(...outcome.removed);
      data.kept.push(...outcome.kept);
      for (const warning of outcome.warnings) context.warn(warning);
    }
    return data;
  },
  render: removalText,
  exit: (data) => (data.kept.length > 0 ? 1 : 0),
});
