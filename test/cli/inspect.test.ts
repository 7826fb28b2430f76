/** `inspect` beyond the head of a package: sizes, the page as a file, Python distributions and why they are there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { installed, packageOf } from "../pack/report/fixture.ts";
import { makeHome } from "./sealift.ts";

const home = makeHome();
let python: string;
let plain: string;

beforeAll(async () => {
  const site = {
    ...installed("flask", {
      version: "3.0",
      metadata: ["License: BSD", "Requires-Dist: click[colour]>=8"],
    }),
    ...installed("click", {
      version: "8.1",
      metadata: ["Requires-Dist: colorama; extra == 'colour'"],
    }),
    ...installed("colorama", { metadata: ["Requires-Dist: flask", "Requires-Dist: gone>1"] }),
  };
  const app = installed(
    "app",
    { metadata: ["Requires-Dist: flask"] },
    "lib/python3.12/site-packages/",
  );
  python = await packageOf(home.home, { site, app });
  plain = await packageOf(home.home, { data: { "a.txt": "alpha" } });
});
afterAll(() => home[Symbol.dispose]());

test("--tree unfolds once, marks cycles, extras and what is missing", async () => {
  const { out, code } = await home.run(["inspect", python, "--tree"]);
  expect([code, out]).toEqual([
    0,
    `app 1.0
└── flask 3.0 (any)
    └── click 8.1 ([colour]>=8)
        └── colorama 1.0 (any, extra colour)
            ├── flask 3.0 (any) ↺ cycle
            └── gone: missing (>1)
! colorama requires gone>1, and it is not in the package
`,
  ]);
});

test("--deps lists with reasons", async () => {
  const { out } = await home.run(["inspect", python, "--deps"]);
  expect(out).toMatch(/^app +1\.0 .*the application$/m);
  expect(out).toMatch(/^click +8\.1 .*required by flask$/m);
  expect(out).toMatch(/^colorama .*required by click\[colour\]$/m);
  expect(out).toMatch(/^flask +3\.0 +BSD /m);
});

test("--why shows the way, and an unknown name the nearest one", async () => {
  const { out } = await home.run(["inspect", python, "--why", "Colorama"]);
  expect(out.trim()).toBe(
    "app 1.0 → flask 3.0 (flask) → click 8.1 (click[colour]>=8) → colorama 1.0 (colorama, extra colour)",
  );
  const unknown = await home.run(["inspect", python, "--why", "flaks", "--json"]);
  expect([unknown.code, unknown.json.code, unknown.json.hint]).toEqual([
    3,
    "DISTRIBUTION_UNKNOWN",
    "Did you mean flask?",
  ]);
});

test("a package without Python says so", async () => {
  for (const flag of ["--deps", "--tree"]) {
    const { code, out } = await home.run(["inspect", plain, flag]);
    expect([code, out]).toEqual([
      0,
      "no Python distributions: no slot holds a .dist-info folder\n",
    ]);
  }
});

test("--json carries the same", async () => {
  const { json } = await home.run([
    "inspect",
    python,
    "--deps",
    "--sizes",
    "--why",
    "click",
    "--json",
  ]);
  expect(json).toMatchObject({ schema: "sealift.inspect/1", ok: true, show: ["sizes", "deps"] });
  expect(json.dependencies.distributions).toHaveLength(4);
  expect(json.why.paths).toHaveLength(1);
  expect(json.sizes.parts.map((part: { name: string }) => part.name)).toContain("site");
});

test("--sizes shows the parts", async () => {
  const { out } = await home.run(["inspect", python, "--sizes", "--verbose"]);
  expect(out).toMatch(/^site +9 /m);
  expect(out).toMatch(/^ {2}flask 3\.0 +3 /m);
});

test("--html writes one file, replaces none unasked, and none in a dry run", async () => {
  const page = join(home.home, "page.html");
  const dry = await home.run(["inspect", plain, "--html", page, "--dry-run"]);
  expect([dry.code, dry.out, existsSync(page)]).toEqual([0, `would write ${page}\n`, false]);
  writeFileSync(page, "mine");
  const refused = await home.run(["inspect", plain, "--html", page, "--json"]);
  expect([refused.code, refused.json.code, readFileSync(page, "utf8")]).toEqual([
    4,
    "FILE_EXISTS",
    "mine",
  ]);
  expect((await home.run(["inspect", plain, "--html", page, "--force"])).code).toBe(0);
  const html = readFileSync(page, "utf8");
  expect(html).toStartWith("<!doctype html>");
  // Nothing is fetched: no address at all.
  expect(html).not.toMatch(/https?:|\bsrc=|@import|url\(/);
});

test("a page of the same package has the same bytes", async () => {
  const pages = [join(home.home, "a.html"), join(home.home, "b.html")];
  for (const page of pages) await home.run(["inspect", python, "--html", page]);
  expect(readFileSync(pages[0] ?? "", "utf8")).toBe(readFileSync(pages[1] ?? "", "utf8"));
});
