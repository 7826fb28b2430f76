/** Tar archives block by block, as hostile as wanted, and what the reader makes of them. */
import { readTar, type ReadTarOptions, type TreeEntry } from "../../lib/codec/mod.ts";
import { collect, reused } from "./fixture.ts";

export interface Block {
  name?: string | Uint8Array;
  mode?: string;
  size?: number | string;
  mtime?: string;
  type?: string;
  link?: string;
  magic?: string;
  prefix?: string;
  body?: string | Uint8Array;
}

/** A header as hostile as wanted, with a right checksum, and its body. */
export function block(fields: Block): Buffer {
  const body = Buffer.from((fields.body ?? "") as string);
  const header = Buffer.alloc(512);
  const put = (at: number, text: string | Uint8Array) =>
    Buffer.from(text as string).copy(header, at);
  const size = fields.size ?? body.length;
  put(0, fields.name ?? "f");
  put(100, fields.mode ?? "0000644\0");
  put(
    124,
    typeof size === "string"
      ? Buffer.from(size, "latin1")
      : `${size.toString(8).padStart(11, "0")}\0`,
  );
  put(136, fields.mtime ?? "00000000000\0");
  put(156, fields.type ?? "0");
  put(157, fields.link ?? "");
  put(257, fields.magic ?? "ustar\u000000");
  put(345, fields.prefix ?? "");
  put(148, "        ");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export const end = Buffer.alloc(1024);
export const archive = (...blocks: Block[]) => Buffer.concat([...blocks.map(block), end]);
export const record = (text: string) => {
  for (let length = text.length + 2; ; length++) {
    if (Buffer.byteLength(`${length} ${text}\n`) === length) return `${length} ${text}\n`;
  }
};
export const pax = (...records: string[]): Block => ({
  name: "pax",
  type: "x",
  body: records.map(record).join(""),
});

export async function read(bytes: Uint8Array, options: ReadTarOptions = {}, size = 700) {
  const members: (TreeEntry & { content: string })[] = [];
  for await (const { entry, body } of readTar(reused(bytes, size), options)) {
    members.push({ ...entry, content: (await collect(copies(body))).toString() });
  }
  return members;
}

export async function* copies(stream: AsyncIterable<Uint8Array>) {
  for await (const piece of stream) yield piece.slice();
}
