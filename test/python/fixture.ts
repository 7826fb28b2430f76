/** Zip files and wheels made by code, sound ones and broken ones, and a context that talks to nobody. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";

import { type Context, silentProgress } from "../../lib/base/mod.ts";

export interface Member {
  name: string;
  content?: string | Uint8Array;
  /** Stored instead of deflated. */
  stored?: boolean;
  /** Unix mode with the file type. */
  mode?: number;
  /** Lies: what the directory claims. */
  size?: number;
  crc?: number;
  method?: number;
  flags?: number;
  /** Name in the local header, when it is another one. */
  localName?: string;
  /** Offset that the directory claims. */
  offset?: number;
}

const encoder = new TextEncoder();

/** A zip file; `tail` goes between the directory and the end record. */
export function zip(
  members: Member[],
  options: { prefix?: Uint8Array; tail?: Uint8Array } = {},
): Uint8Array {
  const parts: Uint8Array[] = [options.prefix ?? new Uint8Array()];
  const directory: Uint8Array[] = [];
  let at = parts[0]?.length ?? 0;
  for (const member of members) {
    const content =
      typeof member.content === "string"
        ? encoder.encode(member.content)
        : (member.content ?? new Uint8Array());
    const data = member.stored === true ? content : deflateRawSync(content);
    const method = member.method ?? (member.stored === true ? 0 : 8);
    const local = encoder.encode(member.localName ?? member.name);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(member.flags ?? 0, 6);
    header.writeUInt16LE(method, 8);
    header.writeUInt32LE(crc32(content), 14);
    header.writeUInt32LE(data.length, 18);
    header.writeUInt32LE(content.length, 22);
    header.writeUInt16LE(local.length, 26);
    parts.push(header, local, data);
    const name = encoder.encode(member.name);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(0x0314, 4);
    entry.writeUInt16LE(member.flags ?? 0, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(member.crc ?? crc32(content), 16);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(member.size ?? content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(((member.mode ?? 0o100644) << 16) >>> 0, 38);
    entry.writeUInt32LE(member.offset ?? at, 42);
    directory.push(entry, name);
    at += header.length + local.length + data.length;
  }
  const table = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(table.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, table, options.tail ?? new Uint8Array(), end]);
}

export interface WheelParts {
  name?: string;
  version?: string;
  tag?: string;
  files?: Record<string, string>;
  entryPoints?: string;
  metadata?: string;
  wheel?: string;
  /** Changes the rows of RECORD before they are written. */
  record?: (rows: string[]) => string[];
  /** Members beside what RECORD is made from. */
  unlisted?: Member[];
  modes?: Record<string, number>;
}

/** The members of a wheel with a right RECORD, unless the parts say otherwise. */
export function wheelMembers(parts: WheelParts = {}): Member[] {
  const { name = "demo", version = "1.0", tag = "py3-none-any" } = parts;
  const info = `${name}-${version}.dist-info`;
  const files: Record<string, string> = {
    [`${name}/__init__.py`]: "x = 1\n",
    ...parts.files,
    [`${info}/METADATA`]:
      parts.metadata ?? `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/WHEEL`]:
      parts.wheel ?? `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: ${tag}\n`,
    ...(parts.entryPoints !== undefined && { [`${info}/entry_points.txt`]: parts.entryPoints }),
  };
  const rows = Object.entries(files).map(([path, text]) => {
    const digest = new Bun.CryptoHasher("sha256").update(text).digest("base64url");
    return `${path},sha256=${digest},${Buffer.byteLength(text)}`;
  });
  const record = (parts.record ?? ((r) => r))([...rows, `${info}/RECORD,,`]);
  return [
    ...Object.entries(files).map(([path, content]) => ({
      name: path,
      content,
      ...(parts.modes?.[path] !== undefined && { mode: parts.modes[path] }),
    })),
    ...(parts.unlisted ?? []),
    { name: `${info}/RECORD`, content: `${record.join("\n")}\n` },
  ];
}

/** Writes a wheel into `folder`; gives its path. */
export function writeWheel(folder: string, parts: WheelParts = {}): string {
  const { name = "demo", version = "1.0", tag = "py3-none-any" } = parts;
  const path = join(folder, `${name}-${version}-${tag}.whl`);
  writeFileSync(path, zip(wheelMembers(parts)));
  return path;
}

/** A folder that is gone after `using`. */
export function scratch(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "sealift-python-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function offlineContext(cacheDir: string): Context {
  mkdirSync(cacheDir, { recursive: true });
  return { offline: true, cacheDir, progress: silentProgress, env: process.env };
}

/** The code of the error that `action` throws, or `undefined`. */
export async function codeOf(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
