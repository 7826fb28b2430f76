/** What the signed JSON says of an encrypted slot (format.md section 11): strict, and bounded before anything is computed. */
import * as v from "valibot";

/** Plain bytes of every chunk but the last. */
export const CIPHER_CHUNK = 1 << 20;
/** Bytes of a chunk's authentication tag. */
export const CIPHER_TAG = 16;

/** scrypt's memory, 128·n·r bytes: a launcher stays below 64 MiB. */
const MAX_SCRYPT_MEMORY = 32 << 20;
const MAX_PATH = 4096;

const Salt = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "is not 64 hex digits"));
const within = (low: number, high: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));

const Scrypt = v.pipe(
  v.strictObject({
    salt: Salt,
    n: within(1 << 14, 1 << 18),
    r: within(1, 32),
    p: within(1, 4),
  }),
  v.check(({ n, r }) => (n & (n - 1)) === 0 && 128 * n * r <= MAX_SCRYPT_MEMORY, "is out of range"),
);
export type Scrypt = v.InferOutput<typeof Scrypt>;

/** What every new passphrase slot uses: 32 MiB, about a tenth of a second. */
export const SCRYPT_COST = { n: 1 << 15, r: 8, p: 1 } as const;

const KeySource = v.pipe(v.string(), v.check(isKeySource, "is not env:NAME, file:PATH or prompt"));

export const Encryption = v.pipe(
  v.strictObject({
    algorithm: v.literal("AES-256-GCM"),
    chunk: v.literal(CIPHER_CHUNK),
    kdf: v.picklist(["HKDF-SHA256", "scrypt"]),
    /** Of the HKDF that every slot key comes from. */
    salt: Salt,
    /** Of a passphrase. */
    scrypt: v.optional(Scrypt),
    key_source: KeySource,
  }),
  v.check(
    ({ kdf, scrypt }) => (kdf === "scrypt") === (scrypt !== undefined),
    "has scrypt's parameters without scrypt, or scrypt without them",
  ),
  v.check(
    ({ kdf, key_source }) => key_source !== "prompt" || kdf === "scrypt",
    "asks for a passphrase without scrypt",
  ),
);
export type Encryption = v.InferOutput<typeof Encryption>;

/** `env:NAME`, `file:PATH` or `prompt`. */
export function isKeySource(text: string): boolean {
  if (text === "prompt" || /^env:[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return true;
  const path = /^file:(.+)$/s.exec(text)?.[1];
  if (path === undefined || Buffer.byteLength(path) > MAX_PATH) return false;
  // oxlint-disable-next-line no-control-regex
  return !/[\u0000-\u001f\u007f-\u009f]/.test(path);
}

/** Whether chunks can have that many stored bytes: none is empty, but for the one chunk of an empty slot. */
export function isStoredSize(size: number): boolean {
  const rest = size % (CIPHER_CHUNK + CIPHER_TAG);
  return size === CIPHER_TAG || rest > CIPHER_TAG || (rest === 0 && size > 0);
}
