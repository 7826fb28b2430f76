/**
 * Where packages come from, as one value that everything uses: uv, pip, and sealift's own downloads. Joined from the command line,
 * the environment (`UV_*`, then `PIP_*`) and the manifest, in this order; where none of them names an index, uv's own configuration counts.
 */
import { existsSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";

import { type Context, EnvironmentError, redacted, UsageError } from "../../base/mod.ts";
import type { IndexWishes } from "../project/index-keys.ts";
import { type Login, loginFromEnv, loginOf, readNetrc } from "./login.ts";

export interface IndexAddress {
  /** Of `NAME=ADDRESS`; names the variables of its login. */
  name?: string;
  /** Without a login. */
  url: string;
  login?: Login;
}

export interface IndexSettings {
  /** Absent: uv's own configuration counts, else the public index. */
  main?: IndexAddress;
  /** Asked before the main one. */
  extra: IndexAddress[];
  /** Absolute folders. */
  findLinks: string[];
  /** `host` or `host:port`, lower case: plain http and unproven certificates are accepted there, and nowhere else. */
  trusted: string[];
  /** Absolute; certificates that stand for the system's. */
  caFile?: string;
  /** Silence after which a connection is given up, when the user says so. */
  idleMs?: number;
  /** For files and redirects on other hosts. netrc's `default` is for indexes only: it would follow every link. */
  netrc(host: string): Login | undefined;
}

/** What every function of this room may ask of its context. */
export interface PythonContext extends Context {
  index?: IndexSettings;
}

type Env = Record<string, string | undefined>;

/** Those of a run; where nothing was joined for it, what the environment says. */
export function settingsOf(ctx: PythonContext): IndexSettings {
  return ctx.index ?? indexSettings({}, {}, ".", ctx.env);
}

/**
 * @param options of the command line; relative paths start from the current folder
 * @param wishes of the manifest; relative paths start from `root`
 * Errors: `UsageError("INDEX_URL" | "INDEX_PLAIN" | "TRUSTED_HOST")`, `EnvironmentError("FIND_LINKS" | "CA_FILE")`.
 */
export function indexSettings(
  options: IndexWishes,
  wishes: IndexWishes,
  root: string,
  env: Env,
): IndexSettings {
  const netrc = readNetrc(env);
  const main = [
    options.indexUrl,
    env.UV_DEFAULT_INDEX,
    env.UV_INDEX_URL,
    env.PIP_INDEX_URL,
    wishes.indexUrl,
  ].find(Boolean);
  const uvExtra = [...words(env.UV_INDEX), ...words(env.UV_EXTRA_INDEX_URL)];
  const extra = [
    ...(options.extraIndexUrls ?? []),
    ...(uvExtra.length > 0 ? uvExtra : words(env.PIP_EXTRA_INDEX_URL)),
    ...(wishes.extraIndexUrls ?? []),
  ].map((text) => address(text, env, netrc));
  const trusted = [
    ...(options.trustedHosts ?? []),
    ...words(env.UV_INSECURE_HOST),
    ...words(env.PIP_TRUSTED_HOST),
    ...(wishes.trustedHosts ?? []),
  ].map(trustedHost);
  const links = [
    ...named(options.findLinks, "."),
    ...foundFolders([...commas(env.UV_FIND_LINKS), ...words(env.PIP_FIND_LINKS)]),
    ...named(wishes.findLinks, root),
  ];
  const caFile =
    file(options.caFile, ".") ??
    file(wishes.caFile, root) ??
    (env.SSL_CERT_FILE && existsSync(env.SSL_CERT_FILE) ? resolve(env.SSL_CERT_FILE) : undefined);
  const seconds = Number(env.UV_HTTP_TIMEOUT ?? env.UV_REQUEST_TIMEOUT ?? env.HTTP_TIMEOUT ?? 0);
  const settings: IndexSettings = {
    ...(main !== undefined && { main: address(main, env, netrc) }),
    extra: extra.filter((a, i) => extra.findIndex((b) => b.url === a.url) === i),
    findLinks: [...new Set(links)],
    trusted: [...new Set(trusted)],
    ...(caFile !== undefined && { caFile }),
    ...(seconds > 0 && { idleMs: seconds * 1000 }),
    netrc: (host) => (host === "" ? undefined : netrc.get(host)),
  };
  for (const { url } of [settings.main ?? [], settings.extra].flat()) refusePlain(url, settings);
  return settings;
}

/** Packages over plain http can be changed by everybody on the way. */
function refusePlain(url: string, settings: IndexSettings): void {
  const { protocol, hostname, host } = new URL(url);
  if (protocol === "https:" || isLoopback(hostname) || isTrusted(settings, new URL(url))) return;
  throw new UsageError("INDEX_PLAIN", `${redacted(url)}: plain http shows and trusts everybody`, {
    hint: `Use https, or accept it for this host: --trusted-host ${host}.`,
    details: { host },
  });
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** An address as people write it: `ADDRESS` or `NAME=ADDRESS`, with or without a login. */
export function address(
  text: string,
  env: Env,
  netrc: Map<string, Login> = readNetrc(env),
): IndexAddress {
  const [, name, rest = ""] = /^(?:([A-Za-z0-9._-]+)=)?(.*)$/s.exec(text.trim()) ?? [];
  const url = URL.parse(rest);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new UsageError(
      "INDEX_URL",
      `${redacted(rest)}: is not the http or https address of an index`,
      {
        hint: "Write it like https://example.org/simple/, or NAME=https://…; a folder goes to --find-links.",
      },
    );
  }
  const own = loginOf(url);
  url.username = "";
  url.password = "";
  url.hash = "";
  const login =
    own ??
    (name === undefined ? undefined : loginFromEnv(name, env)) ??
    netrc.get(url.hostname) ??
    netrc.get("");
  return {
    ...(name !== undefined && { name }),
    url: url.href,
    ...(login !== undefined && { login }),
  };
}

function trustedHost(text: string): string {
  const host = text.trim().toLowerCase();
  if (/^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.test(host)) return host;
  throw new UsageError("TRUSTED_HOST", `${redacted(text)}: is not the name of a host`, {
    hint: "Write HOST or HOST:PORT, without a scheme, path or `*`.",
  });
}

export function isTrusted(settings: IndexSettings, url: URL): boolean {
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const host = url.hostname.toLowerCase();
  return settings.trusted.some((entry) => entry === host || entry === `${host}:${port}`);
}

function named(folders: string[] | undefined, base: string): string[] {
  return (folders ?? []).map((folder) => {
    const path = resolve(base, folder);
    if (isFolder(path)) return path;
    throw new EnvironmentError("FIND_LINKS", `${path}: is no folder of packages`, {
      hint: "Name a folder that holds wheels.",
      details: { path },
    });
  });
}

/** pip takes addresses and folders that are not there; only folders are of use here. */
function foundFolders(entries: string[]): string[] {
  return entries
    .map((entry) => (entry.startsWith("file://") ? Bun.fileURLToPath(entry) : entry))
    .filter((entry) => isAbsolute(entry) || !entry.includes("://"))
    .map((entry) => resolve(entry))
    .filter(isFolder);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function file(path: string | undefined, base: string): string | undefined {
  if (path === undefined) return undefined;
  const full = resolve(base, path);
  if (statSync(full, { throwIfNoEntry: false })?.isFile() === true) return full;
  throw new EnvironmentError("CA_FILE", `${full}: the file of certificates is not there`, {
    hint: "Name a PEM file with --ca-file, build.ca_file or SSL_CERT_FILE.",
    details: { path: full },
  });
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}

function commas(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}
