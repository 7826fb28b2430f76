/** What a Python project needs before anything of it is staged. */
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { loadProject, packProject } from "../../../lib/pack/mod.ts";
import { codeOf, offlineContext, scratch } from "../../python/fixture.ts";

test.skipIf(process.platform === "win32")(
  "a cache that others can write is not believed, in a dry run neither (skipped where there are no modes)",
  async () => {
    using work = scratch();
    const cacheDir = join(work.path, "cache");
    mkdirSync(cacheDir);
    writeFileSync(
      join(work.path, "pyproject.toml"),
      '[project]\nname = "x"\nversion = "1"\n[tool.sealift]\nentry_point = "json.tool:main"\n',
    );
    const project = await loadProject(work.path, { env: {} });
    const pack = (mode: number, dryRun: boolean) => {
      chmodSync(cacheDir, mode);
      const ctx = offlineContext(cacheDir);
      return codeOf(() => packProject(ctx, project, { keySeed: "x", dryRun, python: "no/python" }));
    };
    expect(await pack(0o777, false)).toBe("CACHE_WRITABLE");
    expect(await pack(0o777, true)).toBe("CACHE_WRITABLE");
    expect(await pack(0o700, false)).toBe("PYTHON_MISSING");
  },
);
