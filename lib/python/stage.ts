/**
 * A Python project as slots that are ready to run: `runtime` and `site` (shared by all applications of a machine) and `app`; for each further
 * Python of its entries the same once more (`runtime-3.9`, `site-3.9`, `app-3.9`). Everything happens here, at pack time: resolution,
 * download, unpacking, bytecode, the relocatable interpreter. How the slots find each other on the target stands in start.ts.
 */
import { type Context, FormatError } from "../base/mod.ts";
import { sha256Hex, type TreeEntry } from "../codec/mod.ts";
import { type Application, stageApplication } from "./application/application.ts";
import { type PythonReport, reportOf } from "./application/report.ts";
import { commandsOf, defaultCommand, testEntry } from "./commands.ts";
import { indexSettings, type PythonContext } from "./index/index-settings.ts";
import { buildEnvironment } from "./prepare/prepare.ts";
import type { IndexWishes } from "./project/index-keys.ts";
import type { PythonProject } from "./project/project.ts";
import type { PythonSource } from "./project/python-table.ts";
import { withWishes } from "./project/wishes.ts";
import { choosePython, type PythonChoice } from "./runtime/choose.ts";
import { type Place, placeOf, startCommand } from "./runtime/start.ts";
import { layoutOf, ownPlatform } from "./runtime/target.ts";
import { ownScripts, scriptCommands } from "./scripts.ts";
import type { StagedWheel } from "./wheel/site.ts";

export type { PythonReport } from "./application/report.ts";

export interface PythonOptions {
  /** `linux_amd64` and so on: what the package is for. */
  platform: string;
  /** `--python`: a version, a program, or an archive. */
  python?: string | undefined;
  /** `--python-source`, before the manifest's. */
  source?: PythonSource | undefined;
  /** Only what a lock says. */
  frozen?: boolean | undefined;
  /** Beside those that the project names itself. */
  extras?: string[] | undefined;
  groups?: string[] | undefined;
  /** Of the command line: where packages come from. */
  index?: IndexWishes | undefined;
  /** Existing empty folder for this run, removed by the caller. */
  scratch: string;
  /** Nothing but caches and `scratch` is written. */
  dryRun?: boolean | undefined;
  /** The manifest says itself what starts (`execution.argv`), so the project needs no command. */
  hasProgram?: boolean | undefined;
}

/** A slot without its compression, which the packer chooses; its operations begin with `tar`. */
export interface StagedPythonSlot {
  /** `runtime`, `site` and `app`; of a further Python with its version: `runtime-3.9`. */
  id: string;
  source: string;
  target: string;
  purpose: string;
  lifecycle: string;
  permissions: string;
  platform: string;
  share: boolean;
  content: { kind: "tree"; entries: TreeEntry[] };
}

export interface StagedPython {
  /** From the built wheel when the manifest leaves it open. */
  version: string;
  /** As the built wheel says it. */
  license?: string;
  slots: StagedPythonSlot[];
  execution: { argv: string[]; entries: Record<string, string[]> };
  /** To be joined with the project's own rules. */
  runtime: { env: { unset: string[] } };
  /** Runs once, at first start. */
  setup: { type: "execute"; command: string[] }[];
  report: PythonReport;
}

