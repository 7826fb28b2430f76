/** A cache as the launchers leave it, and the ways in which it can go wrong. */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A base folder with mode 0700, deleted by `await using`. */
export function makeBase() {
  const folder = mkdtempSync(join(tmpdir(), "sealift-cache-"));
  const base = join(folder, "cache");
  mkdirSync(base, { mode: 0o700 });
  return { folder, base, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

type Files = Record<string, string | Uint8Array>;

/** Writes files and the marker over them, as a first start does. */
export function fill(
  folder: string,
  files: Files,
  head: { identity: string; owner: string; slot?: string; stores?: string[] },
): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true, mode: 0o755 });
    writeFileSync(join(folder, name), content, { mode: 0o644 });
  }
  mkdirSync(join(folder, ".sealift"), { recursive: true, mode: 0o700 });
  const lines = linesOf(folder, "");
  const marker = [
    "sealift-ready 1",
    `identity ${head.identity}`,
    `package ${head.owner}`,
    ...(head.slot ? [`slot ${head.slot}`] : []),
    ...(head.stores ?? []).map((sha256) => `store ${sha256}`),
    "files",
    ...lines,
    `end ${lines.length}`,
    "",
  ];
  writeFileSync(join(folder, ".sealift", "ready"), marker.join("\n"), { mode: 0o600 });
}

function linesOf(folder: string, prefix: string): string[] {
  return readdirSync(join(folder, prefix))
    .sort()
    .filter((name) => prefix !== "" || name !== ".sealift")
    .flatMap((name) => {
      const path = prefix === "" ? name : `${prefix}/${name}`;
      const info = lstatSync(join(folder, path), { bigint: true });
      const mode = (info.mode & 0o777n).toString(8).padStart(4, "0");
      if (info.isSymbolicLink()) return [`l 0 0 0777 ${path}`];
      if (info.isDirectory()) return [`d 0 0 ${mode} ${path}`, ...linesOf(folder, path)];
      return [`f ${info.size} ${info.mtimeNs} ${mode} ${path}`];
    });
}

/** A ready work environment. @returns its id and path */
export function addEnvironment(
  base: string,
  name: string,
  options: { version?: string; files?: Files; stores?: string[]; identity?: string } = {},
) {
  const version = options.version ?? "1.0";
  const identity = options.identity ?? digest(`${name} ${version}`);
  const id = `${name}-${version}-${identity.slice(0, 16)}`;
  const path = join(base, "workenv", id);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  fill(path, options.files ?? { "app/main.txt": "hello\n", "bin/run": "#!/bin/sh\n" }, {
    identity,
    owner: `${name} ${version}`,
    stores: options.stores ?? [],
  });
  return { id, path, identity };
}

/** A ready shared slot. */
export function addShared(base: string, text: string, files: Files = { "lib/x.txt": text }) {
  const sha256 = digest(text);
  const path = join(base, "store", sha256);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  fill(path, files, { identity: sha256, owner: "- -", slot: "0000000000001b01 100" });
  return { sha256, path };
}
