/** The package index asked by sealift itself: pages of both kinds, honest and hostile, and which index answers. */
import { afterAll, describe, expect, test } from "bun:test";

import fc from "fast-check";

import { type Context, SealiftError, silentProgress } from "../../../lib/base/mod.ts";
import { readIndexPage } from "../../../lib/python/index/index-page.ts";
import { indexSettings } from "../../../lib/python/index/index-settings.ts";
import { findFiles } from "../../../lib/python/index/index.ts";
import type { IndexWishes } from "../../../lib/python/project/index-keys.ts";
import { findTool } from "../../../lib/python/resolve/tools.ts";
import { codeOf, scratch, writeWheel } from "../fixture.ts";

const H = "ab".repeat(32);
const URL_OF_PAGE = "https://index.test/simple/demo/";
const JSON_TYPE = "application/vnd.pypi.simple.v1+json";
const html = (text: string) => readIndexPage(text, "text/html; charset=utf-8", URL_OF_PAGE);
const json = (page: unknown) => readIndexPage(JSON.stringify(page), JSON_TYPE, URL_OF_PAGE);
const page = (...files: unknown[]) => ({ meta: { "api-version": "1.1" }, name: "demo", files });

describe("readIndexPage()", () => {
  test("reads HTML: relative addresses, digests, yanked files, character references", () => {
    expect(
      html(`<!DOCTYPE html><html><body>
        <a href="../../f/demo-1.0-py3-none-any.whl#sha256=${H.toUpperCase()}" data-requires-python="&gt;=3.8,&#60;4">demo</a>
        <A HREF='/f/demo-2.0.tar.gz' data-yanked="it &amp; that">x</A>
        <a href="demo-3%2B1.zip" data-yanked>y</a></body></html>`),
    ).toEqual([
      {
        file: "demo-1.0-py3-none-any.whl",
        url: "https://index.test/f/demo-1.0-py3-none-any.whl",
        sha256: H,
        requiresPython: ">=3.8,<4",
      },
      { file: "demo-2.0.tar.gz", url: "https://index.test/f/demo-2.0.tar.gz", yanked: "it & that" },
      { file: "demo-3+1.zip", url: `${URL_OF_PAGE}demo-3%2B1.zip`, yanked: "" },
    ]);
  });

  test("a base element counts for relative addresses", () => {
    const [file] = html('<base href="https://files.test/x/"><a href="demo-1.whl">d</a>');
    expect(file?.url).toBe("https://files.test/x/demo-1.whl");
  });

  test("reads JSON", () => {
    const found = json(
      page(
        {
          filename: "demo-1.whl",
          url: "../f/demo-1.whl",
          hashes: { sha256: H },
          size: 7,
          yanked: false,
        },
        {
          filename: "demo-2.whl",
          url: "https://f.test/2",
          hashes: {},
          yanked: "bad",
          "requires-python": ">=3",
        },
      ),
    );
    expect(found).toEqual([
      { file: "demo-1.whl", url: "https://index.test/simple/f/demo-1.whl", sha256: H, size: 7 },
      { file: "demo-2.whl", url: "https://f.test/2", yanked: "bad", requiresPython: ">=3" },
    ]);
  });

  test("leaves out what is no file of a project, and logins in links", () => {
    const names = ["../x.whl", "a/b.whl", "", ".hidden", "x\0.whl", "a".repeat(300), 5, null];
    const files = names.map((filename) => ({ filename, url: "https://f.test/x" }));
    expect(json(page(...files, null, 3, "x", [], {}))).toEqual([]);
    expect(
      html(`<a href="javascript:alert(1)">a</a><a href="file:///etc/passwd">b</a><a href="http://[">c</a>
        <a href="..%2F..%2Fx.whl">d</a><a href="%ZZ.whl">e</a><a>f</a>`),
    ).toEqual([]);
    expect(html('<a href="https://u:p@f.test/demo-1.whl">x</a>')[0]?.url).toBe(
      "https://f.test/demo-1.whl",
    );
    const odd = json(
      page({ filename: "d-1.whl", url: "x", hashes: { sha256: "short" }, size: -1 }),
    );
    expect(odd).toEqual([{ file: "d-1.whl", url: `${URL_OF_PAGE}x` }]);
  });

  const broken: [string, string, string][] = [
    ["no JSON", "{", JSON_TYPE],
    ["another version", '{"meta":{"api-version":"2.0"},"files":[]}', JSON_TYPE],
    ["no version", "[]", JSON_TYPE],
    ["no files", '{"meta":{"api-version":"1.0"},"files":{}}', JSON_TYPE],
    ["another type", "hello", "text/plain"],
    ["no type", "", ""],
  ];
  test.each(broken)("refuses %s", async (_, text, type) => {
    expect(await codeOf(() => readIndexPage(text, type, URL_OF_PAGE))).toBe("INDEX_PAGE");
  });

  test("whatever comes, it is files or one error", () => {
    const part = fc.constantFrom(
      '<a href="',
      "demo-1.whl",
      '">',
      "</a>",
      "<base href=",
      "#sha256=",
      "&#x",
      ";",
      "<!--",
      "\0",
      "é",
      '{"files":[',
      "]}",
    );
    fc.assert(
      fc.property(fc.array(part), fc.constantFrom("text/html", JSON_TYPE), (parts, type) => {
        try {
          for (const { file, url } of readIndexPage(parts.join(""), type, URL_OF_PAGE)) {
            expect(file).toMatch(/^[A-Za-z0-9][^/\\]*$/);
            expect(url).toMatch(/^https?:\/\//);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(SealiftError);
        }
      }),
    );
  });
});

let seen: string[] = [];
const server = (name: string, pages: Record<string, string>) =>
  Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      seen.push(`${name} ${pathname} ${request.headers.get("authorization") ?? "-"}`);
      const answer = pages[pathname];
      if (answer === undefined) return new Response("", { status: 404 });
      if (answer.startsWith("http")) return Response.redirect(answer);
      return new Response(answer, { headers: { "content-type": "text/html" } });
    },
  });
