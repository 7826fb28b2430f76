/**
 * From a parsed document to one shape (`Metadata`), for the sealed profile and for the dialects of other writers
 * (format.md sections 3 and 9).
 *
 * Ours is judged by the strict schema. Of other writers nothing is required but a package name: maps may be null, keys
 * may be missing, words may be unknown; only a value of the wrong type is an error, because it was meant to say something.
 */
import * as v from "valibot";

import { checkArchivePath } from "../base/mod.ts";
import {
  canonicalChain,
  type Metadata,
  metadataSchema,
  type SealedMetadata,
  type SealedSlot,
  type SlotMetadata,
} from "./metadata.ts";
import { isEncrypted } from "./operations.ts";
import { Encryption, isStoredSize } from "./secret/parameters.ts";

/** A field that is not what it must be; the reader adds the file's name. */
export class FieldFault extends Error {
  constructor(
    readonly field: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** Whether a document claims to be of the sealed profile. */
export function isSealedDocument(document: Record<string, unknown>): boolean {
  return Object.hasOwn(document, "seal");
}

/** The `seal.version` of a document that has a seal, whatever it is. */
export function sealVersion(document: Record<string, unknown>): unknown {
  const seal = document.seal;
  return isObject(seal) ? seal.version : undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Judges a document of the sealed profile. Throws `FieldFault`. */
export function checkSealed(document: Record<string, unknown>): SealedMetadata {
  const result = v.safeParse(metadataSchema, document, { abortEarly: true });
  if (!result.success) {
    const issue = result.issues[0];
    throw new FieldFault(v.getDotPath(issue) ?? "(document)", issue.message);
  }
  const sealed = document as unknown as SealedMetadata;
  const ids = new Set<string>();
  sealed.slots.forEach((slot, i) => checkSlot(slot, i, ids));
  return sealed;
}

function checkSlot(slot: SealedSlot, i: number, ids: Set<string>): void {
  const field = `slots.${i}`;
  if (slot.slot !== i) throw new FieldFault(`${field}.slot`, `is ${slot.slot}, not ${i}`);
  const folded = slot.id.toLowerCase();
  if (ids.has(folded)) throw new FieldFault(`${field}.id`, `${slot.id} stands twice`);
  ids.add(folded);
  const target = relativeTarget(slot.target);
  const chain = canonicalChain(slot.operations);
  if (target === "" && chain[0] !== "tar") throw new FieldFault(`${field}.target`, "names no file");
  if (target !== "") checkTarget(target, `${field}.target`);
  if (slot.chunks !== undefined) checkChunks(slot, field, chain.join("|"));
  checkEncryption(slot, field, isEncrypted(chain));
}

/** Section 11: the operation and its parameters go together; a decrypted slot does not lie where other packages can take it. */
function checkEncryption(slot: SealedSlot, field: string, encrypted: boolean): void {
  if (encrypted !== (slot.encryption !== undefined)) {
    throw new FieldFault(`${field}.encryption`, "and the operation aes256gcm go together");
  }
  if (!encrypted) return;
  if (slot.share) throw new FieldFault(`${field}.share`, "may not stand in an encrypted slot");
  if (!isStoredSize(slot.size)) {
    throw new FieldFault(`${field}.size`, "is not the size of encrypted chunks");
  }
}

function checkTarget(target: string, field: string): void {
  try {
    checkArchivePath(target);
  } catch (error) {
    throw new FieldFault(field, (error as Error).message);
  }
}

/** Section 5: chunks are for zstd slots, and their sums are the slot's sizes. */
function checkChunks(slot: SealedSlot, field: string, chain: string): void {
  const chunks = slot.chunks ?? [];
  if (chain !== "zstd" && chain !== "tar|zstd") {
    throw new FieldFault(`${field}.chunks`, `may not stand with operations ${slot.operations}`);
  }
  const sum = (part: 0 | 1) => chunks.reduce((total, chunk) => total + chunk[part], 0);
  if (sum(0) !== slot.size) throw new FieldFault(`${field}.chunks`, "do not add up to size");
  if (sum(1) !== slot.original_size) {
    throw new FieldFault(`${field}.chunks`, "do not add up to original_size");
  }
}

/** The one shape, from any document. Throws `FieldFault`. */
export function normalize(document: Record<string, unknown>): Metadata {
  const at = new Reader(document, "");
  const name = at.object("package");
  const execution = at.object("execution");
  const env = at.object("runtime").object("env");
  const workenv = at.object("workenv");
  return {
    format_version: at.text("format_version") ?? "",
    package: defined({
      name: name.required("name"),
      version: name.text("version") ?? "",
      description: name.text("description"),
    }),
    slots: at.objects("slots").map(normalizeSlot),
    execution: defined({
      primary_slot: execution.number("primary_slot"),
      command: execution.text("command"),
      argv: execution.texts("argv"),
      entries: execution.argvs("entries"),
      // Go writes `environment`, Rust and Python `env`; ours stand twice and are equal.
      env: { ...execution.map("environment"), ...execution.map("env") },
    }),
    runtime: {
      env: {
        pass: env.texts("pass") ?? [],
        unset: env.texts("unset") ?? [],
        map: env.map("map"),
        set: env.map("set"),
      },
    },
    workenv: {
      directories: workenv
        .objects("directories")
        .map((directory) =>
          defined({ path: directory.required("path"), mode: directory.text("mode") }),
        ),
      env: workenv.map("env"),
    },
    setup_commands: at.array("setup_commands"),
    ...origin(at),
    document,
  };
}

function origin(at: Reader): Pick<Metadata, "build" | "launcher"> {
  const build = at.object("build");
  const platform = build.object("platform");
  const launcher = at.object("launcher");
  return {
    build: {
      tool: build.text("tool") ?? "",
      tool_version: build.text("tool_version") ?? "",
      timestamp: build.text("timestamp") ?? "",
      os: platform.text("os") ?? "",
      arch: platform.text("arch") ?? "",
    },
    launcher: defined({
      tool: launcher.text("tool") ?? "",
      tool_version: launcher.text("tool_version") ?? "",
      size: launcher.number("size"),
      checksum: digestHex(launcher.text("checksum")),
    }),
  };
}

function normalizeSlot(slot: Reader, i: number): SlotMetadata {
  const position = slot.number("slot") ?? i;
  if (position !== i) throw new FieldFault(`slots.${i}.slot`, `is ${position}, not ${i}`);
  return defined({
    slot: i,
    id: slot.text("id") || `slot_${i}`,
    source: slot.text("source") ?? "",
    target: relativeTarget(slot.text("target") ?? ""),
    original_size: slot.number("original_size"),
    checksum: digestHex(slot.text("checksum")),
    purpose: slot.text("purpose") ?? "",
    lifecycle: slot.text("lifecycle") ?? "",
    permissions: slot.text("permissions"),
    platform: slot.text("platform"),
    share: slot.flag("share"),
    self_ref: slot.flag("self_ref"),
    chunks: slot.pairs("chunks"),
    encryption: slot.encryption(),
  });
}

/** A target without the `{workenv}` that some writers put in front. */
export function relativeTarget(target: string): string {
  if (target === "{workenv}") return "";
  return target.startsWith("{workenv}/") ? target.slice("{workenv}/".length) : target;
}

/** The hex digits of a SHA-256 in JSON; the Python writer doubles the prefix of the launcher's. */
function digestHex(text: string | undefined): string | undefined {
  return /^(?:sha256:){0,2}([0-9a-f]{64})$/i.exec(text ?? "")?.[1]?.toLowerCase();
}

/** An object without the keys whose value is undefined. */
function defined<T extends object>(object: T): Defined<T> {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}
type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

/** Reads an object whose keys may be absent or null; a value of another type is a `FieldFault`. */
class Reader {
  constructor(
    private readonly value: Record<string, unknown>,
    private readonly path: string,
  ) {}

  required(key: string): string {
    const text = this.text(key);
    if (text === undefined || text === "") throw new FieldFault(this.at(key), "is missing");
    return text;
  }

  text(key: string): string | undefined {
    return this.get(key, "a string", (value) => typeof value === "string");
  }

  number(key: string): number | undefined {
    return this.get(key, "a whole number", (value) => Number.isSafeInteger(value));
  }

  flag(key: string): boolean {
    return this.get(key, "true or false", (value) => typeof value === "boolean") ?? false;
  }

  array(key: string): unknown[] {
    return this.get(key, "an array", Array.isArray) ?? [];
  }

  texts(key: string): string[] | undefined {
    return this.get(key, "an array of strings", isTexts);
  }

  pairs(key: string): Array<[number, number]> | undefined {
    return this.get(key, "an array of pairs of sizes", isPairs);
  }

  /** Only the sealed profile has it, and there the schema judged it. */
  encryption(): Encryption | undefined {
    const result = v.safeParse(Encryption, this.value.encryption);
    return result.success ? result.output : undefined;
  }

  map(key: string): Record<string, string> {
    const isMap = (value: unknown) =>
      isObject(value) && Object.values(value).every((item) => typeof item === "string");
    return this.get(key, "a map of strings", isMap) ?? {};
  }

  argvs(key: string): Record<string, string[]> {
    const isMap = (value: unknown) => isObject(value) && Object.values(value).every(isTexts);
    return this.get(key, "a map of arrays of strings", isMap) ?? {};
  }

  object(key: string): Reader {
    const value = this.get<Record<string, unknown>>(key, "an object", isObject) ?? {};
    return new Reader(value, this.at(key));
  }

  objects(key: string): Reader[] {
    return this.array(key).map((item, i) => {
      const path = `${this.at(key)}.${i}`;
      if (!isObject(item)) throw new FieldFault(path, "is not an object");
      return new Reader(item, path);
    });
  }

  private at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  private get<T>(key: string, what: string, is: (value: unknown) => boolean): T | undefined {
    const value = Object.hasOwn(this.value, key) ? this.value[key] : undefined;
    if (value === undefined || value === null) return undefined;
    if (!is(value)) throw new FieldFault(this.at(key), `is not ${what}`);
    return value as T;
  }
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isPairs(value: unknown): boolean {
  const isSize = (item: unknown) => Number.isSafeInteger(item) && (item as number) >= 0;
  return (
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isSize))
  );
}
