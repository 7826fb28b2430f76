/** What the signed metadata of a package says, as names and texts that can be compared. */
import { quoteWords } from "../../base/mod.ts";
import { formatOperations, type Package, type PackageSlot } from "../../pspf/mod.ts";
import { keyFingerprint } from "../../trust/mod.ts";

type Facts = Map<string, string>;

export interface PackageFacts {
  package: Facts;
  commands: Facts;
  environment: Facts;
  runtime: Facts;
  launcher: Facts;
  signers: Facts;
}

export function factsOf(pkg: Package): PackageFacts {
  return {
    package: packageFacts(pkg),
    commands: commandFacts(pkg),
    environment: environmentFacts(pkg),
    runtime: runtimeFacts(pkg),
    launcher: launcherFacts(pkg),
    signers: new Map(pkg.signers.map((key) => [keyFingerprint(key), "signed"])),
  };
}

function packageFacts({ metadata }: Package): Facts {
  const { name, version, description } = metadata.package;
  const { build } = metadata;
  return facts({
    name,
    version,
    description,
    platform: build && `${build.os}_${build.arch}`,
    "packed by": build && `${build.tool} ${build.tool_version}`,
  });
}

function commandFacts({ metadata }: Package): Facts {
  const { argv, command, entries } = metadata.execution;
  const found = facts({ "(default)": argv === undefined ? command : quoteWords(argv) });
  for (const [name, words] of Object.entries(entries)) found.set(name, quoteWords(words));
  metadata.setup_commands.forEach((step, i) => found.set(`setup ${i + 1}`, JSON.stringify(step)));
  return found;
}

function environmentFacts({ metadata }: Package): Facts {
  const found: Facts = new Map();
  const { pass, unset, map, set } = metadata.runtime.env;
  for (const name of pass) found.set(`pass ${name}`, "yes");
  for (const name of unset) found.set(`unset ${name}`, "yes");
  for (const [name, other] of Object.entries(map)) found.set(`map ${name}`, other);
  for (const [name, value] of Object.entries(set)) found.set(`set ${name}`, value);
  for (const [name, value] of Object.entries(metadata.workenv.env)) found.set(`set ${name}`, value);
  for (const [name, value] of Object.entries(metadata.execution.env)) found.set(name, value);
  for (const { path, mode } of metadata.workenv.directories)
    found.set(path, `folder ${mode ?? ""}`);
  return found;
}

/** A Python application names the slot of its interpreter after the version. */
function runtimeFacts({ slots }: Package): Facts {
  const pythons = slots.flatMap(({ id, metadata }) => {
    const version = /^python-(\d+\.\d+\S*)$/.exec(metadata.source)?.[1];
    return version === undefined ? [] : [{ id, version }];
  });
  const isOnly = pythons.length === 1;
  return new Map(pythons.map(({ id, version }) => [isOnly ? "python" : `python (${id})`, version]));
}

function launcherFacts({ metadata, layout }: Package): Facts {
  const { launcher } = metadata;
  return facts({
    tool: launcher && `${launcher.tool} ${launcher.tool_version}`,
    size: String(layout.launcher.end - layout.launcher.start),
    "SHA-256": launcher?.checksum,
  });
}

function facts(from: Record<string, string | undefined>): Facts {
  return new Map(
    Object.entries(from).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

export interface SlotFacts {
  stored: number;
  /** Absent where the writer did not promise it. */
  original?: number;
  operations: string;
  target: string;
  lifecycle: string;
  share: boolean;
  checksum?: string;
}

export function slotFacts(slot: PackageSlot): SlotFacts {
  const { originalSize: original, target, lifecycle, share, checksum } = slot;
  return {
    stored: slot.size,
    ...(original !== undefined && { original }),
    operations: formatOperations(slot.operations),
    target,
    lifecycle,
    share,
    ...(checksum !== undefined && { checksum }),
  };
}
