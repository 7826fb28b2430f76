/**
 * The page of `inspect --html`: one file without requests, that works offline and, as a table, without scripts. Every name comes
 * from the package and is hostile: markup is escaped here, data crosses into the script as JSON without `<`, and a policy with
 * the digests of our own style and script forbids everything else.
 */
import { createHash } from "node:crypto";

import { version } from "../../base/mod.ts";
import { makeView } from "../view.ts";
import type { Head } from "./head.ts";
import script from "./page/view.mjs" with { type: "text" };
import type { Sizes } from "./sizes.ts";

import style from "./page/page.css" with { type: "text" };

const { size: bytes } = makeView({ color: false, verbose: false });

export function sizePage(head: Head, sizes: Sizes): string {
  const title = `${head.name} ${head.version}`.trim();
  const policy = [
    "default-src 'none'",
    `style-src '${digest(style)}'`,
    `script-src '${digest(script)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escaped(title)}: sizes</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${escaped(head.name)} <small>${escaped(head.version)}</small></h1>
${facts(head, sizes)}
</header>
<main>
<noscript><p class="hint">The treemap needs scripts; the table below has the same sizes.</p></noscript>
<section class="live" aria-label="Treemap">
<div class="bar">
<nav aria-label="Where the map stands"><ol id="crumbs"></ol></nav>
<fieldset id="measure"><legend>Area shows</legend><label><input type="radio" name="measure" value="0" checked>stored</label><label><input type="radio" name="measure" value="1">unpacked</label></fieldset>
<input id="filter" type="search" placeholder="Filter packages and files" aria-label="Filter packages and files">
</div>
<div id="map" role="group"></div>
<p class="hint">Area is size. Click a box to look into it, press Escape to go back. Stored sizes of packages and files are their shares of a slot that is compressed as a whole.</p>
<div id="found" hidden></div>
</section>
<h2>Packages</h2>
${table(sizes)}
</main>
<footer>Made by sealift ${escaped(version)} from the sealed bytes of the package. Identity ${escaped(head.identity)}</footer>
<script type="application/json" id="data">${json(compact(head, sizes))}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

function facts(head: Head, { parts }: Sizes): string {
  const unpacked = parts.reduce((sum, part) => sum + (part.kind === "slot" ? part.unpacked : 0), 0);
  const files = parts
    .flatMap(({ groups }) => groups)
    .reduce((sum, group) => sum + group.files.length, 0);
  const rows = [
    ["Package", bytes(head.size)],
    ["Unpacked", bytes(unpacked)],
    ["Files", files.toLocaleString("en-US")],
    ["Platform", head.build?.platform ?? "unknown"],
    ["Signed by", head.signers.join(", ") || "nobody whose signature holds"],
  ];
  const items = rows.map(
    ([term = "", text = ""]) => `<div><dt>${term}</dt><dd>${escaped(text)}</dd></div>`,
  );
  return `<dl>${items.join("")}</dl>`;
}

function table({ size, parts }: Sizes): string {
  const rows = parts.flatMap((part) =>
    part.groups.length === 0
      ? [row(part, part.name, `(${part.name})`)]
      : part.groups.map((group) => row(group, part.name)),
  );
  rows.sort((a, b) => b.stored - a.stored);
  const body = rows.map(
    (row) =>
      `<tr><th scope="row">${escaped(row.name)}</th><td>${escaped(row.version)}</td><td>${escaped(row.license)}</td><td>${escaped(row.slot)}</td>` +
      `${number(row.files, row.files === 0 ? "–" : row.files.toLocaleString("en-US"))}${number(row.unpacked, bytes(row.unpacked))}${number(row.stored, bytes(row.stored))}` +
      `${number(row.stored, `${((row.stored / size) * 100).toFixed(1)} %`)}</tr>`,
  );
  const head = ["Name", "Version", "Licence", "Slot"].map((text) => `<th scope="col">${text}</th>`);
  const numbers = ["Files", "Unpacked", "Stored", "Share"].map(
    (text) => `<th scope="col" class="number">${text}</th>`,
  );
  return `<div class="scroll"><table id="packages"><thead><tr>${head.join("")}${numbers.join("")}</tr></thead><tbody>\n${body.join("\n")}\n</tbody></table></div>`;
}

type Part = Sizes["parts"][number];

function row(of: Part | Part["groups"][number], slot: string, name = of.name) {
  const [version, license] = "files" in of ? [of.version ?? "", of.license ?? ""] : ["", ""];
  const files = "files" in of ? of.files.length : 0;
  return { name, slot, version, license, files, stored: of.stored, unpacked: of.unpacked };
}

/** A cell that sorts by `n`. */
function number(n: number, text: string): string {
  return `<td class="number" data-n="${n}">${escaped(text)}</td>`;
}

/** Arrays instead of objects: a package has thousands of files. The script knows the order. */
function compact(head: Head, { size, parts }: Sizes): unknown {
  return [
    `${head.name} ${head.version}`.trim(),
    size,
    parts.map(({ name, kind, stored, unpacked, groups }) => [
      name,
      kind,
      stored,
      unpacked,
      groups.map((group) => [
        group.name,
        group.kind,
        group.version ?? "",
        group.files.map((file) => [file.path, file.stored, file.unpacked]),
      ]),
    ]),
  ];
}

/** JSON inside a script element: nothing in it can end the element, and it is valid JavaScript for whoever copies it. */
function json(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** For text and quoted attributes. Directional marks could make a name look like another, and are shown as such. */
function escaped(text: string): string {
  return text
    .replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c)
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
      (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`,
    );
}

function digest(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
