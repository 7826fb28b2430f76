/** Options of `pack` for Python projects, from the command line to what is packed; every package comes from a folder of wheels. */
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { writeWheel } from "../python/fixture.ts";
import { attempt, CACHE } from "../python/place.ts";
import { testIf } from "../support/need.ts";
import { makeHome } from "./sealift.ts";

setDefaultTimeout(300_000);
const NETWORK = 5;
const home = makeHome();
afterAll(() => home[Symbol.dispose]());

mkdirSync(join(home.home, "wheels"));
for (const name of ["demo", "other", "lint"]) writeWheel(join(home.home, "wheels"), { name });
writeFileSync(
  join(home.home, "pyproject.toml"),
  `[project]
name = "asked"
version = "1.0"
dependencies = ["demo"]
optional-dependencies = { more = ["other"] }
[dependency-groups]
dev = ["lint"]
[tool.uv]
no-index = true
[tool.sealift]
entry_point = "demo:x"
`,
);

const pack = (...words: string[]) =>
  home.run(["pack", "--dry-run", "--json", "--find-links", "wheels", ...words], {
    ...(process.env as Record<string, string>),
    HOME: home.home,
    SEALIFT_CACHE: CACHE,
  });

/** The tools that packing needs come from the index once. */
const usable = await attempt(async () => {
  const first = await pack();
  return first.code === NETWORK ? `the package index cannot be reached: ${first.json.code}` : first;
});
const here = testIf(typeof usable === "string" ? usable : true);

async function names(...words: string[]): Promise<string[]> {
  const { code, json } = await pack(...words);
  expect({ code, problem: json.message }).toEqual({ code: 0, problem: undefined });
  return json.python.packages.map(({ name }: { name: string }) => name);
}

here("--extra and --group add what the project offers", async () => {
  expect(await names()).toEqual(["demo"]);
  expect(await names("--extra", "more")).toEqual(["demo", "other"]);
  expect(await names("--group", "dev", "--extra", "more")).toEqual(["demo", "lint", "other"]);
});

here("an unknown extra or group names the nearest", async () => {
  const extra = await pack("--extra", "mroe");
  expect(extra).toMatchObject({ code: 2, json: { code: "EXTRA_UNKNOWN" } });
  expect(`${extra.json.message} ${extra.json.hint}`).toContain("more");
  expect((await pack("--group", "dve")).json.code).toBe("GROUP_UNKNOWN");
});

here("an index without encryption is refused, unless its host is trusted", async () => {
  const words = ["--index-url", "http://index.invalid/simple"];
  expect(await pack(...words)).toMatchObject({ code: 2, json: { code: "INDEX_PLAIN" } });
  const trusted = await pack(...words, "--trusted-host", "index.invalid");
  expect(trusted.json.code).not.toBe("INDEX_PLAIN");
});
