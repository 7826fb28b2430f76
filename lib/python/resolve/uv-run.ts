/** How uv and pip are started: with the index settings in their own variables, logins never on a command line, and failures told apart. */
import { type Context, FormatError, NetworkError, run, type SealiftError } from "../../base/mod.ts";
import {
  address,
  type IndexAddress,
  type IndexSettings,
  type PythonContext,
  settingsOf,
} from "../index/index-settings.ts";
import type { Login } from "../index/login.ts";
import type { Interpreter } from "../runtime/interpreter.ts";
import type { Tool } from "./tools.ts";

export interface UvUser {
  ctx: PythonContext;
  uv: () => Promise<Tool>;
}

export interface UvCall {
  cwd: string;
  /** Begins the message of a failure. */
  what: string;
  input?: string;
  env?: Record<string, string>;
  /** What to do when uv found the network and its files, but no solution. */
  hint?: string;
  /** Path of a copy, and what the user knows its original by. */
  copy?: { path: string; of: string };
}

/** Runs uv. `RESOLVE` with uv's own explanation, `RESOLVE_NETWORK` when the index cannot be reached, `RESOLVE_OFFLINE`. */
export async function runUv(
  { ctx, uv: find }: UvUser,
  argv: string[],
  call: UvCall,
): Promise<{ stdout: string; stderr: string }> {
  const settings = settingsOf(ctx);
  const global = [
    "--no-progress",
    "--color",
    "never",
    "--no-python-downloads",
    ...(ctx.offline ? ["--offline"] : []),
  ];
  const env = { ...uvEnvironment(ctx.env, settings), ...call.env, VIRTUAL_ENV: undefined };
  const tool = await find();
  const { code, stdout, stderr } = await run([tool.path, ...argv, ...global], {
    cwd: call.cwd,
    env,
    timeoutMs: 1_800_000,
    ...(call.input === undefined ? {} : { input: call.input }),
  });
  const said = scrubbed(new TextDecoder().decode(stderr), settings);
  const words = call.copy === undefined ? said : said.replaceAll(call.copy.path, call.copy.of);
  if (code === 0) return { stdout: new TextDecoder().decode(stdout), stderr: words };
  throw uvFailure(call, code, words, ctx.offline);
}

/** For the commands of uv that look for packages: `--find-links` of the settings. */
export function linkOptions(ctx: PythonContext): string[] {
  return settingsOf(ctx).findLinks.flatMap((folder) => ["--find-links", folder]);
}

/** `env` with the settings as uv's variables, in place of whatever said the same before. */
export function uvEnvironment(env: Context["env"], settings: IndexSettings): Context["env"] {
  // The system's certificates, as sealift itself uses them: networks that inspect traffic are common where packages are made.
  const result: Context["env"] = { UV_SYSTEM_CERTS: "true", UV_NATIVE_TLS: "true", ...env };
  const named = settings.extra.map((index, i) => ({ ...index, name: index.name ?? `sealift${i}` }));
  if (settings.main !== undefined) {
    const main = { ...settings.main, name: settings.main.name ?? "sealift" };
    Object.assign(result, main.login?.variables(main.name), {
      UV_DEFAULT_INDEX: `${main.name}=${main.url}`,
      UV_INDEX_URL: undefined,
    });
  }
  if (named.length > 0) {
    for (const { name, login } of named) Object.assign(result, login?.variables(name));
    result.UV_INDEX = named.map(({ name, url }) => `${name}=${url}`).join(" ");
    result.UV_EXTRA_INDEX_URL = undefined;
  }
  // Folders stand on the command line, also those of pip's variables.
  const pages = env.UV_FIND_LINKS?.split(",").filter((entry) => /^\s*https?:/.test(entry)) ?? [];
  result.UV_FIND_LINKS = pages.length > 0 ? pages.join(",") : undefined;
  if (settings.trusted.length > 0) result.UV_INSECURE_HOST = settings.trusted.join(" ");
  if (settings.caFile !== undefined) result.SSL_CERT_FILE = settings.caFile;
  return result;
}

