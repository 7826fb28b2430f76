/**
 * Fills a folder with everything a release page serves:
 *
 *   latest                     the version
 *   install.sh, install.ps1    with the page's address and the publisher's key filled in
 *   v<version>/                binaries, SHA256SUMS, SHA256SUMS.sig, release.pub, THIRD-PARTY-NOTICES.txt, LICENSE
 *
 *   npm run release -- --key FILE [--url URL] [--out DIR] [--host-only]
 *
 * The key is an Ed25519 private key (PEM); its passphrase, if any, is read from SEALIFT_KEY_PASSPHRASE.
 */

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { sha256File } from "../lib/codec/mod.ts";
import { loadSigner, publicKeyPem, type Signer } from "../lib/trust/mod.ts";
import manifest from "../package.json";
import { thirdPartyNotices } from "./notices.ts";
import { hostTarget, type Target, TARGETS } from "./targets.ts";

const ROOT = join(import.meta.dir, "..");

const { values } = parseArgs({
  options: {
    key: { type: "string" },
    url: { type: "string", default: "" },
    out: { type: "string", default: join(ROOT, "dist") },
    "host-only": { type: "boolean", default: false },
  },
});
if (values.key === undefined) {
  console.error(
    "release: name the publisher's private key with --key FILE; a release is always signed",
  );
  process.exit(2);
}
await release(
  await loadSigner(values.key, passphrase()),
  resolve(values.out),
  values.url,
  values["host-only"],
);

async function release(signer: Signer, out: string, url: string, hostOnly: boolean): Promise<void> {
  const { version } = manifest;
  const folder = join(out, `v${version}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const targets = hostOnly ? hostTargets() : TARGETS;
  await build(hostOnly);
  const names = targets.map((target) => placeBinary(target, folder, version, hostOnly));
  writeFileSync(join(folder, "THIRD-PARTY-NOTICES.txt"), thirdPartyNotices());
  copyFileSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  await sign(folder, [...names, "LICENSE", "THIRD-PARTY-NOTICES.txt"].sort(), signer);
  writeFileSync(join(out, "latest"), `${version}\n`);
  writeInstallers(out, url, signer);
  console.log(`released ${version} for ${targets.map(({ name }) => name).join(", ")} into ${out}`);
}

function hostTargets(): Target[] {
  const host = hostTarget();
  if (host === undefined)
    throw new Error(`sealift is not compiled for ${process.platform} ${process.arch}`);
  return [host];
}

async function build(hostOnly: boolean): Promise<void> {
  if (hostOnly && existsSync(join(ROOT, "dist", "sealift"))) return;
  const command = [
    process.execPath,
    join(ROOT, "scripts", "build.ts"),
    ...(hostOnly ? [] : ["--all"]),
  ];
  const code = await Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit"] }).exited;
  if (code !== 0) throw new Error(`scripts/build.ts ended with exit code ${code}`);
}

function placeBinary(target: Target, folder: string, version: string, hostOnly: boolean): string {
  const ending = target.name.startsWith("windows") ? ".exe" : "";
  const name = `sealift-${version}-${target.name}${ending}`;
  const built = hostOnly ? `sealift${ending}` : `sealift-${target.name}${ending}`;
  copyFileSync(join(ROOT, "dist", built), join(folder, name));
  chmodSync(join(folder, name), 0o755);
  return name;
}

/** `SHA256SUMS` in the format of coreutils, and its Ed25519 signature as 64 raw bytes. */
async function sign(folder: string, names: string[], signer: Signer): Promise<void> {
  const lines: string[] = [];
  for (const name of names) lines.push(`${await sha256File(join(folder, name))}  ${name}\n`);
  const sums = new TextEncoder().encode(lines.join(""));
  writeFileSync(join(folder, "SHA256SUMS"), sums);
  writeFileSync(join(folder, "SHA256SUMS.sig"), signer.sign(sums));
  writeFileSync(join(folder, "release.pub"), publicKeyPem(signer.publicKey));
}

function writeInstallers(out: string, url: string, signer: Signer): void {
  for (const [name, variables] of [
    ["install.sh", ["RELEASE_URL=", "RELEASE_KEY="]],
    ["install.ps1", ["$ReleaseUrl = ", "$ReleaseKey = "]],
  ] as const) {
    const [address, key] = variables;
    const text = readFileSync(join(ROOT, "scripts", name), "utf8");
    const filled = fill(fill(text, address, url), key, publicKey(signer));
    writeFileSync(join(out, name), filled);
    chmodSync(join(out, name), 0o755);
  }
}

function fill(text: string, variable: string, value: string): string {
  if (/['\n]/.test(value)) throw new Error(`${value} cannot stand in a quoted string`);
  if (!text.includes(`\n${variable}''`)) throw new Error(`the installer has no line ${variable}''`);
  return text.replace(`\n${variable}''`, () => `\n${variable}'${value}'`);
}

/** SubjectPublicKeyInfo (RFC 8410), base64: the line between the dashes of its PEM. */
function publicKey(signer: Signer): string {
  return publicKeyPem(signer.publicKey).split("\n")[1] as string;
}

function passphrase(): { passphrase?: string } {
  const value = process.env.SEALIFT_KEY_PASSPHRASE;
  return value === undefined ? {} : { passphrase: value };
}
