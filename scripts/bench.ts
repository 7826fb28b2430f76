/**
 * Measures sealift side by side with its peers in one run and writes `docs/reference/benchmarks.md`.
 *
 *   npm run bench [-- --only ID]... [--json] [--list]
 */

import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";

import { Bench, type Figure, type Row, ROWS } from "./bench/rows.ts";

const ROOT = join(import.meta.dir, "..");
const flags = process.argv.slice(2);
const only = flags.flatMap((flag, i) => (flag === "--only" ? [flags[i + 1] ?? ""] : []));
const unknown = only.filter((id) => !ROWS.some((row) => row.id === id));

if (unknown.length > 0 || flags.includes("--list")) {
  for (const id of unknown) console.error(`bench: there is no row "${id}"`);
  console.log(ROWS.map(({ id, what }) => `${id.padEnd(14)} ${what}`).join("\n"));
  process.exit(unknown.length > 0 ? 2 : 0);
}

const bench = new Bench(ROOT, join(ROOT, "build", "bench"));
const results: (Omit<Row, "measure"> & Figure)[] = [];
for (const { measure, ...row } of ROWS) {
  if (only.length > 0 && !only.includes(row.id)) continue;
  const figure = measure(bench);
  results.push({ ...row, ...figure });
  console.error(
    `${figure.met ? "met   " : "MISSED"} ${row.id.padEnd(14)} ${figure.result.padEnd(22)} target ${row.target}`,
  );
}
if (flags.includes("--json"))
  console.log(JSON.stringify({ schema: "sealift.bench/1", machine: machine(), results }, null, 2));
if (only.length === 0) writeFileSync(join(ROOT, "docs/reference/benchmarks.md"), page());

function machine(): string {
  return `${process.platform} ${process.arch}, ${availableParallelism()} × ${cpus()[0]?.model ?? "unknown processor"}, Bun ${Bun.version}`;
}

function page(): string {
  const rows = results.map(
    (row) =>
      `| \`${row.id}\` | ${row.what.replaceAll("|", "\\|")} | ${row.ours} | ${row.peer || "–"} | ${row.result} | ${row.target} | ${row.met ? "yes" : "**no**"} |`,
  );
  return `# Benchmarks

Written by \`npm run bench\`: medians, every row and its peer measured in turn in one run on ${machine()}.
Compare rows with each other, not with other machines.

| row | what | sealift | peer | result | target | met |
|---|---|---|---|---|---|---|
${rows.join("\n")}
`;
}
