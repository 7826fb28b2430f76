/** Packages with Python distributions in their slots, made without Python. */
import { join } from "node:path";

import { writePackage } from "../../../lib/pspf/mod.ts";
import { options, treeSlot } from "../../pspf/fixture.ts";

export interface Parts {
  version?: string;
  metadata?: string[];
  files?: Record<string, string>;
  /** Instead of the right one. */
  record?: string;
}

/** The files of an installed distribution, below `root`. */
export function installed(name: string, parts: Parts = {}, root = ""): Record<string, string> {
  const { version = "1.0", metadata = [], files = { [`${name}/__init__.py`]: "x = 1\n" } } = parts;
  const info = `${name}-${version}.dist-info`;
  const head = ["Metadata-Version: 2.1", `Name: ${name}`, `Version: ${version}`, ...metadata];
  const all: Record<string, string> = { ...files, [`${info}/METADATA`]: `${head.join("\n")}\n` };
  const record =
    parts.record ??
    `${[...Object.keys(all), `${info}/RECORD`].map((p) => `"${p.replaceAll('"', '""')}",,`).join("\n")}\n`;
  all[`${info}/RECORD`] = record;
  return Object.fromEntries(Object.entries(all).map(([path, text]) => [root + path, text]));
}

let count = 0;

/** A package of tar slots, in `folder`; gives its path. */
export async function packageOf(
  folder: string,
  slots: Record<string, Record<string, string>>,
  more: { name?: string; version?: string } = {},
): Promise<string> {
  const path = join(folder, `package-${count++}.psp`);
  const inputs = Object.entries(slots).map(([id, files]) =>
    treeSlot(id, files, { target: id, purpose: id === "app" ? "code" : "library" }),
  );
  const base = options(inputs);
  const { name = "demo", version = "1.2.3" } = more;
  await writePackage(path, { ...base, manifest: { ...base.manifest, package: { name, version } } });
  return path;
}
