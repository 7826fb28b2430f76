/** What changed between two packages, group by group, told from packages that were made for it. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { COMPARED_GROUPS, comparePackages } from "../../../lib/pack/mod.ts";
import {
  type Manifest,
  type SlotInput,
  type WriteOptions,
  writePackage,
} from "../../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../../lib/trust/mod.ts";
import { bytesSlot, options, treeSlot } from "../../pspf/fixture.ts";
import { upstreamPackage } from "../../pspf/upstream.ts";
import { folder, problem } from "../fixture.ts";

interface Made {
  slots?: SlotInput[];
  manifest?: Partial<Manifest>;
  more?: Partial<WriteOptions>;
}

async function compared(from: Made, to: Made, groups?: (typeof COMPARED_GROUPS)[number][]) {
  using place = folder();
  const [a, b] = [join(place.path, "a.psp"), join(place.path, "b.psp")];
  for (const [path, { slots = [], manifest, more }] of [
    [a, from],
    [b, to],
  ] as const) {
    const base = options(slots, more);
    await writePackage(path, { ...base, manifest: { ...base.manifest, ...manifest } });
  }
  return await comparePackages(place.ctx, a, b, groups);
}

/** The text of a METADATA and a RECORD that lists the files of the distribution. */
function distribution(name: string, version: string, files: string[] = []) {
  const info = `${name}-${version}.dist-info`;
  const record = [...files, `${info}/METADATA`, `${info}/RECORD`].map((path) => `${path},,\n`);
  return {
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/RECORD`]: record.join(""),
  };
}

describe("two packages", () => {
  test("that are the same", async () => {
    const made = { slots: [treeSlot("lib", { "a.txt": "a" })] };
    const { equal, groups } = await compared(made, made);
    expect(equal).toBe(true);
    expect(Object.keys(groups).toSorted()).toEqual([...COMPARED_GROUPS].toSorted());
    for (const changes of Object.values(groups)) expect(changes).toEqual([]);
  });

  test("that differ in who signed them only", async () => {
    const { equal, groups, from, to } = await compared(
      {},
      { more: { signer: signerFromSeed("b") } },
    );
    expect(equal).toBe(false);
    expect(from.identity).toBe(to.identity);
    expect(groups.signers?.length).toBe(2);
  });

  test("name version, commands, environment and launcher", async () => {
    const { groups } = await compared(
      {
        manifest: {
          package: { name: "demo", version: "1.0", description: "old" },
          execution: {
            argv: ["{workenv}/run"],
            entries: { check: ["a"], gone: ["b"] },
            env: { A: "1" },
          },
          runtime: { env: { pass: ["HOME"], set: { B: "1" } } },
        },
      },
      {
        manifest: {
          package: { name: "demo", version: "1.1" },
          execution: {
            argv: ["{workenv}/run", "a b"],
            entries: { check: ["c"], fresh: ["d"] },
            env: { A: "2" },
          },
          runtime: { env: { pass: ["HOME"], unset: ["*"], set: { B: "1" } } },
        },
        more: {
          launcher: {
            bytes: Buffer.from("new launcher"),
            tool: "sealift-go",
            toolVersion: "0.2.0",
          },
        },
      },
    );
    expect(groups.package).toEqual([
      { name: "description", from: "old" },
      { name: "version", from: "1.0", to: "1.1" },
    ]);
    expect(groups.commands).toEqual([
      { name: "(default)", from: "{workenv}/run", to: "{workenv}/run 'a b'" },
      { name: "check", from: "a", to: "c" },
      { name: "fresh", to: "d" },
      { name: "gone", from: "b" },
    ]);
    expect(groups.environment).toEqual([
      { name: "A", from: "1", to: "2" },
      { name: "unset *", to: "yes" },
    ]);
    expect(groups.launcher?.find(({ name }) => name === "tool")).toEqual({
      name: "tool",
      from: "sealift-rust 0.1.0",
      to: "sealift-go 0.2.0",
    });
  });

  test("files by content and mode, wherever the slots stand", async () => {
    const same = treeSlot("same", { "x.txt": "x" });
    const { groups } = await compared(
      {
        slots: [
          same,
          treeSlot("lib", { "a.txt": "a", "b.txt": "b", "c.txt": "c" }),
          bytesSlot("note", "1"),
        ],
      },
      {
        slots: [
          bytesSlot("note", "22"),
          treeSlot("lib", { "a.txt": "a", "b.txt": "B", "d.txt": "dd" }),
          same,
        ],
      },
    );
    expect(groups.files).toEqual([
      { name: "lib/b.txt", from: 1, to: 1 },
      { name: "lib/c.txt", from: 1 },
      { name: "lib/d.txt", to: 2 },
      { name: "note", from: 1, to: 2 },
    ]);
    expect(groups.slots?.map(({ name }) => name)).toEqual(["lib", "note"]);
  });

  test("dependencies and the interpreter of a Python application", async () => {
    const site = (files: Record<string, string>) => treeSlot("site", files);
    const runtime = (version: string) =>
      treeSlot(
        "runtime",
        { "bin/python3": version },
        { source: `python-${version}`, target: "py" },
      );
    const vendored = distribution("inside", "9");
    const { groups } = await compared(
      {
        slots: [
          runtime("3.12.1"),
          site({
            ...distribution("Foo.Bar", "1.0"),
            ...distribution("gone", "1"),
            ...distribution("kept", "1"),
          }),
        ],
      },
      {
        slots: [
          runtime("3.12.2"),
          site({
            ...distribution("foo_bar", "1.1", ["vendor/inside-9.dist-info/METADATA"]),
            ...distribution("kept", "1"),
            ...distribution("new", "2"),
            ...Object.fromEntries(
              Object.entries(vendored).map(([path, text]) => [`vendor/${path}`, text]),
            ),
          }),
        ],
      },
    );
    expect(groups.dependencies).toEqual([
      { name: "foo-bar", from: "1.0", to: "1.1" },
      { name: "gone", from: "1" },
      { name: "new", to: "2" },
    ]);
    expect(groups.runtime).toEqual([{ name: "python", from: "3.12.1", to: "3.12.2" }]);
  });

  test("only what was asked for", async () => {
    const { groups } = await compared(
      { slots: [treeSlot("lib", { "a.txt": "a" })] },
      { slots: [treeSlot("lib", { "a.txt": "b" })] },
      ["slots"],
    );
    expect(Object.keys(groups)).toEqual(["slots"]);
    expect(groups.slots?.length).toBe(1);
  });

  test("of other writers", async () => {
    using place = folder();
    const [a, b] = [join(place.path, "a.psp"), join(place.path, "b.psp")];
    const slot = (text: string) => ({
      id: "data",
      target: "data.txt",
      stored: Buffer.from(text),
      operations: 0n,
      text: "raw",
    });
    writeFileSync(a, upstreamPackage("go", [slot("one")]));
    writeFileSync(b, upstreamPackage("python", [slot("three")]));
    const { groups, equal } = await comparePackages(place.ctx, a, b);
    expect(equal).toBe(false);
    expect(groups.files).toEqual([{ name: "data", from: 3, to: 5 }]);
  });

  test("of which one is none, or was changed", async () => {
    using place = folder();
    const [a, b] = [join(place.path, "a.psp"), join(place.path, "b.psp")];
    await writePackage(a, options([treeSlot("lib", { "a.txt": "a" })]));
    writeFileSync(b, "no package");
    expect(await problem(() => comparePackages(place.ctx, a, b))).toStartWith("PSPF_TRAILER: ");
    const written = await writePackage(b, options([treeSlot("lib", { "a.txt": "b" })]));
    const bytes = Buffer.from(await Bun.file(b).arrayBuffer());
    bytes[written.size - 8200 - 3] = 0xff;
    writeFileSync(b, bytes);
    const code = (await problem(() => comparePackages(place.ctx, a, b))).split(":")[0];
    expect(["SEAL_SLOT", "ZSTD_DATA", "ZSTD_FRAME", "SEAL_INDEX", "SEAL_TABLE"]).toContain(
      code as string,
    );
  });
});
