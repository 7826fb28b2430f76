/**
 * Operation chains (format.md section 4): what was done to a slot's bytes, in packing order.
 *
 * In the descriptor a chain is a u64, first operation in the lowest byte; in the JSON it is text. Earlier
 * implementations read some spellings as "raw" without a word; here an unknown one is an error, never skipped.
 */
import { FormatError, quoted } from "../base/mod.ts";
import type { Compression } from "../codec/mod.ts";

/** The v0 operations, which every reader of PSPF/2025 must know, and encryption. */
export type Operation = "tar" | "gzip" | "bzip2" | "xz" | "zstd" | "aes256gcm";

const CODES: Record<Operation, number> = {
  tar: 0x01,
  gzip: 0x10,
  bzip2: 0x13,
  xz: 0x16,
  zstd: 0x1b,
  aes256gcm: 0x31,
};
const NAMES = new Map(Object.entries(CODES).map(([name, code]) => [code, name as Operation]));

/** Spellings that stand for a whole chain. */
const ALIASES: Record<string, readonly Operation[]> = {
  "": [],
  raw: [],
  none: [],
  "tar.gz": ["tar", "gzip"],
  tgz: ["tar", "gzip"],
  "tar.bz2": ["tar", "bzip2"],
  tbz2: ["tar", "bzip2"],
  "tar.xz": ["tar", "xz"],
  txz: ["tar", "xz"],
  "tar.zst": ["tar", "zstd"],
  tzst: ["tar", "zstd"],
};

const MAX_OPERATIONS = 8;

/**
 * The chain that a text in any known spelling stands for.
 * Throws `FormatError("PSPF_OPERATION")` for an unknown operation or an illegal chain.
 */
export function parseOperations(text: string): Operation[] {
  const lower = text.trim().toLowerCase();
  const alias = Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : undefined;
  if (alias !== undefined) return [...alias];
  const chain: Operation[] = [];
  for (const part of lower.split(/[|,]/)) {
    const name = part.trim();
    if (name === "none" || name === "raw") continue;
    if (!Object.hasOwn(CODES, name)) throw unsupported(`${quoted(part)} in ${quoted(text)}`);
    chain.push(name as Operation);
  }
  return checkChain(chain, quoted(text));
}

/** The canonical text of a legal chain: `none`, `tgz`, or the names joined with `|`. */
export function formatOperations(chain: readonly Operation[]): string {
  if (chain.length === 0) return "none";
  const text = chain.join("|");
  return text === "tar|gzip" ? "tgz" : text;
}

/** The chain as the descriptor's u64. Throws `FormatError("PSPF_OPERATION")` for an illegal chain. */
export function packChain(chain: readonly Operation[]): bigint {
  checkChain(chain, chain.join("|"));
  let packed = 0n;
  chain.forEach((operation, i) => {
    packed |= BigInt(CODES[operation]) << BigInt(8 * i);
  });
  return packed;
}

/**
 * The chain of a descriptor's u64. Throws `FormatError("PSPF_OPERATION")` for an unknown code, an illegal chain, or a
 * code behind a zero byte: earlier readers disagree about what that means, so it means nothing.
 */
export function unpackChain(packed: bigint): Operation[] {
  const text = `0x${packed.toString(16)}`;
  const chain: Operation[] = [];
  for (let rest = packed; rest !== 0n; rest >>= 8n) {
    const code = Number(rest & 0xffn);
    const name = NAMES.get(code);
    if (name === undefined) {
      throw unsupported(`0x${code.toString(16).padStart(2, "0")} in chain ${text}`);
    }
    chain.push(name);
  }
  return checkChain(chain, text);
}

/** Whether the stored bytes are encrypted. */
export function isEncrypted(chain: readonly Operation[]): boolean {
  return chain.at(-1) === "aes256gcm";
}

/** The compressions of a chain, in packing order. */
export function compressionsOf(chain: readonly Operation[]): Compression[] {
  return chain.filter((operation) => operation !== "tar" && operation !== "aes256gcm");
}

function checkChain<C extends readonly Operation[]>(chain: C, text: string): C {
  if (chain.length > MAX_OPERATIONS) throw unsupported(`chain ${text} of more than 8 operations`);
  const encryption = chain.indexOf("aes256gcm");
  if (encryption !== -1 && encryption !== chain.length - 1) {
    throw unsupported(`aes256gcm before another operation in ${text}`);
  }
  if (chain.lastIndexOf("tar") > 0) throw unsupported(`tar behind another operation in ${text}`);
  return chain;
}

function unsupported(detail: string): FormatError {
  return new FormatError("PSPF_OPERATION", `Operation ${detail} is not supported`, {
    hint: "Operations are tar, gzip, bzip2, xz, zstd and aes256gcm; tar once and first, aes256gcm once and last, eight at most.",
    details: { operation: detail },
  });
}
