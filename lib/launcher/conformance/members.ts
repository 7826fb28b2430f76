/** A tar writer that checks nothing, so that cases can hold members which an honest writer refuses. */

import type { CaseSlot } from "./case.ts";

const BLOCK = 512;
const encoder = new TextEncoder();

export function writeMembers(members: NonNullable<CaseSlot["members"]>): Uint8Array {
  const blocks = members.flatMap((member) => {
    const body = encoder.encode(member.text);
    const padded = new Uint8Array(Math.ceil(body.length / BLOCK) * BLOCK);
    padded.set(body);
    return [header(member, member.size ?? body.length), padded];
  });
  return Buffer.concat([...blocks, new Uint8Array(2 * BLOCK)]);
}

function header(member: { name: string; type: string; link: string }, size: number): Uint8Array {
  const out = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => out.set(encoder.encode(text), at);
  put(member.name, 0);
  put("0000755\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${size.toString(8).padStart(11, "0")}\0`, 124);
  put("02263035000\0", 136);
  put("        ", 148);
  put(member.type, 156);
  put(member.link, 157);
  put("ustar\0" + "00", 257);
  const sum = out.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return out;
}