/** The same for pip, which knows logins in addresses only. */
export function pipEnvironment(env: Context["env"], settings: IndexSettings): Context["env"] {
  const result = { ...env };
  const full = ({ url, login }: IndexAddress) => login?.inside(url) ?? url;
  if (settings.main !== undefined) result.PIP_INDEX_URL = full(settings.main);
  if (settings.extra.length > 0) result.PIP_EXTRA_INDEX_URL = settings.extra.map(full).join(" ");
  if (settings.trusted.length > 0) result.PIP_TRUSTED_HOST = settings.trusted.join(" ");
  if (settings.caFile !== undefined) result.PIP_CERT = settings.caFile;
  if (settings.findLinks.length > 0)
    result.PIP_FIND_LINKS = settings.findLinks
      .map((path) => Bun.pathToFileURL(path).href)
      .join(" ");
  return result;
}

/** A program's words without the logins of the settings, nor others that stand in addresses. */
export function scrubbed(text: string, settings: IndexSettings): string {
  const logins = [settings.main, ...settings.extra].flatMap((index): Login[] =>
    index?.login === undefined ? [] : [index.login],
  );
  const clean = logins.reduce((rest, login) => login.scrub(rest), text);
  return clean.replace(/(\bhttps?:\/\/)[^\s/'"]*@/gi, "$1****@");
}

/**
 * The indexes that uv would ask in the folder `root`, its own configuration there and the machine's included, in its order. uv tells
 * them as the options of a requirement file.
 */
export async function effectiveIndexes(
  user: UvUser & { python: Interpreter },
  root: string,
): Promise<IndexAddress[]> {
  const argv = ["pip", "compile", "-", "--emit-index-url", "--no-header", "--quiet"];
  argv.push("--python", user.python.executable);
  const { stdout } = await runUv(user, argv, {
    cwd: root,
    input: "\n",
    what: "Asking uv for its indexes",
  });
  const of = (option: string) =>
    [...stdout.matchAll(new RegExp(`^--${option} (\\S+)$`, "gm"))].map(([, text = ""]) =>
      address(text, user.ctx.env),
    );
  return [...of("extra-index-url"), ...of("index-url")];
}

const UNREACHABLE =
  /error sending request|Failed to fetch|dns error|Connection refused|connection closed|operation timed out|Could not connect|error decoding response body|request or response body error|invalid peer certificate|Unsupported `Content-Type`|Received some unexpected (?:JSON|HTML)|HTTP status (?:server|client) error|Failed to (?:download|read metadata)/i;
const REFUSED = /\b(?:401 Unauthorized|403 Forbidden)\b/;

function uvFailure(
  { what, hint }: UvCall,
  code: number,
  stderr: string,
  offline: boolean,
): SealiftError {
  const lines = stderr.trim().split("\n");
  // What uv was doing when it failed is no part of why.
  const first = lines.findIndex((line) => /^(?:error:|\s*×)/.test(line));
  const explanation = lines.slice(Math.max(first, 0)).slice(-40).join("\n");
  const details = { code, stderr: explanation };
  if (offline) {
    return new NetworkError(
      "RESOLVE_OFFLINE",
      `${what} failed without the network:\n${explanation}`,
      {
        hint: "Run it once without `--offline`, name a folder of wheels with --find-links, or use a lock with `--frozen`.",
        details,
      },
    );
  }
  if (REFUSED.test(stderr)) {
    return new NetworkError(
      "RESOLVE_REFUSED",
      `${what} failed, because the index refused access:\n${explanation}`,
      {
        hint: "Check the login: in netrc, in UV_INDEX_<NAME>_USERNAME and _PASSWORD, or in the address.",
        details,
      },
    );
  }
  if (UNREACHABLE.test(stderr)) {
    return new NetworkError(
      "RESOLVE_NETWORK",
      `${what} failed, because the index cannot be reached or does not answer as one:\n${explanation}`,
      {
        hint: "Check the connection, the proxy variables and the address of the index (--index-url); `--offline` takes what the cache holds.",
        details,
      },
    );
  }
  return new FormatError("RESOLVE", `${what} failed:\n${explanation}`, {
    hint:
      hint ?? "The explanation is uv's; change the requirements or the Python version accordingly.",
    details,
  });
}
