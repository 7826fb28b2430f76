/**
 * What a connection to an index may do, decided for every address anew, also behind redirects: which login goes along (that of the
 * host itself and of no other), whether plain http will do, and which certificates count.
 */
import { readFileSync } from "node:fs";

import { type HttpAccess, ioError } from "../../base/mod.ts";
import { type IndexAddress, type IndexSettings, isLoopback, isTrusted } from "./index-settings.ts";
import type { Login } from "./login.ts";

/** For `httpGet` and `httpDownload`. `further` are indexes that the settings do not hold. */
export function indexAccess(settings: IndexSettings, further: IndexAddress[] = []): HttpAccess {
  const indexes = [...further, ...settings.extra, settings.main ?? []].flat();
  const ca = settings.caFile === undefined ? undefined : readCertificates(settings.caFile);
  return (url) => {
    const login = loginFor(url, indexes) ?? settings.netrc(url.hostname);
    const trusted = isTrusted(settings, url);
    return {
      headers: login === undefined ? {} : { authorization: login.header() },
      plain: trusted || isLoopback(url.hostname),
      trusted,
      ...(ca !== undefined && { ca }),
    };
  };
}

/** The login of the index whose address is the longest beginning of `url`, else of one at the same origin. */
function loginFor(url: URL, indexes: IndexAddress[]): Login | undefined {
  const same = indexes.filter((index) => new URL(index.url).origin === url.origin && index.login);
  const depth = (index: IndexAddress) => {
    const { pathname } = new URL(index.url);
    const folder = pathname.endsWith("/") ? pathname : `${pathname}/`;
    return url.pathname.startsWith(folder) ? folder.length : 0;
  };
  return same.toSorted((a, b) => depth(b) - depth(a))[0]?.login;
}

function readCertificates(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw ioError(error, path);
  }
}
