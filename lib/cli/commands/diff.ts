import * as v from "valibot";

import { COMPARED_GROUPS, comparePackages, type Comparison } from "../../pack/mod.ts";
import { command } from "../command.ts";
import { printable, type View } from "../view.ts";

const Side = v.strictObject({
  file: v.string(),
  name: v.string(),
  version: v.string(),
  identity: v.string(),
  size: v.number(),
});

/** `from` is absent for what was added, `to` for what was removed. */
function changes<S extends v.GenericSchema>(of: S) {
  return v.exactOptional(
    v.array(
      v.strictObject({ name: v.string(), from: v.exactOptional(of), to: v.exactOptional(of) }),
    ),
  );
}

const Slot = v.strictObject({
  stored: v.number(),
  original: v.exactOptional(v.number()),
  operations: v.string(),
  target: v.string(),
  lifecycle: v.string(),
  share: v.boolean(),
  checksum: v.exactOptional(v.string()),
});

const Data = v.strictObject({
  equal: v.boolean(),
  from: Side,
  to: Side,
  /** What was asked for; an empty list says that nothing changed there. */
  groups: v.strictObject({
    package: changes(v.string()),
    commands: changes(v.string()),
    environment: changes(v.string()),
    runtime: changes(v.string()),
    dependencies: changes(v.string()),
    slots: changes(Slot),
    /** `SLOT/PATH` and bytes. */
    files: changes(v.number()),
    launcher: changes(v.string()),
    signers: changes(v.string()),
  }),
});
type Data = v.InferOutput<typeof Data>;

/** Longer lists are cut for people, unless `--verbose`. */
const SHOWN = 20;

export default command({
  name: "diff",
  description:
    "Slots with the same SHA-256 are not read; of the others every file is compared. " +
    "Exit code 0: the same package, signed by the same keys; 1: they differ; as `diff` does it.",
  args: {
    a: { type: "positional", valueHint: "A", description: "The one package" },
    b: { type: "positional", valueHint: "B", description: "The other" },
    only: {
      type: "enum",
      repeat: true,
      options: COMPARED_GROUPS,
      valueHint: "GROUP",
      description: "Only this part; without dependencies and files no slot is read",
    },
  },
  examples: [
    ["sealift diff app.psp app-2.psp", "What changed; exit code 1 because something did"],
    ["sealift diff app.psp app-2.psp --only dependencies --json", "One part, for a program"],
    ["sealift diff app.psp report.psp", "Exit code 0: the same package"],
  ],
  data: Data,
  run: async (context, args) =>
    await comparePackages(context, args.a, args.b, args.only.length > 0 ? args.only : undefined),
  render,
  exit: (data) => (data.equal ? 0 : 1),
});

function render(data: Data, view: View): string {
  const { from, to } = data;
  const { style } = view;
  const title = (side: Data["from"]) => style.bold(printable(`${side.name} ${side.version}`));
  if (data.equal) return `${title(from)}: the same package, signed by the same keys`;
  const parts = COMPARED_GROUPS.flatMap((group) => {
    const list = data.groups[group] ?? [];
    return list.length === 0 ? [] : [renderGroup(group, list, view)];
  });
  const sizes = `${view.size(from.size)} → ${view.size(to.size)}`;
  const nothing = parts.length === 0 ? ["nothing else differs in what was compared"] : [];
  return [`${title(from)} → ${title(to)}  ${sizes}`, ...parts, ...nothing].join("\n\n");
}

type Groups = Required<Comparison["groups"]>;
type Listed = Groups[keyof Groups][number];

function renderGroup(group: keyof Groups, list: readonly Listed[], view: View): string {
  const { style } = view;
  const count = (is: (change: Listed) => boolean, word: string) => {
    const n = list.filter(is).length;
    return n === 0 ? [] : [`${n.toLocaleString("en-US")} ${word}`];
  };
  const counts = [
    ...count(({ from, to }) => from !== undefined && to !== undefined, "changed"),
    ...count(({ from }) => from === undefined, "added"),
    ...count(({ to }) => to === undefined, "removed"),
  ].join(", ");
  const shown = view.verbose ? list : list.slice(0, SHOWN);
  const rows = shown.map((change) => row(change, group, view));
  const rest = list.length - shown.length;
  return [
    `${style.bold(group)}  ${style.dim(counts)}`,
    view.table(rows),
    ...(rest > 0 ? [style.dim(`  and ${rest.toLocaleString("en-US")} more: see --verbose`)] : []),
  ].join("\n");
}

function row({ name, from, to }: Listed, group: keyof Groups, view: View): string[] {
  const { style } = view;
  const text = (value: Listed["from"]) => (value === undefined ? "" : short(value, group, view));
  const shown = printable(name);
  if (from === undefined) return [style.green("  +"), shown, text(to)];
  if (to === undefined) return [style.red("  -"), shown, text(from)];
  if (typeof from === "object" && typeof to === "object") {
    return [style.yellow("  ~"), shown, slotChange(from, to, view)];
  }
  const [a, b] = [text(from), text(to)];
  return [style.yellow("  ~"), shown, a === b ? `${a}, other content` : `${a} → ${b}`];
}

function short(value: NonNullable<Listed["from"]>, group: keyof Groups, view: View): string {
  if (typeof value === "number") return view.size(value);
  if (typeof value === "object") return `${value.operations}, ${view.size(value.stored)}`;
  if (group === "signers") return "";
  return printable(value.length > 100 ? `${value.slice(0, 99)}…` : value);
}

/** Only what differs; bytes always do when something else does not. */
function slotChange(
  from: v.InferOutput<typeof Slot>,
  to: v.InferOutput<typeof Slot>,
  view: View,
): string {
  const parts = (["operations", "target", "lifecycle", "share"] as const)
    .filter((key) => from[key] !== to[key])
    .map((key) => `${key} ${printable(String(from[key]))} → ${printable(String(to[key]))}`);
  if (from.stored !== to.stored)
    parts.unshift(`${view.size(from.stored)} → ${view.size(to.stored)}`);
  else if (from.checksum !== to.checksum) parts.unshift(`${view.size(to.stored)}, other content`);
  return parts.join(", ");
}
