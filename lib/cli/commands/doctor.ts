import * as v from "valibot";

import { command } from "../command.ts";
import { examine } from "../doctor.ts";
import { printable } from "../view.ts";

const MARKS = { ok: "green", warn: "yellow", fail: "red" } as const;

export default command({
  name: "doctor",
  description:
    "Looks at the cache, the trust store, keys, the launchers and the programs that some commands need. Changes nothing. Exit code 1 when a check fails.",
  args: {},
  examples: [
    ["sealift doctor", "Check this machine"],
    ["sealift doctor --json", "The same for a program"],
  ],
  data: v.strictObject({
    checks: v.array(
      v.strictObject({
        check: v.string(),
        status: v.picklist(["ok", "warn", "fail"]),
        detail: v.string(),
        hint: v.optional(v.string()),
      }),
    ),
    warnings: v.number(),
    failures: v.number(),
  }),
  async run(context) {
    const checks = await examine(context);
    const count = (wanted: string) => checks.filter(({ status }) => status === wanted).length;
    return { checks, warnings: count("warn"), failures: count("fail") };
  },
  render: (data, view) => {
    const rows = data.checks.map(({ check, status, detail }) => [
      view.style[MARKS[status]](status),
      check,
      printable(detail),
    ]);
    const hints = data.checks.flatMap(({ check, hint }) =>
      hint === undefined ? [] : [`${check}: ${printable(hint)}`],
    );
    return [view.table(rows), ...(hints.length > 0 ? ["", ...hints] : [])].join("\n");
  },
  exit: (data) => (data.failures > 0 ? 1 : 0),
});
