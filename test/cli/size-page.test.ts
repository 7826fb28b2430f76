/**
 * The page of `inspect --html` in a real browser: it draws what is in the package, zooms by its hash, finds, sorts, and neither
 * runs what hostile names hold nor asks the network for anything.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { installed, packageOf } from "../pack/report/fixture.ts";
import { Page } from "../support/chromium.ts";
import { needPackages } from "../support/debian.ts";
import { makeHome } from "./sealift.ts";

setDefaultTimeout(60_000);

const available = await needPackages(["chromium"]);
const SCRIPT = "</script><script>globalThis.owned = 1</script>";
const IMAGE = `"'><img src=x onerror="globalThis.owned = 1">`;
const EVIL = [
  `a<img src=x onerror=globalThis.owned=1>.py`,
  `</script >.py`.replace("/", "∕"),
  `q"'&amp;\u2028\u2029.py`,
];

const home = makeHome();
const page = join(home.home, "sizes.html");
const address = pathToFileURL(page).href;
let browser: Page;

beforeAll(async () => {
  if (available !== true) return;
  const site = {
    ...installed("rich", {
      version: "15.0",
      metadata: ["License-Expression: MIT"],
      files: Object.fromEntries(
        Array.from({ length: 300 }, (_, i) => [`rich/sub${i % 7}/file${i}.py`, noise(50 + i * 10)]),
      ),
    }),
    ...installed("evil", {
      metadata: [`License: ${SCRIPT}`, `Name: ${IMAGE}`],
      files: Object.fromEntries(EVIL.map((name) => [`evil/${name}`, noise(30_000)])),
    }),
  };
  const file = await packageOf(home.home, {
    site,
    app: { "run.py": noise(9000) },
    launcher: { "a.bin": noise(7000) },
  });
  const made = await home.run(["inspect", file, "--html", page]);
  expect(made).toMatchObject({ code: 0, err: "" });
  browser = await Page.open();
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

/** Text that compression does not make vanish, the same in each run. */
function noise(length: number): string {
  let state = length;
  const next = () => (state = (state * 1103515245 + 12345) & 0x7fffffff).toString(36);
  let text = "";
  while (text.length < length) text += next();
  return text.slice(0, length);
}

interface Box {
  text: string;
  href: string | null;
  x: number;
  y: number;
  w: number;
  h: number;
  depth: number;
}

const boxes = () =>
  browser.evaluate<Box[]>(`[...document.querySelectorAll("#map .box")].map((box) => {
    const { x, y, width: w, height: h } = box.getBoundingClientRect();
    return { text: box.textContent, href: box.getAttribute("href"), x, y, w, h, depth: Number(box.className.match(/depth(\\d)/)[1]) };
  })`);
