/** The keys of `[tool.sealift.build]` that say where packages come from. */
import * as v from "valibot";

import { FullText } from "./fields.ts";

/** Entries for the table's schema. */
export const INDEX_KEYS = {
  index_url: v.optional(FullText),
  extra_index_urls: v.optional(v.array(FullText)),
  trusted_hosts: v.optional(v.array(FullText)),
  find_links: v.optional(v.union([FullText, v.array(FullText)])),
  ca_file: v.optional(FullText),
};

/** Wishes as written, not yet joined with the command line and the environment. */
export interface IndexWishes {
  /** Address, or `NAME=ADDRESS`; stands for the default index. */
  indexUrl?: string | undefined;
  extraIndexUrls?: string[] | undefined;
  /** `HOST` or `HOST:PORT`. */
  trustedHosts?: string[] | undefined;
  /** Folders of wheels and source distributions. */
  findLinks?: string[] | undefined;
  /** PEM file that stands for the system's certificates. */
  caFile?: string | undefined;
}

const Keys = v.object(INDEX_KEYS);

export function indexWishes(table: v.InferOutput<typeof Keys> | undefined): IndexWishes {
  const links = table?.find_links;
  return {
    indexUrl: table?.index_url,
    extraIndexUrls: table?.extra_index_urls,
    trustedHosts: table?.trusted_hosts,
    findLinks: typeof links === "string" ? [links] : links,
    caFile: table?.ca_file,
  };
}
