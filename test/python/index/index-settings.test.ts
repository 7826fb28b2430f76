/** Where packages come from: who is heard first, what is refused, and that no login shows. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { indexAccess } from "../../../lib/python/index/index-access.ts";
import { address, indexSettings, isTrusted } from "../../../lib/python/index/index-settings.ts";
import { Login, parseNetrc } from "../../../lib/python/index/login.ts";
import { pipEnvironment, scrubbed, uvEnvironment } from "../../../lib/python/resolve/uv-run.ts";
import { codeOf, scratch } from "../fixture.ts";

const NOBODY = { HOME: "/nonexistent" };
const settings = (options = {}, wishes = {}, env = {}) =>
  indexSettings(options, wishes, "/", { ...NOBODY, ...env });
const basic = (text: string) => `Basic ${btoa(text)}`;

describe("indexSettings()", () => {
  test("hears the command line, then uv's variables, then pip's, then the manifest", () => {
    const options = { indexUrl: "https://cli.test/simple" };
    const wishes = { indexUrl: "https://manifest.test/simple" };
    const uv = { UV_DEFAULT_INDEX: "https://uv.test/simple" };
    const pip = { PIP_INDEX_URL: "https://pip.test/simple" };
    const main = (...how: Parameters<typeof settings>) => settings(...how).main?.url;
    expect(main(options, wishes, { ...uv, ...pip })).toBe("https://cli.test/simple");
    expect(main({}, wishes, { ...uv, ...pip })).toBe("https://uv.test/simple");
    expect(main({}, wishes, pip)).toBe("https://pip.test/simple");
    expect(main({}, wishes)).toBe("https://manifest.test/simple");
    expect(main()).toBeUndefined();
  });

  test("joins lists in the same order, each address once", () => {
    const of = settings(
      { extraIndexUrls: ["https://a.test/s", "https://b.test/s"] },
      { extraIndexUrls: ["https://a.test/s", "corp=https://c.test/s"] },
      { UV_INDEX: "https://d.test/s", PIP_EXTRA_INDEX_URL: "https://ignored.test/s" },
    );
    expect(of.extra.map(({ url }) => new URL(url).hostname)).toEqual([
      "a.test",
      "b.test",
      "d.test",
      "c.test",
    ]);
    expect(of.extra[3]?.name).toBe("corp");
  });

  test("folders start where they are named", () => {
    using here = scratch();
    mkdirSync(join(here.path, "wheels"));
    const env = { ...NOBODY, PIP_FIND_LINKS: `${here.path}/wheels /nonexistent https://x.test/` };
    const of = indexSettings({}, { findLinks: ["wheels"] }, here.path, env);
    expect(of.findLinks).toEqual([join(here.path, "wheels")]);
  });

  const refused: [string, string, Parameters<typeof settings>][] = [
    ["an index in a folder", "INDEX_URL", [{ indexUrl: "./simple" }]],
    ["another protocol", "INDEX_URL", [{ extraIndexUrls: ["ftp://a.test/"] }]],
    ["plain http", "INDEX_PLAIN", [{ indexUrl: "http://a.test/simple" }]],
    [
      "plain http where another port is trusted",
      "INDEX_PLAIN",
      [{ indexUrl: "http://a.test/", trustedHosts: ["a.test:8080"] }],
    ],
    ["every host", "TRUSTED_HOST", [{ trustedHosts: ["*"] }]],
    ["an address as a host", "TRUSTED_HOST", [{}, { trustedHosts: ["https://a.test/"] }]],
    ["a folder that is not there", "FIND_LINKS", [{ findLinks: ["/nonexistent"] }]],
    ["certificates that are not there", "CA_FILE", [{}, { caFile: "/nonexistent" }]],
  ];
  test.each(refused)("refuses %s", async (_, code, how) => {
    expect(await codeOf(() => settings(...how))).toBe(code);
  });

  test("a broken address is shown without its login", () => {
    const wrong = () => settings({ indexUrl: "https://me:hunter2@[bad/" });
    expect(wrong).toThrow("is not the http or https address");
    try {
      wrong();
    } catch (error) {
      expect(`${error} ${JSON.stringify(error)}`).not.toContain("hunter2");
    }
  });

  test("trusts a host on every port, or on the one that is named", () => {
    const of = settings({ trustedHosts: ["A.test", "b.test:8080"] });
    const trusted = (url: string) => isTrusted(of, new URL(url));
    expect(trusted("http://a.test:99/")).toBe(true);
    expect(trusted("https://b.test:8080/")).toBe(true);
    expect(trusted("https://b.test/")).toBe(false);
    expect(trusted("https://sub.a.test/")).toBe(false);
  });
});

describe("logins", () => {
  test("come from the address, the variables of its name, or netrc", () => {
    using here = scratch();
    writeFileSync(join(here.path, ".netrc"), "machine n.test login net password rc\n");
    const env = {
      HOME: here.path,
      UV_INDEX_MY_CORP_USERNAME: "env",
      UV_INDEX_MY_CORP_PASSWORD: "var",
    };
    const login = (text: string) => address(text, env).login?.header();
    expect(login("my-corp=https://u%40:p%2F@n.test/")).toBe(basic("u@:p/"));
    expect(login("my-corp=https://n.test/")).toBe(basic("env:var"));
    expect(login("https://n.test/")).toBe(basic("net:rc"));
    expect(login("https://other.test/")).toBeUndefined();
    expect(address("https://u:p@n.test/x", env).url).toBe("https://n.test/x");
  });

  test("go to their own host only, also behind a redirect; the deepest address counts", () => {
    const access = indexAccess(
      settings({
        indexUrl: "https://a:1@one.test/simple/",
        extraIndexUrls: ["https://b:2@one.test/private/simple/"],
      }),
    );
    const sent = (url: string) => access(new URL(url)).headers.authorization;
    expect(sent("https://one.test/simple/x/")).toBe(basic("a:1"));
    expect(sent("https://one.test/private/simple/x/")).toBe(basic("b:2"));
    expect(sent("https://files.test/x.whl")).toBeUndefined();
    expect(sent("https://one.test:8443/simple/")).toBeUndefined();
    expect(sent("http://one.test/simple/")).toBeUndefined();
  });

  test("netrc's default is for indexes, not for every link", () => {
    using here = scratch();
    writeFileSync(join(here.path, ".netrc"), "default login any password body\n");
    const of = indexSettings({ indexUrl: "https://i.test/" }, {}, "/", { HOME: here.path });
    expect(of.main?.login?.header()).toBe(basic("any:body"));
    expect(indexAccess(of)(new URL("https://evil.test/")).headers).toEqual({});
  });

  test("show in no text and no JSON, and on no command line", () => {
    const of = settings({ indexUrl: "corp=https://user:hunter2@a.test/simple" });
    expect(JSON.stringify(of)).not.toContain("hunter2");
    expect(Bun.inspect(of)).not.toContain("hunter2");
    expect(scrubbed("at https://user:hunter2@a.test/: hunter2 https://x:y@b.test", of)).toBe(
      "at https://****@a.test/: **** https://****@b.test",
    );
    expect(new Login("a", "b/c").scrub("b%2Fc b/c")).toBe("**** ****");
    const env = uvEnvironment({ UV_INDEX_URL: "https://old.test" }, of);
    expect(env).toMatchObject({
      UV_DEFAULT_INDEX: "corp=https://a.test/simple",
      UV_INDEX_CORP_USERNAME: "user",
      UV_INDEX_CORP_PASSWORD: "hunter2",
      UV_INDEX_URL: undefined,
    });
    expect(pipEnvironment({}, of).PIP_INDEX_URL).toBe("https://user:hunter2@a.test/simple");
  });

  test("pages of links that uv knows stay uv's", () => {
    const env = { UV_FIND_LINKS: "/nonexistent,https://links.test/a", PIP_FIND_LINKS: "/tmp" };
    const of = indexSettings({}, {}, "/", { ...NOBODY, ...env });
    expect(of.findLinks).toEqual(["/tmp"]);
    expect(uvEnvironment(env, of).UV_FIND_LINKS).toBe("https://links.test/a");
  });

  test("netrc: several machines, quotes, comments, macros, the first of a host", () => {
    const text = `# a comment
machine a.test
  login me
  password "two words \\" here"
macdef init
  machine evil.test login x password y

machine b.test login b account none password c
machine a.test login second password second
default login d password e`;
    const of = parseNetrc(text);
    expect([...of.keys()]).toEqual(["a.test", "b.test", ""]);
    expect(of.get("a.test")?.header()).toBe(basic('me:two words " here'));
    expect(of.get("b.test")?.header()).toBe(basic("b:c"));
  });

  test.each(["", "machine", "machine a login", "\0\0", "default"])(
    "netrc may be broken: %j",
    (text) => {
      expect(parseNetrc(text)).toBeInstanceOf(Map);
    },
  );
});
