/**
 * The walk through a lock that only says who requires whom: from the project's own requirements to every package that the target
 * needs. A name may stand in a lock several times, for different Pythons and systems; the version is taken that every
 * requirement on the way agrees with. Circles are fine.
 */
import { compare } from "@renovatebot/pep440";

import type { FormatError } from "../../base/mod.ts";
import { evaluateMarker } from "../pep/marker.ts";
import { satisfiesPython } from "../pep/specifier.ts";
import { lockError, type LockTarget } from "./locked.ts";

export interface LockRequirement {
  /** Normalised. */
  name: string;
  /** Normalised. */
  extras: string[];
  /** PEP 440 specifiers of which one must fit; empty when any version does. */
  specifiers: string[];
  /** Environment marker; `extra` in it means the extras that the requiring package is asked for. */
  marker?: string;
  /** Counts only when an extra of the requiring package names it. */
  optional?: boolean;
}

export interface LockNode {
  name: string;
  version: string;
  requiresPython?: string;
  requirements: LockRequirement[];
  /** Extra → names of its requirements. */
  extras: Map<string, string[]>;
}

/** Rounds after which the choice of versions must stand still; each settles one name at least in any lock that a tool wrote. */
const MAX_ROUNDS = 100;

/** The nodes that `roots` lead to, in the order of the lock. `LOCK_INCOMPLETE` names who requires what. */
export function neededNodes<T extends LockNode>(
  nodes: T[],
  roots: LockRequirement[],
  target: LockTarget,
  lock: string,
): T[] {
  const byName = new Map<string, T[]>();
  for (const node of nodes) byName.set(node.name, [...(byName.get(node.name) ?? []), node]);
  let chosen = new Map<string, T>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { next, problem } = walk({ byName, chosen, target, lock }, roots);
    if (sameChoice(chosen, next)) {
      if (problem !== undefined) throw problem;
      return nodes.filter((node) => next.get(node.name) === node);
    }
    chosen = next;
  }
  throw lockError(
    lock,
    "LOCK_AMBIGUOUS",
    "its packages stand there in versions that exclude each other",
  );
}

interface Walk<T> {
  byName: Map<string, T[]>;
  /** Of the round before. */
  chosen: Map<string, T>;
  target: LockTarget;
  lock: string;
}

/**
 * One round: everything that the versions chosen before lead to, and the version of each that now fits. A problem may come from a
 * version that a later round gives up.
 */
function walk<T extends LockNode>(
  context: Walk<T>,
  roots: LockRequirement[],
): { next: Map<string, T>; problem?: FormatError } {
  let problem: FormatError | undefined;
  const candidates = new Map<string, T[]>();
  const done = new Set<string>();
  const queue = roots
    .filter((item) => applies(item, [], context))
    .map((item) => ({ item, by: "the project" }));
  for (const { item, by } of queue) {
    const before = candidates.get(item.name) ?? usable(item.name, context);
    const fitting = before.filter((node) => fits(node.version, item.specifiers));
    if (fitting.length === 0) {
      problem ??= incomplete(item, by, before, context.lock);
      continue;
    }
    candidates.set(item.name, fitting);
    const node = context.chosen.get(item.name) ?? best(fitting);
    for (const extra of ["", ...item.extras]) {
      const key = `${item.name}[${extra}]`;
      if (done.has(key)) continue;
      done.add(key);
      queue.push(...followers(node, extra, context).map((next) => ({ item: next, by: node.name })));
    }
  }
  const next = new Map([...candidates].map(([name, list]) => [name, best(list)]));
  return problem === undefined ? { next } : { next, problem };
}

/** What `node` requires, without an extra or on behalf of one. */
function followers<T extends LockNode>(
  node: T,
  extra: string,
  context: Walk<T>,
): LockRequirement[] {
  const named = extra === "" ? [] : (node.extras.get(extra) ?? []);
  return node.requirements.filter(
    (item) =>
      (item.optional !== true || named.includes(item.name)) &&
      applies(item, extra === "" ? [] : [extra], context),
  );
}

function applies<T>(item: LockRequirement, extras: string[], { target, lock }: Walk<T>): boolean {
  if (item.marker === undefined) return true;
  return evaluateMarker(item.marker, { ...target.markers, extras }, lock);
}

/** Those that are for this Python; when none is, all of them, and the wheel says so later. */
function usable<T extends LockNode>(name: string, context: Walk<T>): T[] {
  const all = context.byName.get(name) ?? [];
  const { pythonVersion } = context.target;
  const fit = all.filter((node) => satisfiesPython(pythonVersion, node.requiresPython ?? ""));
  return fit.length > 0 ? fit : all;
}

export function fits(version: string, specifiers: string[]): boolean {
  return (
    specifiers.length === 0 || specifiers.some((specifier) => satisfiesPython(version, specifier))
  );
}

function best<T extends LockNode>(nodes: T[]): T {
  return nodes.toSorted((a, b) => compare(b.version, a.version))[0] as T;
}

function sameChoice<T>(a: Map<string, T>, b: Map<string, T>): boolean {
  return a.size === b.size && [...a].every(([name, node]) => b.get(name) === node);
}

function incomplete(item: LockRequirement, by: string, there: LockNode[], lock: string) {
  const wanted = `${item.name} ${item.specifiers.join(" or ")}`.trim();
  const versions = there.map((node) => node.version).join(", ");
  const what = versions === "" ? "is not in it" : `is there only as ${versions}`;
  return lockError(lock, "LOCK_INCOMPLETE", `${by} requires ${wanted}, which ${what}`);
}
