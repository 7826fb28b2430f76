/** The update of a real application: how small it is, and what it takes. */
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { single, start } from "./measure.ts";
import type { Bench, Row } from "./rows.ts";

const LIMIT = 0.05;

export const DELTA: Row = {
  id: "delta",
  what: "`sealift delta` of a patch release (HTTPie 3.2.3 → 3.2.4 with its interpreter, and requests 2.31 → newer), against the whole package",
  target: `≤ ${LIMIT * 100} % of the package`,
  measure(bench) {
    const [old, fresh] = [pack(bench, "3.2.3"), pack(bench, "3.2.4")];
    const patch = bench.path("http.delta");
    const create = single(
      { argv: [bench.sealift, "delta", "create", old, fresh, "-o", patch, "--force"] },
      3,
    );
    const out = bench.path("http-applied.psp");
    const apply = single(
      { argv: [bench.sealift, "delta", "apply", old, patch, "-o", out, "--force"] },
      3,
    );
    start({ argv: ["cmp", out, fresh] });
    const [size, full] = [statSync(patch).size, statSync(fresh).size];
    return {
      ours: `${(size / 1024).toFixed(1)} KiB; create ${seconds(create.ms)}, apply ${seconds(apply.ms)}`,
      peer: `${(full / 2 ** 20).toFixed(1)} MiB`,
      result: `${((size / full) * 100).toFixed(2)} %`,
      met: size <= full * LIMIT,
    };
  },
};

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

function pack(bench: Bench, version: string): string {
  const folder = bench.path(`http-${version}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "pyproject.toml"),
    `[project]\nname = "http"\nversion = "${version}"\ndependencies = ["httpie==${version}"]\n[tool.sealift]\nentry_point = "httpie.__main__:main"\n`,
  );
  const out = bench.path(`http-${version}.psp`);
  start({ argv: [bench.sealift, "pack", folder, "--key-seed", "bench", "--force", "-o", out] });
  return out;
}
