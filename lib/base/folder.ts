/**
 * The user's folders, by the same rules as the launchers (docs/reference/launcher.md, "Folders"): our own variable, then
 * XDG, then the platform's place. Nothing is created here.
 */
import { posix, win32 } from "node:path";

import { EnvironmentError } from "./errors.ts";

type Env = Record<string, string | undefined>;

interface Rule {
  /** Holds the folder itself. */
  own?: string;
  /** Hold a parent: `<value>/sealift`. */
  xdg: string;
  linux: string[];
  darwin: string[];
  windows: [variable: string, ...parts: string[]];
}

const RULES = {
  cache: {
    own: "SEALIFT_CACHE",
    xdg: "XDG_CACHE_HOME",
    linux: [".cache", "sealift"],
    darwin: ["Library", "Caches", "sealift"],
    windows: ["LOCALAPPDATA", "sealift", "cache"],
  },
  data: {
    own: "SEALIFT_DATA",
    xdg: "XDG_DATA_HOME",
    linux: [".local", "share", "sealift"],
    darwin: ["Library", "Application Support", "sealift"],
    windows: ["LOCALAPPDATA", "sealift", "data"],
  },
  config: {
    xdg: "XDG_CONFIG_HOME",
    linux: [".config", "sealift"],
    darwin: ["Library", "Application Support", "sealift"],
    windows: ["APPDATA", "sealift"],
  },
} satisfies Record<string, Rule>;

/** Base of work environments and shared slots. Throws `EnvironmentError`: `CACHE_RELATIVE`, `CACHE_UNSET`. */
export function cacheFolder(env: Env = process.env, platform: string = process.platform): string {
  return folder(RULES.cache, env, platform);
}

/** Base of what applications keep; errors as `cacheFolder`. */
export function dataFolder(env: Env = process.env, platform: string = process.platform): string {
  return folder(RULES.data, env, platform);
}

/** Where the user's trust store and settings are; errors as `cacheFolder`. */
export function configFolder(env: Env = process.env, platform: string = process.platform): string {
  return folder(RULES.config, env, platform);
}

function folder(rule: Rule, env: Env, platform: string): string {
  const { join } = platform === "win32" ? win32 : posix;
  const own = rule.own === undefined ? undefined : absolute(rule.own, env, platform);
  if (own !== undefined) return own;
  const xdg = absolute(rule.xdg, env, platform);
  if (xdg !== undefined) return join(xdg, "sealift");

  const [variable, ...parts] =
    platform === "win32"
      ? rule.windows
      : (["HOME", ...(platform === "darwin" ? rule.darwin : rule.linux)] as const);
  const home = absolute(variable, env, platform);
  if (home !== undefined) return join(home, ...parts);
  throw new EnvironmentError(
    "CACHE_UNSET",
    `There is no folder for sealift: ${variable} is not set`,
    {
      hint: `Set ${rule.own ?? rule.xdg} to a folder that you own.`,
      details: { variable },
    },
  );
}

/** The value of a variable that must hold an absolute path; unset and empty are the same. */
function absolute(name: string, env: Env, platform: string): string | undefined {
  const value = env[name];
  if (value === undefined || value === "") return undefined;
  if ((platform === "win32" ? win32 : posix).isAbsolute(value)) return value;
  throw new EnvironmentError("CACHE_RELATIVE", `${name}=${value} is not an absolute path`, {
    hint: "Set it to an absolute path.",
    details: { variable: name, actual: value },
  });
}
