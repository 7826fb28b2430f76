/**
 * Locks without addresses against a real index: the files that Poetry, PDM and pipenv locked are found there, fetched and started.
 * Skipped, with the reason, where there is no index. The locked application is HTTPX, which its projects only depend on.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { hostPlatform } from "../../../lib/launcher/mod.ts";
import { indexSettings } from "../../../lib/python/index/index-settings.ts";
import {
  findTool,
  probePython,
  readPyproject,
  type StagedPython,
  stagePython,
} from "../../../lib/python/mod.ts";
import { effectiveIndexes } from "../../../lib/python/resolve/uv-run.ts";
import { attempt, context, inBareRoot, layOut } from "../place.ts";

setDefaultTimeout(300_000);

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sealift-real-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function stage(
  kind: string,
  options: { offline?: boolean; indexUrl?: string } = {},
): Promise<StagedPython> {
  const root = mkdtempSync(join(folder, "project-"));
  for (const from of kind === "pipenv" ? ["poetry-2", "pipenv"] : [kind])
    cpSync(join(import.meta.dir, "locks", from), root, { recursive: true });
  if (kind === "pipenv") rmSync(join(root, "poetry.lock"));
  const manifest = join(root, "pyproject.toml");
  const document = Bun.TOML.parse(readFileSync(manifest, "utf8")) as Record<string, unknown>;
  const tool = {
    ...(document.tool as object),
    uv: { package: false },
    sealift: { entry_point: "click:echo" },
  };
  return await stagePython(
    context({ offline: options.offline ?? false }),
    { ...readPyproject({ ...document, tool }, manifest), scripts: {} },
    {
      platform: hostPlatform(),
      scratch: mkdtempSync(join(folder, "scratch-")),
      frozen: true,
      ...(options.indexUrl !== undefined && { index: { indexUrl: options.indexUrl } }),
    },
  );
}

/** The index of this machine: the lock's own has a name that leads nowhere. */
async function machineIndex(): Promise<string> {
  const ctx = { ...context(), index: indexSettings({}, {}, folder, process.env) };
  const python = await probePython("python3", ctx);
  const [index] = await effectiveIndexes({ ctx, uv: () => findTool(ctx, "uv"), python }, folder);
  return index?.url ?? "";
}

const first = await attempt(() => stage("poetry-2"));
const reason = typeof first === "string" ? first : undefined;
if (reason !== undefined) console.error(`No lock is staged: ${reason}`);

describe.skipIf(reason !== undefined)(
  `a real index${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test.each(["poetry-2", "pdm", "pipenv"])(
      "%s: the locked files run in a bare root",
      async (kind) => {
        const index = kind === "pipenv" ? { indexUrl: await machineIndex() } : {};
        const of = await stage(kind, index);
        const found = Object.fromEntries(
          of.report.packages.map(({ name, version }) => [name, version]),
        );
        expect(found).toMatchObject({ httpx: "0.28.1", h11: "0.16.0", socksio: "1.0.0" });
        const place = join(folder, kind);
        await layOut(of, place);
        for (const step of of.setup)
          expect((await inBareRoot(place, step.command)).stderr).toBe("");
        const python = of.execution.argv[0] ?? "";
        const code = "import httpx, click; print(httpx.__version__, click.unstyle('x'))";
        expect((await inBareRoot(place, [python, "-I", "-c", code])).stdout).toBe("0.28.1 x\n");
        const again = await stage(kind, { ...index, offline: true });
        expect(again.report).toEqual(of.report);
      },
    );
  },
);
