/** What is said about a finished package comes from its sealed bytes and adds up to them. */
import { describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";

import { dependencyReport, sizeReport } from "../../../lib/pack/report/report.ts";
import { writePackage } from "../../../lib/pspf/mod.ts";
import { bytesSlot, options, temporaryFolder, thrown } from "../../pspf/fixture.ts";
import { installed, packageOf } from "./fixture.ts";

const folder = temporaryFolder();
const SITE = {
  ...installed("Flask", {
    version: "3.0",
    metadata: [
      "License-Expression: BSD-3-Clause",
      "Requires-Dist: click>=8",
      "Requires-Dist: dotenv; extra == 'env'",
    ],
    files: {
      "flask/__init__.py": "x".repeat(5000),
      "flask/__pycache__/__init__.cpython-312.pyc": "y".repeat(3000),
      "flask/_vendor/six-1.0.dist-info/METADATA": "Name: six\nVersion: 1.0\n",
    },
  }),
  ...installed("click", { version: "8.1" }),
  "loose.py": "pass\n",
  "data/a.txt": "a",
};
const APP = installed(
  "app",
  { metadata: ["Requires-Dist: Flask"] },
  "lib/python3.12/site-packages/",
);

describe("sizes", () => {
  test("parts add up to the file, groups to their slot", async () => {
    const path = await packageOf(folder, { site: SITE, app: APP });
    const report = await sizeReport(path);
    expect(report.size).toBe(statSync(path).size);
    expect(report.parts.reduce((sum, part) => sum + part.stored, 0)).toBe(report.size);
    for (const part of report.parts.filter(({ kind }) => kind === "slot")) {
      expect(part.groups.reduce((sum, group) => sum + group.stored, 0)).toBe(part.stored);
      expect(part.groups.reduce((sum, group) => sum + group.unpacked, 0)).toBe(part.unpacked);
    }
    expect(report.parts.map(({ name }) => name).sort()).toEqual([
      "app",
      "launcher",
      "metadata",
      "site",
    ]);
  });

  test("files belong to the distribution that lists them, bytecode to its source, the rest to folders", async () => {
    const report = await sizeReport(await packageOf(folder, { site: SITE }));
    const groups = report.parts.find(({ name }) => name === "site")?.groups ?? [];
    const byName = new Map(groups.map((group) => [group.name, group]));
    expect([...byName.keys()].sort()).toEqual([".", "Flask", "click", "data"]);
    expect(byName.get("Flask")).toMatchObject({
      kind: "distribution",
      version: "3.0",
      license: "BSD-3-Clause",
    });
    const owned = byName.get("Flask")?.files.map(({ path }) => path);
    expect(owned).toContain("flask/__pycache__/__init__.cpython-312.pyc");
    expect(owned).toContain("flask/_vendor/six-1.0.dist-info/METADATA");
  });

  test("slots that are files, and slots without files", async () => {
    const path = await packageOf(folder, {});
    const inputs = [
      bytesSlot("tool", "program".repeat(100), { target: "bin/tool", operations: ["gzip"] }),
      bytesSlot("none", ""),
    ];
    await writePackage(path, options(inputs));
    const [, , tool, none] = (await sizeReport(path)).parts;
    expect(tool?.groups).toMatchObject([{ name: ".", unpacked: 700, files: [{ path: "tool" }] }]);
    expect([none?.stored, none?.unpacked]).toEqual([0, 0]);
  });

  test("a damaged slot is an error, whatever was read before", async () => {
    const path = await packageOf(folder, { site: { "a.txt": "alpha".repeat(1000) } });
    const bytes = readFileSync(path);
    const report = await sizeReport(path);
    const launcher = report.parts.find(({ name }) => name === "launcher")?.stored ?? 0;
    for (let at = launcher; at < bytes.length; at += 97) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x40, at);
      writeFileSync(path, damaged);
      const error = await sizeReport(path).then(
        () => undefined,
        (problem: Error & { code?: string }) => problem,
      );
      // Padding is covered by the seal too: no byte may change unseen.
      expect(error?.code ?? `no error at ${at}`).toMatch(/^(PSPF|SEAL|UNPACK|TAR|ZSTD)_/);
    }
  });
});

describe("dependencies", () => {
  test("from the metadata inside the slots, with copies apart", async () => {
    const { report, why } = await dependencyReport(
      await packageOf(folder, { site: SITE, app: APP }),
      "Click",
    );
    expect(
      report.distributions.map(({ name, python, root, own }) => [name, python, root, own]),
    ).toEqual([
      ["app", "3.12", true, true],
      ["click", "3.12", false, false],
      ["Flask", "3.12", false, false],
    ]);
    expect(report.vendored).toMatchObject([{ name: "six", inside: "Flask" }]);
    expect(report.problems).toEqual([]);
    expect(why?.paths.map((path) => path.map(({ name }) => name))).toEqual([
      ["app", "Flask", "click"],
    ]);
  });

  test("a package without Python has none", async () => {
    const { report } = await dependencyReport(await packageOf(folder, { data: { "a.txt": "a" } }));
    expect(report.distributions).toEqual([]);
  });

  test("an unknown name is an error that names the nearest one, or who holds a copy", async () => {
    const path = await packageOf(folder, { site: SITE });
    expect(await thrown(() => dependencyReport(path, "clik"))).toMatchObject({
      code: "DISTRIBUTION_UNKNOWN",
      exit: 3,
      hint: "Did you mean click?",
    });
    expect((await thrown(() => dependencyReport(path, "six"))).hint).toContain(
      "Flask holds a copy",
    );
  });

  test("files that a RECORD only claims count once, and a broken one hides sizes only", async () => {
    const thief = installed("aaa", {
      record: "click/__init__.py,,\n../../etc/passwd,,\n/etc/shadow,,\n",
    });
    const broken = installed("bbb", { record: '"never closed' });
    const { report } = await dependencyReport(
      await packageOf(folder, { site: { ...thief, ...broken, ...installed("click") } }),
    );
    const files = Object.fromEntries(report.distributions.map(({ name, files }) => [name, files]));
    expect(files).toEqual({ aaa: 2, bbb: 2, click: 3 });
  });

  test("texts that are not UTF-8 or endless are bounded", async () => {
    const path = await packageOf(folder, {
      site: { "big-1.dist-info/METADATA": `Name: big\n${"x".repeat(17 << 20)}` },
    });
    expect(await thrown(() => dependencyReport(path))).toMatchObject({
      code: "REPORT_SIZE",
      exit: 3,
    });
    const odd = await packageOf(folder, {
      site: installed("odd", { metadata: ["License: \ufffd\u0000\u001b[31m"] }),
    });
    expect((await dependencyReport(odd)).report.distributions[0]?.name).toBe("odd");
  });
});
