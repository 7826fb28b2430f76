/** Dependencies as a tree: each distribution is unfolded once, where it is first met; later ones only point there. */
import { printable, type View } from "../view.ts";
import type { Distribution } from "./dependencies.ts";

type Requirement = Distribution["requires"][number];

interface Branch {
  requirement?: Requirement;
  index: number | undefined;
  /** What stands before the children of this branch. */
  indent: string;
  mark: string;
  /** Distributions from the root to here, itself left out. */
  above: number[];
}

/** Deeper than any sound graph; what is below is cut off. */
const MAX_DEPTH = 200;

export function dependencyTree(distributions: Distribution[], view: View): string {
  const { style } = view;
  const seen = new Set<number>();
  const lines: string[] = [];
  let isRepeated = false;
  const roots = distributions.flatMap(({ root }, index) => (root ? [index] : []));
  const waiting: Branch[] = roots
    .map((index) => ({ index, indent: "", mark: "", above: [] }))
    .reverse();
  for (let branch = waiting.pop(); branch !== undefined; branch = waiting.pop()) {
    const { index, requirement, mark, indent, above } = branch;
    const one = index === undefined ? undefined : distributions[index];
    const children = index === undefined || one === undefined ? [] : one.requires;
    const isCycle = index !== undefined && above.includes(index);
    const isKnown = index !== undefined && seen.has(index) && children.length > 0;
    const note = isCycle ? style.yellow(" ↺ cycle") : isKnown ? style.dim(" *") : "";
    isRepeated ||= isKnown && !isCycle;
    lines.push(style.dim(mark) + label(one, requirement, view) + note);
    if (index === undefined || isKnown || isCycle || above.length >= MAX_DEPTH) continue;
    seen.add(index);
    waiting.push(...branchesOf(children, indent, [...above, index]).reverse());
  }
  if (isRepeated) lines.push(style.dim("* unfolded where it first stands"));
  return lines.join("\n");
}

function branchesOf(children: Requirement[], indent: string, above: number[]): Branch[] {
  return children.map((requirement, i) => {
    const isLast = i === children.length - 1;
    return {
      requirement,
      index: requirement.index,
      mark: `${indent}${isLast ? "└── " : "├── "}`,
      indent: `${indent}${isLast ? "    " : "│   "}`,
      above,
    };
  });
}

function label(
  one: Distribution | undefined,
  requirement: Requirement | undefined,
  view: View,
): string {
  const { style } = view;
  if (requirement === undefined)
    return `${style.bold(printable(one?.name ?? ""))} ${printable(one?.version ?? "")}`;
  const asked = requirement.requirement.replace(/^[a-z0-9-]+/, "");
  const extra = requirement.extra === undefined ? "" : `, extra ${requirement.extra}`;
  const why = style.dim(printable(` (${asked === "" ? "any" : asked}${extra})`));
  if (one === undefined) return `${style.red(printable(`${requirement.name}: missing`))}${why}`;
  const unfit = requirement.fits ? "" : style.red(" does not fit");
  return `${printable(one.name)} ${printable(one.version)}${why}${unfit}`;
}
