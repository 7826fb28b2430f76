/**
 * The files inside the slots of a package, each with the place and the digest of its content, and which file of an old package a
 * file of the new one is to be compared with.
 */
import { FormatError } from "../../base/mod.ts";
import { type DeltaSource, readTar, Sha256, type Span } from "../../codec/mod.ts";
import type { PackageSlot } from "../../pspf/mod.ts";

/** One file in a source: headers, content and padding from `start` to `end`. */
export interface Member {
  source: number;
  slot: string;
  path: string;
  start: number;
  content: number;
  size: number;
  end: number;
  /** SHA-256 of the content. */
  digest: string;
}

const PIECE = 1 << 20;

/** The members of a slot's content, in order. What is no tar archive is one member without headers. */
export async function membersOf(
  source: DeltaSource,
  number: number,
  slot: PackageSlot,
): Promise<Member[]> {
  if (slot.operations[0] === "tar") {
    try {
      return await tarMembers(source, number, slot);
    } catch (error) {
      // Another writer's archive may not be as strict as ours: its bytes are compared as one file.
      if (!(error instanceof FormatError)) throw error;
    }
  }
  const { size } = source;
  const whole = { start: 0, content: 0, size, end: size, digest: await digestOf(stream(source)) };
  return [{ source: number, slot: slot.id, path: slot.target, ...whole }];
}

async function tarMembers(
  source: DeltaSource,
  number: number,
  slot: PackageSlot,
): Promise<Member[]> {
  const members: Member[] = [];
  for await (const { entry, offset, content, body } of readTar(stream(source))) {
    const { path, size } = entry;
    const end = content + Math.ceil(size / 512) * 512;
    const place = { start: offset, content, size, end, digest: await digestOf(body) };
    members.push({ source: number, slot: slot.id, path, ...place });
  }
  return members;
}

async function* stream(source: DeltaSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += PIECE) {
    yield await source.read(at, Math.min(PIECE, source.size - at));
  }
}

async function digestOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = new Sha256();
  for await (const piece of content) hash.update(piece);
  return hash.hex();
}

/** Finds old files by place, content, name, and name without its numbers (`x-1.0.dist-info`, `libx.so.1.2`). */
export class Counterparts {
  readonly #places = new Map<string, Member>();
  readonly #digests = new Map<string, Member>();
  readonly #names = new Map<string, Member>();

  add(members: readonly Member[]): void {
    for (const member of members) {
      this.#places.set(`${member.slot}\0${member.path}`, member);
      if (member.size === 0) continue;
      this.#digests.set(member.digest, member);
      this.#names.set(member.path, member);
      this.#names.set(withoutNumbers(member.path), member);
    }
  }

  samePlace(member: Member): Member | undefined {
    return this.#places.get(`${member.slot}\0${member.path}`);
  }

  sameContent(member: Member): Member | undefined {
    return this.#digests.get(member.digest);
  }

  alike(member: Member): Member | undefined {
    const place = this.samePlace(member);
    if (place !== undefined && place.size > 0) return place;
    return this.#names.get(member.path) ?? this.#names.get(withoutNumbers(member.path));
  }
}

/** A name that no file has: `\0` and the path with `#` for every number. */
function withoutNumbers(path: string): string {
  return `\0${path.replace(/\d+/g, "#")}`;
}

/** What the content of a new slot of `size` bytes is like, from its first byte to its last. */
export async function spansOf(
  members: readonly Member[],
  fresh: DeltaSource,
  counterparts: Counterparts,
  source: (number: number) => Promise<DeltaSource>,
): Promise<Span[]> {
  const spans: Span[] = [];
  let end = 0;
  const add = (span: Span) => {
    if (span.start > end) spans.push({ start: end, end: span.start });
    if (span.end > span.start) spans.push(span);
    end = Math.max(end, span.end);
  };
  for (const member of members) {
    const place = counterparts.samePlace(member);
    const isSame = place !== undefined && place.digest === member.digest;
    if (isSame && (await sameHeaders(member, fresh, place, await source(place.source)))) {
      const { source: number, start, end: stop } = place;
      const base = { source: number, start, end: stop, equal: true };
      add({ start: member.start, end: member.end, base });
      continue;
    }
    const start = member.content;
    const stop = start + member.size;
    const equal = isSame ? place : counterparts.sameContent(member);
    const base = equal ?? counterparts.alike(member);
    if (base === undefined || member.size === 0) continue;
    const { source: number, content, size } = base;
    add({
      start,
      end: stop,
      base: { source: number, start: content, end: content + size, equal: equal !== undefined },
    });
  }
  if (fresh.size > end) spans.push({ start: end, end: fresh.size });
  return spans;
}

async function sameHeaders(
  a: Member,
  fresh: DeltaSource,
  b: Member,
  old: DeltaSource,
): Promise<boolean> {
  const length = a.content - a.start;
  if (length !== b.content - b.start || a.end - a.start !== b.end - b.start) return false;
  if (length === 0) return true;
  const [x, y] = [await fresh.read(a.start, length), await old.read(b.start, length)];
  return Buffer.compare(x, y) === 0;
}