const other = server("other", { "/simple/moved/": '<a href="/moved-1.whl">m</a>' });
const main = server("main", {
  "/simple/demo/": '<a href="/demo-1.whl">d</a>',
  "/simple/main-only/": '<a href="/main-1.whl">d</a>',
  "/simple/moved/": `${other.url}simple/moved/`,
});
const extra = server("extra", { "/simple/demo/": '<a href="/demo-9.whl">d</a>' });
afterAll(() => Promise.all([main, extra, other].map((one) => one.stop(true))));

function finder(wishes: IndexWishes, more: Partial<Context> = {}) {
  seen = [];
  const env = { HOME: "/nonexistent" };
  const index = indexSettings(wishes, {}, "/", env);
  const ctx = {
    offline: false,
    cacheDir: "/nonexistent",
    progress: silentProgress,
    env,
    ...more,
    index,
  };
  const never = () => Promise.reject(new Error("uv is not needed here"));
  return { ctx, uv: never, python: {} as never };
}
const both = {
  indexUrl: `http://me:pw@127.0.0.1:${main.port}/simple`,
  extraIndexUrls: [`${extra.url}simple/`],
};
const names = async (resolver: ReturnType<typeof finder>, name: string, index?: string) =>
  (await findFiles(resolver, name, { root: "/", ...(index && { index }) })).map(({ file }) => file);
const LOGIN = `Basic ${btoa("me:pw")}`;

describe("findFiles()", () => {
  test("the first index that has the project answers, extra ones first; names are normalised, pages asked for once", async () => {
    const resolver = finder(both);
    expect(await names(resolver, "Demo")).toEqual(["demo-9.whl"]);
    expect(await names(resolver, "MAIN__only")).toEqual(["main-1.whl"]);
    expect(await names(resolver, "main-only")).toEqual(["main-1.whl"]);
    expect(await names(resolver, "nowhere")).toEqual([]);
    expect(seen).toEqual([
      "extra /simple/demo/ -",
      "extra /simple/main-only/ -",
      `main /simple/main-only/ ${LOGIN}`,
      "extra /simple/nowhere/ -",
      `main /simple/nowhere/ ${LOGIN}`,
    ]);
  });

  test("one index alone, as a lock says, with the login that is known for it", async () => {
    const resolver = finder(both);
    expect(await names(resolver, "demo", `${main.url}simple/`)).toEqual(["demo-1.whl"]);
    expect(seen).toEqual([`main /simple/demo/ ${LOGIN}`]);
  });

  test("a redirect to another host takes no login along, and addresses start there", async () => {
    const [file] = await findFiles(finder({ indexUrl: both.indexUrl }), "moved", { root: "/" });
    expect(file?.url).toBe(`${other.url}moved-1.whl`);
    expect(seen).toEqual([`main /simple/moved/ ${LOGIN}`, "other /simple/moved/ -"]);
  });

  test("folders answer first, and alone under --offline", async () => {
    using links = scratch();
    const path = writeWheel(links.path, { name: "demo", version: "5.0" });
    writeWheel(links.path, { name: "demo_more" });
    const wishes = { ...both, findLinks: [links.path] };
    expect(await names(finder(wishes), "demo")).toEqual([
      "demo-5.0-py3-none-any.whl",
      "demo-9.whl",
    ]);
    const offline = finder(wishes, { offline: true });
    const [file] = await findFiles(offline, "demo", { root: "/" });
    expect(file).toMatchObject({ url: Bun.pathToFileURL(path).href, size: Bun.file(path).size });
    expect(await codeOf(() => names(offline, "main-only"))).toBe("OFFLINE");
    expect(seen).toEqual([]);
  });

  test("an index that is none is an error of the network", async () => {
    const wrong = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
    const failure = findFiles(finder({ indexUrl: `${wrong.url}x` }), "demo", { root: "/" });
    await expect(failure).rejects.toMatchObject({ code: "INDEX_PAGE", exit: 5 });
    await wrong.stop(true);
  });
});

test("a program that is not the pinned one is not taken from a folder", async () => {
  using links = scratch();
  writeWheel(links.path, { name: "uv", version: "0.13.7" });
  const { ctx } = finder({ findLinks: [links.path] }, { offline: true, cacheDir: links.path });
  ctx.env = { HOME: "/nonexistent", PATH: "/nonexistent" } as typeof ctx.env;
  expect(await codeOf(() => findTool(ctx, "uv"))).toBe("OFFLINE");
});