/** Variables of the machine that would change which code runs; a project passes the ones that it wants. */
const UNSET = ["PYTHON*", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"];

/**
 * Stages the project. Errors: `EnvironmentError` `PYTHON_…`, `FormatError` `RESOLVE`, `WHEEL_…`, `ENTRY_…`, `SITE_COLLISION`,
 * `NetworkError`, `CheckError` for wrong digests. Nothing but caches and `scratch` is written.
 */
export async function stagePython(
  machine: Context,
  given: PythonProject,
  options: PythonOptions,
): Promise<StagedPython> {
  const project = withWishes(given, options);
  const outer = { ...machine, env: buildEnvironment(project, options.platform, machine.env) };
  const wishes = [options.index ?? {}, project.build.index] as const;
  const index = indexSettings(...wishes, project.root, outer.env);
  const ctx: PythonContext = { ...outer, index };
  const asked = { ...options, hostPlatform: ownPlatform() };
  const choice = await choosePython(ctx, project, asked);
  const groups = furtherPythons(project, choice);
  const first = await stageApplication(ctx, project, choice, {
    ...options,
    place: placeOf(""),
    commands: (own) => mainCommands(project, own, groups, options.hasProgram === true),
  });
  const applications = [{ place: placeOf(""), application: first }];
  for (const [version, commands] of groups) {
    const by = `entries.${[...commands.keys()][0]}.python`;
    const further = await choosePython(ctx, project, { ...asked, further: { version, by } });
    const place = placeOf(version);
    const staging = { ...options, place, commands: () => commands };
    const application = await stageApplication(ctx, project, further, staging);
    applications.push({ place, application });
  }
  return joined(project, applications, options.platform, ctx);
}

/** Version → commands of the entries that ask for a Python other than the first. */
function furtherPythons(
  project: PythonProject,
  { target }: PythonChoice,
): Map<string, Map<string, string>> {
  const groups = new Map<string, Map<string, string>>();
  for (const [name, { reference, python }] of Object.entries(project.entries)) {
    if (python === undefined || `${target.version}.`.startsWith(`${python}.`)) continue;
    const group = groups.get(python) ?? new Map<string, string>();
    groups.set(python, group.set(name, reference));
  }
  return groups;
}

/** Everything that is started by the first Python. */
function mainCommands(
  project: PythonProject,
  own: StagedWheel | undefined,
  groups: Map<string, Map<string, string>>,
  hasProgram: boolean,
): Map<string, string> {
  const others = new Set([...groups.values()].flatMap((commands) => [...commands.keys()]));
  // What another Python starts is no command of this one, also when it is the same function.
  const entries = Object.entries(project.entries).filter(([name]) => !others.has(name));
  const commands = commandsOf({ ...project, entries: Object.fromEntries(entries) }, own);
  for (const name of others) commands.delete(name);
  if (commands.size > 0 || hasProgram || ownScripts(own).length > 0) return commands;
  const [why, hint] =
    others.size > 0
      ? [
          "every command has its own Python",
          "Leave python out of one entry: it is started by the package's first Python.",
        ]
      : ["names no command", whatToAdd(project)];
  const details = { file: project.manifest };
  throw new FormatError("ENTRY_MISSING", `${project.manifest}: ${why}`, { hint, details });
}

function whatToAdd({ wheel }: PythonProject): string {
  return wheel === undefined
    ? 'Add entry_point = "module:function" to [tool.sealift], or a line to [project.scripts].'
    : 'Pack a pyproject.toml that depends on it and has entry_point = "module:function" in [tool.sealift].';
}

interface Placed {
  place: Place;
  application: Application;
}

function joined(
  project: PythonProject,
  placed: Placed[],
  platform: string,
  ctx: PythonContext,
): StagedPython {
  const applications = placed.map(({ application }) => application);
  const [head] = placed as [Placed, ...Placed[]];
  const { application: first } = head;
  const { own } = first.collected;
  const scripts = scriptCommands(first, head.place, project.runtime);
  const main = defaultCommand(project, first.commands, Object.keys(scripts));
  const windows = new Set([
    ...Object.keys(project.guiScripts),
    ...Object.keys(own?.guiScripts ?? {}),
  ]);
  const start = ({ place, application }: Placed, name: string) =>
    startCommand(place, layoutOf(application.choice.target), name, {
      ...project.runtime,
      windowed: windows.has(name),
    });
  const entries = placed.flatMap((item) =>
    [...item.application.commands.keys()].map((name): [string, string[]] => [
      name,
      // A package is called by its own name and then starts its default command, also when a script has that name.
      start(item, name === project.packageName && item === head ? main : name),
    ]),
  );
  const argv = scripts[main] ?? start(head, main);
  return {
    version: own?.version ?? project.version ?? "0",
    ...(own?.license !== undefined && { license: own.license }),
    slots: placed.flatMap((item) => slotsOf(item, platform)),
    execution: {
      argv,
      entries: {
        ...scripts,
        ...Object.fromEntries(entries),
        ...testEntry(project, first.commands, argv[0] ?? "", first.collected.resolution.wheels),
      },
    },
    runtime: { env: { unset: UNSET } },
    setup: applications.map(({ setup }) => ({ type: "execute", command: setup })),
    report: reportOf(applications, dependencyHash(applications), ctx.env),
  };
}

/** Of one Python the digest of its dependencies as it is, of several the digest of the digests. */
function dependencyHash(applications: Application[]): string {
  const digests = applications.map(({ collected }) => collected.resolution.hash);
  const [first = ""] = digests;
  return digests.length === 1 ? first : sha256Hex(new TextEncoder().encode(digests.join("\n")));
}

function slotsOf({ place, application }: Placed, platform: string): StagedPythonSlot[] {
  const { trees, choice } = application;
  const slot = (
    id: string,
    source: string,
    target: string,
    { purpose, entries }: { purpose: string; entries: TreeEntry[] },
  ): StagedPythonSlot => ({
    id,
    source,
    target,
    purpose,
    lifecycle: "runtime",
    permissions: "0755",
    platform,
    share: id !== place.app,
    content: { kind: "tree", entries },
  });
  const { runtime, site, app } = place;
  const python = `python-${choice.target.version}`;
  return [
    slot(runtime, python, runtime, { purpose: "runtime", entries: trees.runtime }),
    slot(site, "dependencies", site, { purpose: "library", entries: trees.site }),
    slot(app, ".", place.folder, { purpose: "code", entries: trees.app }),
  ];
}
