/** `inspect --deps`, `--tree` and `--why`: the distributions of a package and what requires them, for the package's own target. */
import { FormatError, quoted, suggest } from "../../base/mod.ts";
import { openPackage, type Package } from "../../pspf/mod.ts";
import {
  dependencyGraph,
  type Edge,
  type Graph,
  type MarkerEnvironment,
  markerEnvironment,
  normaliseName,
  pathsTo,
  requirementText,
} from "../../python/mod.ts";
import { readContents } from "./contents.ts";
import { findDistributions, isDistributionText, type PackedDistribution } from "./distributions.ts";

interface Described {
  name: string;
  version: string;
  license?: string;
  /** Id of the slot that holds it. */
  slot: string;
}

export interface ReportedDistribution extends Described {
  /** Version of the Python it is installed for, where that can be told. */
  python?: string;
  files: number;
  unpacked: number;
  /** Its estimated share of the compressed slot. */
  stored: number;
  /** A tree begins here. */
  root: boolean;
  /** It is the application, not one of its dependencies. */
  own: boolean;
  /** Extras that something asks for. */
  extras: string[];
  requires: ReportedRequirement[];
  requiredBy: { name: string; requirement: string; extra?: string }[];
}

export interface ReportedRequirement {
  name: string;
  /** `requests[socks]>=2.22`. */
  requirement: string;
  marker?: string;
  /** Extra of the requiring distribution that asks for it. */
  extra?: string;
  /** Place in the list of distributions; absent when it is not in the package. */
  index?: number;
  /** Whether the version in the package is one that was asked for. */
  fits: boolean;
}

export interface DependencyReport {
  /** `linux_amd64`; empty when the package does not say. */
  platform: string;
  distributions: ReportedDistribution[];
  /** Copies inside other distributions: they are there, but nobody requires them. */
  vendored: (Described & { inside: string })[];
  /** What could not be understood, or is not met. */
  problems: string[];
}

export interface Step {
  name: string;
  version: string;
  /** What the one before asks for; absent for the root. */
  requirement?: string;
  extra?: string;
}

export interface WhyReport {
  name: string;
  version: string;
  /** From a root to the distribution, the shortest first. */
  paths: Step[][];
  /** There are other ways. */
  more: boolean;
}

/** A package as its distributions; kept to answer several questions. */
interface Installation {
  platform: string;
  /** As the nodes of `graph`. */
  distributions: PackedDistribution[];
  vendored: PackedDistribution[];
  graph: Graph;
}

/**
 * Reads the `.dist-info` folders inside the slots. A package without any has no distributions; that is no error.
 * @param why names a distribution to explain. @throws FormatError `DISTRIBUTION_UNKNOWN`
 */
export async function dependencyReport(
  path: string,
  why?: string,
): Promise<{ report: DependencyReport; why?: WhyReport }> {
  const pkg = await openPackage(path);
  try {
    const installation = await readInstallation(pkg);
    return {
      report: describe(installation),
      ...(why !== undefined && { why: explain(installation, why) }),
    };
  } finally {
    await pkg.close();
  }
}

async function readInstallation(pkg: Package): Promise<Installation> {
  const found = findDistributions(pkg, await readContents(pkg, isDistributionText));
  const distributions = found.filter((one) => one.vendoredBy === undefined);
  const nodes = distributions.map(({ distribution, slot, python }) => ({
    distribution,
    ...(python !== undefined && { python }),
    isOwn: slot.purpose === "code",
  }));
  const { build } = pkg.metadata;
  const platform = build === undefined ? "" : `${build.os}_${build.arch}`;
  return {
    platform,
    distributions,
    vendored: found.filter((one) => one.vendoredBy !== undefined),
    graph: dependencyGraph(nodes, targetEnvironment(pkg, platform)),
  };
}

/** What `platform.machine()` says on each target. */
const MACHINES: Record<string, string> = {
  linux_amd64: "x86_64",
  linux_arm64: "aarch64",
  darwin_amd64: "x86_64",
  darwin_arm64: "arm64",
  windows_amd64: "AMD64",
  windows_arm64: "ARM64",
};

