/** Follows a plan: old bytes and what the delta carries become the new bytes, piece by piece. */
import { constants, zstdDecompressSync } from "node:zlib";

import { EnvironmentError } from "../../base/mod.ts";
import { ByteSource } from "../_source.ts";
import { Garbage } from "../garbage.ts";
import { Sha256 } from "../hash.ts";
import { encode } from "./encode.ts";
import { badPlan, type Op, PlanReader, type Segment } from "./plan.ts";

/** Bytes that can be read anywhere: the old file, or the content of one of its slots. */
export interface DeltaSource {
  size: number;
  /** Exactly `length` bytes from `offset`, which lie inside. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface RebuildInput {
  plan: Uint8Array;
  /** The source of that number; `undefined` when there is none. */
  source(number: number): Promise<DeltaSource | undefined>;
  literals: AsyncIterable<Uint8Array>;
  diffs: AsyncIterable<Uint8Array>;
  stored: AsyncIterable<Uint8Array>;
}

const PIECE = 1 << 20;

/**
 * Hands the new bytes to `write`, each piece valid until it returns. `FormatError("DELTA_PLAN")` for a plan that cannot be followed or does not
 * use all that is carried, `EnvironmentError("DELTA_ENGINE")` when compressing again gives other bytes than where the delta was made.
 */
export async function rebuild(
  input: RebuildInput,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const maker = new Maker(input);
  try {
    for (let segment = maker.plan.segment(); segment; segment = maker.plan.segment()) {
      if (segment.encoder === "none") {
        for await (const piece of maker.plain()) await write(piece);
      } else {
        await writeEncoded(segment, maker, write);
      }
    }
    await maker.finish();
  } finally {
    await maker.close();
  }
}

async function writeEncoded(
  segment: Segment,
  maker: Maker,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  if (segment.encoder === "none") return;
  const hash = new Sha256();
  let stored = 0;
  const { encoder, level, plain } = segment;
  for await (const piece of encode(encoder, level, plain, maker.plain())) {
    stored += piece.length;
    if (stored > segment.stored) throw otherEngine(segment);
    hash.update(piece);
    await write(piece);
    maker.garbage.add(piece.length);
  }
  maker.garbage.add(plain);
  const isSame =
    stored === segment.stored && Buffer.compare(hash.digest(), segment.sha256 as Uint8Array) === 0;
  if (!isSame) throw otherEngine(segment);
}

function otherEngine({ encoder }: Segment): EnvironmentError {
  const kind = encoder.split("-")[0];
  return new EnvironmentError(
    "DELTA_ENGINE",
    `Compressing with ${kind} gives other bytes here than where the delta was made`,
    {
      hint: "Use the version of sealift that made it, or ask for one made with `--portable`.",
      details: { encoder },
    },
  );
}

class Maker {
  readonly plan: PlanReader;
  readonly #literals: ByteSource;
  readonly #diffs: ByteSource;
  readonly #stored: ByteSource;
  readonly garbage = new Garbage();

  constructor(private readonly input: RebuildInput) {
    this.plan = new PlanReader(input.plan);
    this.#literals = new ByteSource(input.literals);
    this.#diffs = new ByteSource(input.diffs);
    this.#stored = new ByteSource(input.stored);
  }

  /** The plain bytes of the current segment. */
  async *plain(): AsyncGenerator<Uint8Array> {
    for (let op = this.plan.op(); op; op = this.plan.op()) yield* this.#make(op);
  }

  /** Everything that was carried must have been used. */
  async finish(): Promise<void> {
    for (const carried of [this.#literals, this.#diffs, this.#stored]) {
      if ((await carried.some(1)) !== undefined) throw badPlan("it leaves bytes unused");
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#literals, this.#diffs, this.#stored].map((one) => one.close()));
  }

  async *#make(op: Op): AsyncGenerator<Uint8Array> {
    switch (op.kind) {
      case "copy":
        for (let done = 0; done < op.length; done += PIECE) {
          const length = Math.min(PIECE, op.length - done);
          yield await this.#old(op.source, op.offset + done, length);
        }
        return;
      case "literal":
        yield* carried(this.#literals, op.length);
        return;
      case "stored":
        yield* carried(this.#stored, op.length);
        return;
      case "diff": {
        const old = await this.#old(op.source, op.offset, op.span);
        const patch = await this.#diffs.take(op.patch);
        if (patch.length < op.patch) throw badPlan("it uses more than is carried");
        yield undiff(old, patch, op.length);
      }
    }
  }

  async #old(number: number, offset: number, length: number): Promise<Uint8Array> {
    const source = await this.input.source(number);
    if (source === undefined) throw badPlan("it names a source that there is not");
    if (offset + length > source.size) throw badPlan("it reads behind the end of a source");
    return await source.read(offset, length);
  }
}

async function* carried(source: ByteSource, length: number): AsyncGenerator<Uint8Array> {
  for (let left = length; left > 0;) {
    const part = await source.some(Math.min(left, PIECE));
    if (part === undefined) throw badPlan("it uses more than is carried");
    left -= part.length;
    yield part;
  }
}

/** The other direction of `diff`. */
function undiff(old: Uint8Array, patch: Uint8Array, length: number): Uint8Array {
  try {
    const bytes = zstdDecompressSync(patch, {
      dictionary: old,
      maxOutputLength: length,
      params: { [constants.ZSTD_d_windowLogMax]: 22 },
    });
    if (bytes.length === length) return bytes;
  } catch (error) {
    if (!/^(?:Z_|ZSTD_|ERR_BUFFER)/.test((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
  throw badPlan("a difference does not fit its base");
}
