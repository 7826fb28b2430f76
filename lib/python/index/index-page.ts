/**
 * The page of one project on a package index: JSON (PEP 691, 700) or HTML (PEP 503, 592, 658). Pure: text in, files out. What is
 * no file of the project's (another protocol, a name that no file system would take) is left out, because pages hold much.
 */
import { NetworkError, redacted } from "../../base/mod.ts";
import { isFileName } from "../pep/names.ts";

/** One file that the index offers. */
export interface IndexFile {
  /** File name, checked: no separators. */
  file: string;
  /** Absolute, without a login. */
  url: string;
  /** Lower-case hex; an index need not know it. */
  sha256?: string;
  /** Withdrawn by its author, with the reason, or an empty text. */
  yanked?: string;
  requiresPython?: string;
  size?: number;
}

/** Most files that a page may list. */
const MAX_FILES = 200_000;

/** The files of a page that came from `url`. `NetworkError("INDEX_PAGE")` when it is neither JSON nor HTML of that kind. */
export function readIndexPage(text: string, contentType: string, url: string): IndexFile[] {
  const [type = ""] = contentType.toLowerCase().split(";");
  if (type.trim().endsWith("json")) return readJson(text, url);
  if (type.trim().endsWith("html")) return readHtml(text, url);
  throw bad(url, `its content type is ${JSON.stringify(type.slice(0, 100))}`);
}

function readJson(text: string, url: string): IndexFile[] {
  let page: unknown;
  try {
    page = JSON.parse(text);
  } catch (cause) {
    throw bad(url, "it is not JSON", cause);
  }
  const { meta, files } = asRecord(page);
  const version = asRecord(meta)["api-version"];
  if (typeof version !== "string" || !/^1\.\d+$/.test(version))
    throw bad(url, `its api-version is ${JSON.stringify(version) ?? "missing"}, not 1.x`);
  if (!Array.isArray(files)) throw bad(url, "it has no list of files");
  return limited(files, url).flatMap((item: unknown) => {
    const entry = asRecord(item);
    const { filename, yanked, size } = entry;
    const address = entry.url;
    if (typeof filename !== "string" || typeof address !== "string") return [];
    const requires = entry["requires-python"];
    return made(filename, address, url, {
      sha256: asRecord(entry.hashes).sha256,
      yanked: yanked === true ? "" : typeof yanked === "string" ? yanked : undefined,
      requiresPython: typeof requires === "string" ? requires : undefined,
      size,
    });
  });
}

function readHtml(text: string, url: string): IndexFile[] {
  const anchors: Record<string, string>[] = [];
  let base = url;
  const rewriter = new HTMLRewriter()
    .on("base[href]", {
      element(element) {
        const href = unescaped(element.getAttribute("href") ?? "");
        base = URL.parse(href, url)?.href ?? base;
      },
    })
    .on("a[href]", {
      element(element) {
        anchors.push(Object.fromEntries(element.attributes));
      },
    });
  try {
    rewriter.transform(text);
  } catch (cause) {
    throw bad(url, "it is not HTML", cause);
  }
  return limited(anchors, url).flatMap((anchor) => {
    const address = URL.parse(unescaped(anchor.href ?? ""), base);
    if (address === null) return [];
    const filename = decoded(address.pathname.split("/").at(-1) ?? "");
    const yanked = anchor["data-yanked"];
    const requires = anchor["data-requires-python"];
    return made(filename, address.href, base, {
      sha256: /^#sha256=([0-9a-fA-F]{64})/.exec(address.hash)?.[1],
      yanked: yanked === undefined ? undefined : unescaped(yanked),
      requiresPython: requires === undefined ? undefined : unescaped(requires),
    });
  });
}

interface Facts {
  sha256?: unknown;
  yanked?: string | undefined;
  requiresPython?: string | undefined;
  size?: unknown;
}

function made(file: string, address: string, base: string, facts: Facts): IndexFile[] {
  const url = URL.parse(address, base);
  if (!isFileName(file) || url === null) return [];
  if (url.protocol !== "https:" && url.protocol !== "http:") return [];
  url.hash = "";
  // A login in a link would be sent as it is; those of the settings go to their own hosts only.
  url.username = "";
  url.password = "";
  const found: IndexFile = { file, url: url.href };
  if (typeof facts.sha256 === "string" && /^[0-9a-fA-F]{64}$/.test(facts.sha256))
    found.sha256 = facts.sha256.toLowerCase();
  if (facts.yanked !== undefined) found.yanked = facts.yanked;
  if (facts.requiresPython) found.requiresPython = facts.requiresPython;
  if (typeof facts.size === "number" && Number.isSafeInteger(facts.size) && facts.size >= 0)
    found.size = facts.size;
  return [found];
}

function limited<T>(items: T[], url: string): T[] {
  if (items.length <= MAX_FILES) return items;
  throw bad(url, `it lists ${items.length} files`);
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Character references as they stand in attributes of such pages; others stay as they are. */
function unescaped(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w{1,8}));/gi,
    (whole, hex, number, name) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const code = hex === undefined ? Number(number) : Number.parseInt(hex, 16);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

function bad(url: string, what: string, cause?: unknown): NetworkError {
  return new NetworkError(
    "INDEX_PAGE",
    `${redacted(url)}: is no page of a package index: ${what}`,
    {
      hint: "Check the address of the index; it usually ends in /simple/.",
      details: { url: redacted(url) },
      cause,
    },
  );
}
