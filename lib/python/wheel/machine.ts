/**
 * What a wheel that was built here tells of this machine: build backends write requirements on neighbouring folders with the folder's
 * address. It means nothing elsewhere, and the same sources would give other bytes in another place; so the name alone is kept.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { sha256Hex } from "../../codec/mod.ts";
import type { WheelInfo } from "./wheel.ts";

/** METADATA in which no requirement names a folder: `x @ file:///…/x ; marker` becomes `x ; marker`. The body stays as it is. */
export function withoutFolders(metadata: string): string {
  const end = /\r?\n\r?\n/.exec(metadata)?.index ?? metadata.length;
  const head = metadata
    .slice(0, end)
    .replace(/^(Requires-Dist:[^@\n]*?)[ \t]*@[ \t]*file:[^\s;]*/gim, "$1");
  return head + metadata.slice(end);
}

/** Names the content of a wheel by its RECORD, in which METADATA counts as `withoutFolders` gives it. */
export function builtKey({ record, metadata }: { record: Uint8Array; metadata: string }): string {
  const clean = withoutFolders(metadata);
  if (clean === metadata) return sha256Hex(record);
  const rows = new TextDecoder().decode(record).split("\n");
  const others = rows.filter((row) => !/\.dist-info\/METADATA"?,/.test(row)).join("\n");
  return sha256Hex(new TextEncoder().encode(`${others}\n${clean}`));
}

/** Rewrites METADATA among the unpacked `files`, and what `info` says about it. */
export function forgetFolders(info: WheelInfo, files: string): WheelInfo {
  const name = `${info.distInfo}/METADATA`;
  const path = join(files, name);
  const text = readFileSync(path, "utf8");
  const clean = withoutFolders(text);
  if (clean === text) return info;
  writeFileSync(path, clean);
  const bytes = new TextEncoder().encode(clean);
  const facts = { size: bytes.length, sha256: sha256Hex(bytes) };
  return {
    ...info,
    files: info.files.map((file) => (file.member === name ? { ...file, ...facts } : file)),
  };
}