const text = (selector: string) =>
  browser.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).innerText`);
const settle = () =>
  browser.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))");

describe.skipIf(available !== true)(
  `the size page${available === true ? "" : ` [skipped: ${available}]`}`,
  () => {
    test("draws the parts inside the map, without overlap, in proportion to their sizes", async () => {
      await browser.goto(address);
      const map = await browser.evaluate<Box>(
        `(({ x, y, width: w, height: h }) => ({ x, y, w, h }))(document.getElementById("map").getBoundingClientRect())`,
      );
      const all = await boxes();
      const top = all.filter(({ depth }) => depth === 0);
      expect(top.map(({ href }) => href)).toContain("#site");
      // A slot that is called like a part of the head.
      expect(top.map(({ href }) => href)).toContain("#launcher%20(2)");
      const area = (box: Box) => (box.w + 1) * (box.h + 1);
      const drawn = top.reduce((sum, box) => sum + area(box), 0);
      expect(drawn / (map.w * map.h)).toBeWithin(0.98, 1.02);
      for (const box of all) {
        expect(box.x).toBeGreaterThanOrEqual(map.x - 1);
        expect(box.y).toBeGreaterThanOrEqual(map.y - 1);
        expect(box.x + box.w).toBeLessThanOrEqual(map.x + map.w + 1);
        expect(box.y + box.h).toBeLessThanOrEqual(map.y + map.h + 1);
      }
      for (const [i, a] of top.entries())
        for (const b of top.slice(i + 1)) expect(overlap(a, b)).toBeLessThan(4);
    });

    test("zooms by its hash, by a click and back by Escape", async () => {
      await browser.goto(`${address}#site/rich`);
      expect((await text("#crumbs")).replaceAll("\n", " ")).toContain("rich 15.0");
      expect((await boxes()).some(({ text: label }) => label.startsWith("sub6"))).toBe(true);
      await browser.evaluate(
        `document.querySelector('#map a[href="#site/rich/rich/sub6"]').click()`,
      );
      await settle();
      expect(await browser.evaluate<string>("location.hash")).toBe("#site/rich/rich/sub6");
      expect((await boxes()).every(({ href }) => href === null)).toBe(true);
      await browser.press("Escape");
      await settle();
      expect(await browser.evaluate<string>("location.hash")).toBe("#site/rich/rich");
      await browser.goto(`${address}#no/such/place`);
      expect(await text("#crumbs [aria-current]")).toBe("demo 1.2.3");
      await browser.goto(`${address}#%E0%A4%A`);
      expect(await text("#crumbs [aria-current]")).toBe("demo 1.2.3");
    });

    test("finds files and packages", async () => {
      await browser.goto(address);
      await browser.evaluate(
        `(filter.value = "file299.py", filter.dispatchEvent(new Event("input")))`,
      );
      expect(await text("#found [role=status]")).toStartWith("1 file, ");
      expect(await text("#found li a")).toBe("site/rich/rich/sub5/file299.py");
      expect(
        await browser.evaluate<number>(
          `document.querySelectorAll("#packages tbody tr:not([hidden])").length`,
        ),
      ).toBe(0);
      const site = await browser.evaluate<string>(
        `document.querySelector('#map a[href="#site"]').className`,
      );
      const app = await browser.evaluate<string>(
        `document.querySelector('#map a[href="#app"]').className`,
      );
      expect([site.includes("dim"), app.includes("dim")]).toEqual([false, true]);
    });

    test("sorts the table both ways", async () => {
      await browser.goto(address);
      const column = (n: number) =>
        browser.evaluate<string[]>(
          `[...document.querySelectorAll("#packages tbody tr")].map((row) => row.cells[${n}].dataset.n ?? row.cells[${n}].textContent)`,
        );
      const click = (n: number) =>
        browser.evaluate(`document.querySelectorAll("#packages thead button")[${n}].click()`);
      await click(4);
      const down = (await column(4)).map(Number);
      expect(down).toEqual(down.toSorted((a, b) => b - a));
      await click(4);
      const up = (await column(4)).map(Number);
      expect(up).toEqual(up.toSorted((a, b) => a - b));
      expect(
        await browser.evaluate<string>(
          `document.querySelector("#packages th[aria-sort]").ariaSort`,
        ),
      ).toBe("ascending");
    });

    test("shows hostile names as they are, and runs nothing of them", async () => {
      await browser.goto(`${address}#site`);
      const names = await browser.evaluate<string[]>(
        `[...document.querySelectorAll("#packages tbody th")].map((cell) => cell.textContent)`,
      );
      const licences = await browser.evaluate<string[]>(
        `[...document.querySelectorAll("#packages tbody tr")].map((row) => row.cells[2].textContent)`,
      );
      expect(names).toContain("evil");
      expect(licences).toContain(SCRIPT);
      await browser.evaluate(`(filter.value = "evil/", filter.dispatchEvent(new Event("input")))`);
      const listed = await text("#found ul");
      expect(listed).toContain("onerror=globalThis.owned=1");
      expect(listed).toContain("\\u{2028}");
      expect(await browser.evaluate<unknown>("globalThis.owned ?? null")).toBeNull();
      expect(
        await browser.evaluate<number>(
          `document.querySelectorAll("img, iframe, object, link").length`,
        ),
      ).toBe(0);
    });

    test("is dark where that is wanted, and a table without scripts", async () => {
      const html = readFileSync(page, "utf8");
      expect(html).toContain("color-scheme: light dark");
      const static_ = html.slice(html.indexOf("<table"), html.indexOf("</table>"));
      expect(static_).toContain('<th scope="row">rich</th><td>15.0</td><td>MIT</td>');
      expect(static_).not.toContain("<script");
    });

    test("complained about nothing and asked for nothing but itself", () => {
      expect(browser.complaints).toEqual([]);
      expect(new Set(browser.requests.map((url) => url.replace(/#.*/s, "")))).toEqual(
        new Set([address]),
      );
    });
  },
);

function overlap(a: Box, b: Box): number {
  const w = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  return w > 0 && h > 0 ? w * h : 0;
}
