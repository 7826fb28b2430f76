/**
 * The package index, asked by sealift itself: which files a project has. For locks that know hashes but no addresses; what is
 * installed remains the resolver's word. The first index that has the project answers for it, as with uv, so that a name of
 * an extra index is never mixed with the same name of the public one.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

import { type Context, httpGet, NetworkError } from "../../base/mod.ts";
import { sha256File } from "../../codec/mod.ts";
import { normaliseName } from "../pep/names.ts";
import { effectiveIndexes, type UvUser } from "../resolve/uv-run.ts";
import type { Interpreter } from "../runtime/interpreter.ts";
import { indexAccess } from "./index-access.ts";
import { type IndexFile, readIndexPage } from "./index-page.ts";
import { address, type IndexAddress, type PythonContext, settingsOf } from "./index-settings.ts";

export type { IndexFile } from "./index-page.ts";

export interface FindOptions {
  /** The project's folder: uv's configuration there counts too. */
  root: string;
  /** Ask this index only, as a lock may say for one package. */
  index?: string;
}

type Finder = UvUser & { python: Interpreter };

const MAX_PAGE = 128 << 20;
const ACCEPT =
  "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";

/**
 * The files of the project `name`, those of `find_links` folders first (as `file:` addresses); empty when no index has it. A
 * page is asked for once in a run. Errors: as `httpGet`, and `NetworkError("INDEX_PAGE")`; under `--offline` only folders answer,
 * and a project in none of them is `OFFLINE`.
 */
export async function findFiles(
  resolver: Finder,
  name: string,
  options: FindOptions,
): Promise<IndexFile[]> {
  const { ctx } = resolver;
  const settings = settingsOf(ctx);
  const wanted = normaliseName(name);
  const local = await linkedFiles(settings.findLinks, wanted);
  if (ctx.offline && local.length > 0) return local;
  const indexes =
    options.index === undefined
      ? await indexesOf(resolver, options.root)
      : [known(address(options.index, ctx.env), [settings.main ?? [], settings.extra].flat())];
  for (const index of indexes) {
    const files = await pageOf(ctx, index, wanted);
    if (files !== undefined) return [...local, ...files];
  }
  return local;
}

/** An index that the lock names without a login takes the one of the settings. */
function known(wanted: IndexAddress, settings: IndexAddress[]): IndexAddress {
  const bare = (url: string) => url.replace(/\/+$/, "");
  return settings.find(({ url }) => bare(url) === bare(wanted.url)) ?? wanted;
}

/** By run: the resolver is made for one. */
const asked = new WeakMap<Context, Map<string, Promise<IndexFile[] | undefined>>>();
const configured = new WeakMap<Context, Map<string, Promise<IndexAddress[]>>>();

async function indexesOf(resolver: Finder, root: string): Promise<IndexAddress[]> {
  const { ctx } = resolver;
  const { main, extra } = settingsOf(ctx);
  if (main !== undefined) return [...extra, main];
  return await once(configured, ctx, root, () => effectiveIndexes(resolver, root));
}

/** The project's page; undefined when the index does not have it. */
async function pageOf(
  ctx: PythonContext,
  index: IndexAddress,
  name: string,
): Promise<IndexFile[] | undefined> {
  const base = index.url.endsWith("/") ? index.url : `${index.url}/`;
  const url = new URL(`${name}/`, base).href;
  const { idleMs } = settingsOf(ctx);
  return await once(asked, ctx, url, async () => {
    try {
      const page = await httpGet(ctx, url, {
        maxBytes: MAX_PAGE,
        headers: { accept: ACCEPT },
        purpose: `Looking ${name} up in the index`,
        ...(idleMs !== undefined && { idleMs }),
        access: indexAccess(settingsOf(ctx), [index]),
      });
      const text = new TextDecoder().decode(page.bytes);
      return readIndexPage(text, page.headers.get("content-type") ?? "", page.url);
    } catch (error) {
      const isMissing = error instanceof NetworkError && error.details?.status === 404;
      if (isMissing) return undefined;
      throw error;
    }
  });
}

async function once<T>(
  memory: WeakMap<Context, Map<string, Promise<T>>>,
  ctx: Context,
  key: string,
  ask: () => Promise<T>,
): Promise<T> {
  const known = memory.get(ctx) ?? new Map<string, Promise<T>>();
  memory.set(ctx, known);
  const answer = known.get(key) ?? ask();
  known.set(key, answer);
  return await answer;
}

/** Wheels and source distributions of the project that lie in the folders, the first of equal names. */
async function linkedFiles(folders: string[], name: string): Promise<IndexFile[]> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    for (const file of readdirSync(folder).sort()) {
      if (found.has(file) || !belongs(file, name)) continue;
      found.set(file, join(folder, file));
    }
  }
  return await Promise.all(
    [...found].map(async ([file, path]) => ({
      file,
      url: Bun.pathToFileURL(path).href,
      sha256: await sha256File(path),
      size: statSync(path).size,
    })),
  );
}

/** Whether a file name is one of the project's: `name-version-….whl`, `name-version.tar.gz`, where the name may hold dashes. */
function belongs(file: string, name: string): boolean {
  const stem = /^(.+?)-\d[^/]*\.(?:whl|tar\.gz|zip|tar\.bz2|tgz)$/.exec(file)?.[1];
  return stem !== undefined && normaliseName(stem) === name;
}
