/**
 * Why each installed distribution is there: who requires it, through which extra, for one target. Markers are evaluated for
 * that target, extras (PEP 508) travel along the requirements until nothing new is asked for, cycles are allowed.
 */
import { FormatError } from "../../base/mod.ts";
import { evaluateMarker, type MarkerEnvironment } from "../pep/marker.ts";
import { normaliseName } from "../pep/names.ts";
import { fitsRequirement, type Requirement, requirementText } from "../pep/requirement.ts";
import type { Distribution } from "./distribution.ts";

export interface Installed {
  distribution: Distribution;
  /** Version of the Python that it is installed for, such as `3.12`; absent when that cannot be told. */
  python?: string;
  /** The application itself, not one of its dependencies. */
  isOwn: boolean;
}

export interface Edge {
  /** Node that requires. */
  from: number;
  /** Node that is required; absent when it is not installed. */
  to?: number;
  requirement: Requirement;
  /** Extra of `from` that asks for it. */
  extra?: string;
  /** Whether the installed version is one that was asked for. */
  fits: boolean;
}

export interface Graph {
  nodes: Installed[];
  /** Edges of each node, in the order of its metadata. */
  edges: Edge[][];
  /** Extras of each node that something asks for, sorted. */
  extras: string[][];
  /** Where trees begin: the application, then what nothing else requires. */
  roots: number[];
  /** What could not be understood. */
  problems: string[];
}

/** @param environmentOf the target's marker environment for a Python such as `3.12`, or for the only one */
export function dependencyGraph(
  nodes: Installed[],
  environmentOf: (python: string | undefined) => MarkerEnvironment,
): Graph {
  const builder = new GraphBuilder(nodes, environmentOf);
  const { edges, extras } = builder.build();
  return { nodes, edges, extras, roots: rootsOf(nodes, edges), problems: builder.problems };
}

class GraphBuilder {
  readonly problems: string[] = [];
  readonly #byName = new Map<string, number[]>();
  readonly #extras: Set<string>[];

  constructor(
    private readonly nodes: Installed[],
    private readonly environmentOf: (python: string | undefined) => MarkerEnvironment,
  ) {
    this.#extras = nodes.map(() => new Set());
    for (const [i, { distribution }] of nodes.entries()) {
      this.#byName.set(distribution.key, [...(this.#byName.get(distribution.key) ?? []), i]);
      for (const line of distribution.unread)
        this.problems.push(
          `${distribution.name}: Requires-Dist ${JSON.stringify(line.slice(0, 200))}`,
        );
    }
  }

  build(): { edges: Edge[][]; extras: string[][] } {
    const edges: Edge[][] = this.nodes.map(() => []);
    const waiting = new Set(this.nodes.keys());
    for (const i of waiting) {
      waiting.delete(i);
      edges[i] = this.#edgesOf(i);
      for (const { to, requirement } of edges[i]) {
        if (to !== undefined && this.#ask(to, requirement.extras)) waiting.add(to);
      }
    }
    return { edges, extras: this.#extras.map((names) => [...names].sort()) };
  }

  /** @returns whether one of them is new */
  #ask(node: number, extras: string[]): boolean {
    const known = this.#extras[node] as Set<string>;
    const before = known.size;
    for (const extra of extras) known.add(extra);
    return known.size > before;
  }

  #edgesOf(from: number): Edge[] {
    const { distribution, python } = this.nodes[from] as Installed;
    const edges: Edge[] = [];
    for (const requirement of distribution.requires) {
      const why = this.#applies(from, requirement);
      if (why === undefined) continue;
      const to = this.#find(requirement.name, python);
      const version = to === undefined ? "" : (this.nodes[to] as Installed).distribution.version;
      edges.push({
        from,
        ...(to !== undefined && { to }),
        requirement,
        ...(why !== "" && { extra: why }),
        fits: to !== undefined && fitsRequirement(version, requirement),
      });
    }
    return edges;
  }

  /** The extra that asks for it, `""` when it is always required, `undefined` when it is not. */
  #applies(from: number, { marker, ...requirement }: Requirement): string | undefined {
    if (marker === undefined) return "";
    const { distribution, python } = this.nodes[from] as Installed;
    const environment = this.environmentOf(python);
    const where = `${distribution.name}: ${requirementText(requirement)}`;
    const holds = (extras: string[]) => evaluateMarker(marker, { ...environment, extras }, where);
    try {
      if (holds([])) return "";
      for (const extra of this.#extras[from] as Set<string>) {
        // Markers name extras as their author spelled them.
        const spelled = distribution.extras.filter((name) => normaliseName(name) === extra);
        if (holds([extra, ...spelled])) return extra;
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (!this.problems.includes(error.message)) this.problems.push(error.message);
    }
    return undefined;
  }

  /** The one beside it when there are several, because a package may hold more than one Python. */
  #find(name: string, python: string | undefined): number | undefined {
    const candidates = this.#byName.get(name) ?? [];
    return candidates.find((i) => this.nodes[i]?.python === python) ?? candidates[0];
  }
}

function rootsOf(nodes: Installed[], edges: Edge[][]): number[] {
  const required = new Set(
    edges.flatMap((list) => list.flatMap(({ from, to }) => (to === from ? [] : (to ?? [])))),
  );
  const order = [...nodes.keys()].sort((a, b) => compareNodes(nodes[a], nodes[b]));
  const roots = order.filter((i) => nodes[i]?.isOwn || !required.has(i));
  // Distributions that require each other and nothing else leads to.
  const reached = reachable(roots, edges);
  for (const i of order) {
    if (reached.has(i)) continue;
    roots.push(i);
    for (const one of reachable([i], edges)) reached.add(one);
  }
  return roots;
}

function compareNodes(a: Installed | undefined, b: Installed | undefined): number {
  const own = Number(b?.isOwn ?? false) - Number(a?.isOwn ?? false);
  const [x, y] = [a?.distribution.key ?? "", b?.distribution.key ?? ""];
  return own !== 0 ? own : x < y ? -1 : x > y ? 1 : 0;
}

function reachable(from: readonly number[], edges: Edge[][]): Set<number> {
  const seen = new Set(from);
  for (const i of seen) {
    for (const { to } of edges[i] ?? []) if (to !== undefined) seen.add(to);
  }
  return seen;
}

const MAX_STEPS = 50_000;

/**
 * Ways from a root to `target`, the shortest first, as edges; a root itself has one way without edges. `more` says that
 * there are others: their number grows exponentially with the depth of a graph.
 */
export function pathsTo(
  { roots, edges }: Graph,
  target: number,
  max: number,
): { paths: Edge[][]; more: boolean } {
  const into = new Map<number, Edge[]>();
  for (const edge of edges.flat()) {
    if (edge.to !== undefined) into.set(edge.to, [...(into.get(edge.to) ?? []), edge]);
  }
  const paths: Edge[][] = [];
  const queue: { head: number; path: Edge[] }[] = [{ head: target, path: [] }];
  for (let step = 0; step < queue.length; step++) {
    const { head, path } = queue[step] as { head: number; path: Edge[] };
    if (roots.includes(head)) {
      if (paths.length === max) return { paths, more: true };
      paths.push(path);
    }
    for (const edge of into.get(head) ?? []) {
      const isKnown = edge.from === target || path.some((one) => one.from === edge.from);
      if (isKnown) continue;
      if (queue.length >= MAX_STEPS) return { paths, more: true };
      queue.push({ head: edge.from, path: [edge, ...path] });
    }
  }
  return { paths, more: false };
}
