/**
 * A commit of a Git repository as a folder in the cache, fetched once. The commit is a hash of its content, so what is there is right
 * for ever. The history and its tags stay beside the files, because build backends ask them for a version.
 */
import { join, resolve } from "node:path";

import {
  type Context,
  EnvironmentError,
  findProgram,
  NetworkError,
  requireNetwork,
  run,
} from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { cachedFolder } from "../cache.ts";
import type { GitSource } from "../lock/locked.ts";

/** Nothing that runs a program of the repository's choice. */
const REMOTE = "https:ssh:http:git";
/** A repository from elsewhere may not name folders of this machine as its submodules. */
const PROTOCOLS = `${REMOTE}:file`;

/** The work tree of the commit. `GIT_MISSING`, `GIT_COMMIT`, `GIT_FETCH`, `OFFLINE`. `name` is the package it is for. */
export async function gitCheckout(ctx: Context, git: GitSource, name: string): Promise<string> {
  const id = sha256Hex(new TextEncoder().encode(git.url)).slice(0, 32);
  const place = join(ctx.cacheDir, "python", "git", `${id}-${git.commit}`);
  return await cachedFolder(place, async (folder) => {
    const shown = withoutLogin(git.url);
    if (findProgram("git", ctx.env) === undefined) {
      throw new EnvironmentError(
        "GIT_MISSING",
        `${name} comes from ${shown}, and the program git was not found`,
        {
          hint: "Install Git or put its folder into PATH.",
          details: { package: name, url: shown },
        },
      );
    }
    if (!isLocal(git.url)) requireNetwork(ctx, `Fetching ${name} (${shown})`);
    ctx.progress.step(`Fetching ${name} from ${shown}`);
    const refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
    await call(ctx, folder, ["init", "--quiet"], git);
    await call(ctx, folder, ["fetch", "--quiet", "--", git.url, ...refs], git);
    // A commit that no branch or tag leads to has to be asked for by its name.
    if (!(await has(ctx, folder, git.commit)))
      await call(ctx, folder, ["fetch", "--quiet", "--", git.url, git.commit], git);
    await call(ctx, folder, ["checkout", "--quiet", "--detach", git.commit], git);
    const submodules = ["submodule", "--quiet", "update", "--init", "--recursive"];
    await call(ctx, folder, submodules, git, submoduleProtocols(ctx, git));
  });
}

/** A repository of this machine may have submodules elsewhere, which `--offline` leaves alone. */
function submoduleProtocols({ offline }: Context, { url }: GitSource): string {
  if (!isLocal(url)) return REMOTE;
  return offline ? "file" : PROTOCOLS;
}

/** Where the sources come from, in the words of PEP 508: `git+https://…@COMMIT#subdirectory=…`. */
export function gitOrigin(git: GitSource, subdirectory?: string): string {
  const below = subdirectory === undefined ? "" : `#subdirectory=${subdirectory}`;
  return `git+${withoutLogin(git.url)}@${git.commit}${below}`;
}

/** The same source; a path in it starts from `base`. */
export function gitFrom(git: GitSource, base: string): GitSource {
  return isPath(git.url) ? { ...git, url: resolve(base, git.url) } : git;
}

function isLocal(url: string): boolean {
  return url.startsWith("file:") || isPath(url);
}

/** Neither a URL nor `user@host:path`. */
function isPath(url: string): boolean {
  return !url.includes("://") && !/^[^/]+@[^/]+:/.test(url);
}

function withoutLogin(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/]*@/i, "$1").slice(0, 300);
}

async function has(ctx: Context, folder: string, commit: string): Promise<boolean> {
  return (await git(ctx, folder, ["cat-file", "-e", `${commit}^{commit}`])).code === 0;
}

async function call(
  ctx: Context,
  folder: string,
  argv: string[],
  source: GitSource,
  protocols = PROTOCOLS,
): Promise<void> {
  const { code, stderr } = await git(ctx, folder, argv, protocols);
  if (code === 0) return;
  const words = new TextDecoder()
    .decode(stderr)
    .replace(/(\/\/)[^/\s]*@/g, "$1")
    .trim()
    .split("\n")
    .slice(-10)
    .join("\n");
  const shown = withoutLogin(source.url);
  const details = { url: shown, commit: source.commit };
  if (/not our ref|did not contain|reference is not a tree|unadvertised object/i.test(words)) {
    throw new NetworkError("GIT_COMMIT", `${shown} has no commit ${source.commit}:\n${words}`, {
      hint: "It may have been removed by a forced push; make the lock again.",
      details,
    });
  }
  throw new NetworkError("GIT_FETCH", `git ${argv[0]} failed for ${shown}:\n${words}`, {
    hint: "Check the address and that you may read the repository; git must not have to ask for a password.",
    details,
  });
}

async function git(ctx: Context, folder: string, argv: string[], protocols = PROTOCOLS) {
  const fixed = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.autocrlf=false",
    "-c",
    "advice.detachedHead=false",
  ];
  return await run(["git", ...fixed, ...argv], {
    cwd: folder,
    env: {
      ...ctx.env,
      GIT_TERMINAL_PROMPT: "0",
      GIT_ALLOW_PROTOCOL: protocols,
      // Variables of a hook or an alias that this may run in, which would name another repository.
      GIT_DIR: undefined,
      GIT_WORK_TREE: undefined,
      GIT_INDEX_FILE: undefined,
    },
    timeoutMs: 1_800_000,
  });
}
