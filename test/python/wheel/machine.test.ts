import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { withoutFolders } from "../../../lib/python/wheel/machine.ts";
import { stageWheel } from "../../../lib/python/wheel/site.ts";
import { offlineContext, scratch, writeWheel } from "../fixture.ts";

const HEAD = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";

describe("withoutFolders()", () => {
  test.each([
    ["lib @ file:///tmp/a/lib", "lib"],
    ["lib[x] @ file:///tmp/a%20b/lib ; python_version < '4'", "lib[x] ; python_version < '4'"],
    ["lib@file:///a;extra == 'x'", "lib;extra == 'x'"],
    ["lib @ https://example.org/lib.whl", "lib @ https://example.org/lib.whl"],
    ["lib>=1", "lib>=1"],
  ])("%s", (before, after) => {
    expect(withoutFolders(`${HEAD}Requires-Dist: ${before}\n`)).toBe(
      `${HEAD}Requires-Dist: ${after}\n`,
    );
  });
  test("leaves the description alone", () => {
    const text = `${HEAD}\nRequires-Dist: lib @ file:///a\n`;
    expect(withoutFolders(text)).toBe(text);
  });
});

test("a wheel that was built in another folder is the same wheel", async () => {
  using cache = scratch();
  const ctx = offlineContext(join(cache.path, "cache"));
  const built = async (place: string) => {
    using folder = scratch();
    const metadata = `${HEAD}Requires-Dist: lib @ file://${place}/lib\n`;
    return await stageWheel(ctx, writeWheel(folder.path, { metadata }));
  };
  const [a, b] = [await built("/tmp/one"), await built("/tmp/two")];
  expect(a).toEqual(b);
  const path = join(a.folder, "files", a.distInfo, "METADATA");
  expect(readFileSync(path, "utf8")).toBe(`${HEAD}Requires-Dist: lib\n`);
  const file = a.files.find(({ member }) => member.endsWith("METADATA"));
  expect(file).toMatchObject({
    size: Buffer.byteLength(`${HEAD}Requires-Dist: lib\n`),
    sha256: new Bun.CryptoHasher("sha256").update(`${HEAD}Requires-Dist: lib\n`).digest("hex"),
  });
});
