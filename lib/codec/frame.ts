/**
 * The framing of zstd data (RFC 8878 section 3.1), read without decoding it. The native decoder accepts truncated
 * frames and ignores what follows the last one; this walk over the frame and block headers does not.
 */
import { FormatError } from "../base/mod.ts";

/** Window of single streams, and of the frames of chunked slots (format.md sections 5 and 10). */
export const MAX_WINDOW = 128 << 20;
export const MAX_CHUNK_WINDOW = 8 << 20;

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const MAX_HEADER = 18;

/** Refusals of zstd data: `ZSTD_DATA` damaged, truncated or followed by something; `ZSTD_WINDOW` needs too much memory; `ZSTD_FRAME` not as section 5 wants it. */
export function zstdError(code: string, what: string, cause?: unknown): FormatError {
  return new FormatError(code, `The zstd data ${what}`, {
    hint: "The file was damaged or is not a valid package.",
    cause,
  });
}

export interface FrameHeader {
  /** Bytes of the header. */
  length: number;
  /** Memory that the decoder needs. */
  window: number;
  /** Decoded bytes, when the frame says so. */
  contentSize?: number;
  checksum: boolean;
}

/** The header of the frame that begins at `bytes[0]`; `undefined` while there are too few bytes. */
export function frameHeader(bytes: Uint8Array): FrameHeader | undefined {
  if (bytes.length < 5) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC)
    throw zstdError("ZSTD_DATA", "has no zstd frame where one must begin");
  const flags = view.getUint8(4);
  if (flags & 8) throw zstdError("ZSTD_DATA", "uses a reserved bit");
  const single = (flags & 0x20) !== 0;
  const dictionarySize = [0, 1, 2, 4][flags & 3] as number;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][flags >> 6] as number;
  const sizeAt = 5 + (single ? 0 : 1) + dictionarySize;
  const length = sizeAt + sizeBytes;
  if (bytes.length < length) return undefined;
  for (let i = sizeAt - dictionarySize; i < sizeAt; i++) {
    if (bytes[i] !== 0) throw zstdError("ZSTD_DATA", "needs a dictionary");
  }
  const contentSize = readSize(view, sizeAt, sizeBytes);
  const window = single ? (contentSize as number) : windowSize(view.getUint8(5));
  const header: FrameHeader = { length, window, checksum: (flags & 4) !== 0 };
  if (contentSize !== undefined) header.contentSize = contentSize;
  return header;
}

function readSize(view: DataView, at: number, bytes: number): number | undefined {
  if (bytes === 0) return undefined;
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at, true) + 256;
  if (bytes === 4) return view.getUint32(at, true);
  const size = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(size)) throw zstdError("ZSTD_DATA", "claims an impossible size");
  return size;
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Follows the frames of a stream piece by piece: `push` every piece, then `end`. */
export class FrameWalk {
  /** Frames that have ended, skippable ones not counted. */
  frames = 0;
  /** Sum of the content sizes of the frames seen; `undefined` once a frame does not say its own. */
  contentSize: number | undefined = 0;
  #state: "frame" | "block" | "payload" | "checksum" | "skip" = "frame";
  #pending = new Uint8Array(MAX_HEADER);
  #held = 0;
  /** Bytes of payload to pass over. */
  #skip = 0;
  #last = false;
  #checksum = false;

  constructor(private readonly maxWindow = MAX_WINDOW) {}

  /** Throws `FormatError` at the first byte that cannot stand where it stands. */
  push(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, piece.length - at);
        this.#skip -= step;
        at += step;
        if (this.#skip === 0) this.#passed();
        continue;
      }
      this.#pending[this.#held++] = piece[at++] as number;
      if (this.#state === "frame") this.#readFrame();
      else this.#readBlock();
    }
  }

  /** The stream has ended. Throws unless a frame has ended here too. */
  end(): void {
    if (this.#state !== "frame" || this.#held > 0) throw zstdError("ZSTD_DATA", "is truncated");
    if (this.frames === 0) throw zstdError("ZSTD_DATA", "is empty");
  }

  #readFrame(): void {
    const bytes = this.#pending.subarray(0, this.#held);
    if (this.#held >= 4 && (word(bytes, 0) & 0xfffffff0) >>> 0 === SKIPPABLE) {
      if (this.#held < 8) return;
      this.#held = 0;
      this.#skip = word(bytes, 4);
      this.#state = this.#skip > 0 ? "skip" : "frame";
      return;
    }
    const header = frameHeader(bytes);
    if (header === undefined) return;
    if (header.window > this.maxWindow) {
      throw zstdError(
        "ZSTD_WINDOW",
        `needs a window of ${header.window} bytes, more than ${this.maxWindow}`,
      );
    }
    this.contentSize =
      header.contentSize === undefined || this.contentSize === undefined
        ? undefined
        : this.contentSize + header.contentSize;
    this.#checksum = header.checksum;
    this.#held = 0;
    this.#state = "block";
  }

  #readBlock(): void {
    if (this.#held < 3) return;
    const [a = 0, b = 0, c = 0] = this.#pending;
    this.#held = 0;
    const type = (a >> 1) & 3;
    if (type === 3) throw zstdError("ZSTD_DATA", "has a block of a reserved type");
    this.#last = (a & 1) === 1;
    const size = (a >> 3) | (b << 5) | (c << 13);
    // A run-length block of any size stores one byte.
    this.#skip = type === 1 ? 1 : size;
    this.#state = "payload";
    if (this.#skip === 0) this.#passed();
  }

  /** The payload, checksum or skippable frame has been passed over. */
  #passed(): void {
    if (this.#state === "payload" && !this.#last) {
      this.#state = "block";
    } else if (this.#state === "payload" && this.#checksum) {
      this.#state = "checksum";
      this.#skip = 4;
    } else {
      if (this.#state !== "skip") this.frames++;
      this.#state = "frame";
    }
  }
}

function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}
