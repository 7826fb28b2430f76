/** `inspect --deps`, `--tree` and `--why` for people and programs. */
import * as v from "valibot";

import type { DependencyReport } from "../../pack/mod.ts";
import { counted, printable, type View } from "../view.ts";
import { dependencyTree } from "./tree.ts";

const Distribution = v.strictObject({
  name: v.string(),
  version: v.string(),
  license: v.optional(v.string()),
  slot: v.string(),
  /** Version of the Python it is installed for, where that can be told. */
  python: v.optional(v.string()),
  files: v.number(),
  unpacked: v.number(),
  /** Its estimated share of the compressed slot. */
  stored: v.number(),
  /** A tree begins here: it is the application, or nothing in the package requires it. */
  root: v.boolean(),
  own: v.boolean(),
  /** Extras that something asks for. */
  extras: v.array(v.string()),
  requires: v.array(
    v.strictObject({
      name: v.string(),
      /** `requests[socks]>=2.22`. */
      requirement: v.string(),
      marker: v.optional(v.string()),
      /** Extra of this distribution that asks for it. */
      extra: v.optional(v.string()),
      /** Place in the list of distributions; absent when it is not in the package. */
      index: v.optional(v.number()),
      /** Whether the version in the package is one that was asked for. */
      fits: v.boolean(),
    }),
  ),
  required_by: v.array(
    v.strictObject({ name: v.string(), requirement: v.string(), extra: v.optional(v.string()) }),
  ),
});
export type Distribution = v.InferOutput<typeof Distribution>;

export const Dependencies = v.strictObject({
  platform: v.string(),
  distributions: v.array(Distribution),
  /** Copies inside other distributions. */
  vendored: v.array(
    v.strictObject({
      name: v.string(),
      version: v.string(),
      license: v.optional(v.string()),
      slot: v.string(),
      inside: v.string(),
    }),
  ),
  /** What could not be understood, or is not met. */
  problems: v.array(v.string()),
});
export type Dependencies = v.InferOutput<typeof Dependencies>;

export const Why = v.strictObject({
  name: v.string(),
  version: v.string(),
  /** From a root to the distribution. */
  paths: v.array(
    v.array(
      v.strictObject({
        name: v.string(),
        version: v.string(),
        /** What the one before asks for; absent for the root. */
        requirement: v.optional(v.string()),
        extra: v.optional(v.string()),
      }),
    ),
  ),
  /** There are other ways. */
  more: v.boolean(),
});
export type Why = v.InferOutput<typeof Why>;

export function describeDependencies({ distributions, ...report }: DependencyReport): Dependencies {
  return {
    ...report,
    distributions: distributions.map(({ requiredBy, ...one }) => ({
      ...one,
      required_by: requiredBy,
    })),
  };
}

export function renderDependencies(data: Dependencies, shape: "deps" | "tree", view: View): string {
  if (data.distributions.length === 0)
    return "no Python distributions: no slot holds a .dist-info folder";
  const list = shape === "tree" ? dependencyTree(data.distributions, view) : table(data, view);
  const problems = data.problems.map((text) => view.style.yellow(`! ${printable(text)}`));
  return [list, ...problems].join("\n");
}

function table(data: Dependencies, view: View): string {
  const { style } = view;
  const head = ["distribution", "version", "licence", "unpacked", "stored", "why"].map(style.dim);
  const rows = data.distributions.map((one) => [
    style.bold(printable(one.name)),
    printable(one.version),
    printable(one.license ?? "?"),
    view.size(one.unpacked),
    `~${view.size(one.stored)}`,
    printable(reason(one)),
  ]);
  const lines = [view.table([head, ...rows]), counted(rows.length, "distribution")];
  if (data.vendored.length > 0) {
    const copies = data.vendored.map(
      ({ name, version, inside }) => `${name} ${version} in ${inside}`,
    );
    lines.push(style.dim(printable(`copies inside others: ${copies.join(", ")}`)));
  }
  return lines.join("\n");
}

function reason(one: Distribution): string {
  if (one.own) return "the application";
  if (one.required_by.length === 0) return "asked for by the project";
  const by = one.required_by.map(({ name, extra }) =>
    extra === undefined ? name : `${name}[${extra}]`,
  );
  return `required by ${[...new Set(by)].join(", ")}`;
}

export function renderWhy(data: Why, view: View): string {
  const { style } = view;
  const lines = data.paths.map((path) =>
    path
      .map(({ name, version, requirement, extra }, i) => {
        const isLast = i === path.length - 1;
        const asked =
          requirement === undefined
            ? ""
            : style.dim(
                ` (${printable(requirement)}${extra === undefined ? "" : `, extra ${printable(extra)}`})`,
              );
        return `${isLast ? style.bold(printable(name)) : printable(name)} ${printable(version)}${asked}`;
      })
      .join(" → "),
  );
  if (data.more) lines.push(style.dim("and other ways"));
  return lines.join("\n");
}
