/** Where a passphrase comes from: a file, the environment, or a question, in this order. */
import { FormatError, readFileBounded } from "../base/mod.ts";

export interface PassphraseSource {
  /** `--passphrase-file`: the first line of a file counts. */
  file?: string | undefined;
  env: Record<string, string | undefined>;
  /** Asks the person at the terminal; undefined where there is none. */
  prompt?: (() => Promise<string | undefined>) | undefined;
}

/** A function for `loadSigner` that looks for the passphrase when it is called, not before. */
export function passphraseFrom(source: PassphraseSource): () => Promise<string | undefined> {
  return async () => {
    if (source.file !== undefined) return fromFile(source.file);
    return source.env.SEALIFT_KEY_PASSPHRASE || (await source.prompt?.());
  };
}

async function fromFile(path: string): Promise<string> {
  const bytes = await readFileBounded(path, 64 << 10);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const line = text.split(/\r?\n/, 1)[0] as string;
    if (line !== "") return line;
  } catch {
    // Falls through to the one error.
  }
  throw new FormatError("KEY_PASSPHRASE", `${path}: the first line is not a passphrase in UTF-8`, {
    hint: "Write the passphrase into the first line of the file.",
  });
}