/** The interpreter's slot is named after its version; else the version is that of the folders, without a patch level. */
function targetEnvironment(
  pkg: Package,
  platform: string,
): (python: string | undefined) => MarkerEnvironment {
  const versions = pkg.slots
    .map((slot) => /^python-(\d+\.\d+\.\d+\S*)$/.exec(slot.metadata.source)?.[1])
    .filter((version) => version !== undefined);
  const [os = "linux"] = platform.split("_");
  return (python) => {
    const full = versions.find((one) => python === undefined || one.startsWith(`${python}.`));
    const version = full ?? `${python ?? "3"}.0`;
    const [major = 3, minor = 0] = version.split(".").map(Number);
    return markerEnvironment({
      version,
      minor: [major, minor],
      platform: os === "windows" ? "win32" : os,
      machine: MACHINES[platform] ?? "",
    });
  };
}

function describe({ platform, distributions, vendored, graph }: Installation): DependencyReport {
  const into = Map.groupBy(graph.edges.flat(), ({ to }) => to);
  return {
    platform,
    distributions: distributions.map((one, i) => ({
      ...head(one),
      ...(one.python !== undefined && { python: one.python }),
      files: one.files.length,
      unpacked: one.files.reduce((sum, file) => sum + file.unpacked, 0),
      stored: one.files.reduce((sum, file) => sum + file.stored, 0),
      root: graph.roots.includes(i),
      own: graph.nodes[i]?.isOwn ?? false,
      extras: graph.extras[i] ?? [],
      requires: (graph.edges[i] ?? []).map(requirementOf),
      requiredBy: (into.get(i) ?? []).map((edge) => ({
        name: distributions[edge.from]?.distribution.name ?? "",
        ...asked(edge),
      })),
    })),
    vendored: vendored.map((one) => ({ ...head(one), inside: one.vendoredBy ?? "" })),
    problems: [...graph.problems, ...unmet(graph)],
  };
}

function head({ distribution: { name, version, license }, slot }: PackedDistribution): Described {
  return { name, version, ...(license !== undefined && { license }), slot: slot.id };
}

function requirementOf(edge: Edge): ReportedRequirement {
  const { requirement, to, fits } = edge;
  return {
    name: requirement.name,
    ...asked(edge),
    ...(requirement.marker !== undefined && { marker: requirement.marker }),
    ...(to !== undefined && { index: to }),
    fits,
  };
}

function asked({ requirement, extra }: Edge): { requirement: string; extra?: string } {
  return { requirement: requirementText(requirement), ...(extra !== undefined && { extra }) };
}

function unmet({ edges, nodes }: Graph): string[] {
  return edges.flat().flatMap(({ from, to, requirement, fits }) => {
    if (fits) return [];
    const version = to === undefined ? undefined : nodes[to]?.distribution.version;
    const found = version === undefined ? "it is not in the package" : `the package has ${version}`;
    return [
      `${nodes[from]?.distribution.name} requires ${requirementText(requirement)}, and ${found}`,
    ];
  });
}

const MAX_PATHS = 20;

function explain(installation: Installation, name: string): WhyReport {
  const { nodes } = installation.graph;
  const index = nodes.findIndex(({ distribution }) => distribution.key === normaliseName(name));
  const found = nodes[index]?.distribution;
  if (found === undefined) throw unknown(installation, name);
  const { paths, more } = pathsTo(installation.graph, index, MAX_PATHS);
  const step = (node: number | undefined, edge?: Edge): Step => {
    const of = nodes[node ?? -1]?.distribution;
    const { name = "", version = "" } = of ?? {};
    return { name, version, ...(edge && asked(edge)) };
  };
  return {
    name: found.name,
    version: found.version,
    paths: paths.map((path) => [
      step(path[0]?.from ?? index),
      ...path.map((edge) => step(edge.to, edge)),
    ]),
    more,
  };
}

function unknown({ graph, vendored }: Installation, name: string): FormatError {
  const key = normaliseName(name);
  const copy = vendored.find(({ distribution }) => distribution.key === key);
  const near = suggest(
    key,
    graph.nodes.map(({ distribution }) => distribution.key),
  );
  const other = near === undefined ? "`--deps` lists what there is." : `Did you mean ${near}?`;
  const hint =
    copy === undefined ? other : `${copy.vendoredBy} holds a copy of it, which nobody requires.`;
  const message = `The package holds no Python distribution ${quoted(name)}`;
  return new FormatError("DISTRIBUTION_UNKNOWN", message, { hint, details: { name } });
}
