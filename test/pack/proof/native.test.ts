/** What native files ask of the target, read from ELF files that are made here and from the shell of this machine. */
import { describe, expect, test } from "bun:test";
import { realpathSync } from "node:fs";

import type { TreeEntry } from "../../../lib/codec/mod.ts";
import { nativeReport } from "../../../lib/pack/proof/native.ts";
import type { StagedSlot } from "../../../lib/pack/stage/stage.ts";
import { glibcFloor } from "../../../lib/python/native/libraries.ts";
import { madeElf } from "../../python/native/made-elf.ts";
import { folder, HEAD, pack, problem } from "../fixture.ts";

/** A library that needs `needed`. */
function library(needed: string[], options: { machine?: number } = {}): Uint8Array {
  const strings = `\0${needed.join("\0")}\0`;
  return madeElf(
    needed.map((name) => [1, strings.indexOf(`\0${name}\0`) + 1]),
    strings,
    options,
  );
}

function slot(files: Record<string, Uint8Array | string>, links: string[] = []): StagedSlot {
  const entries: TreeEntry[] = Object.entries(files).map(([path, source]) => ({
    path,
    type: "file",
    mode: 0o644,
    size: 0,
    source: typeof source === "string" ? source : { bytes: source },
  }));
  for (const path of links)
    entries.push({ path, type: "symlink", mode: 0o777, size: 0, link: "x" });
  const input = { id: "tree", source: "tree", target: "", operations: ["tar" as const] };
  return { input: { ...input, content: { kind: "tree", entries } }, members: [], bytes: 0 };
}

describe("native files", () => {
  test("find libraries of any slot, by file, link and soname", async () => {
    const report = await nativeReport(
      [
        slot({
          "a.so": library(["liba.so.1", "libb.so.2", "libc.so.6"]),
          "lib/liba.so.1": library([]),
        }),
        slot({}, ["lib/libb.so.2"]),
      ],
      "linux_amd64",
    );
    expect(report).toMatchObject({ files: 2, glibc: "2.0", missing: [], fromTarget: [] });
  });

  test("what is missing is named with who needs it; displays and the compiler's libraries are the target's", async () => {
    const report = await nativeReport(
      [slot({ "lib/a.so": library(["libgone.so.1", "libGL.so.1", "libstdc++.so.6"]) })],
      "linux_amd64",
    );
    expect(report?.missing).toEqual([{ slot: "tree", path: "lib/a.so", library: "libgone.so.1" }]);
    expect(report?.fromTarget).toEqual(["libGL.so.1", "libstdc++.so.6"]);
  });

  test("musl, other machines, other systems, and data that begins like a program", async () => {
    const musl = await nativeReport(
      [slot({ "a.so": library(["libc.musl-x86_64.so.1"]) })],
      "linux_amd64",
    );
    expect(musl).toMatchObject({ musl: true, missing: [], systems: [] });
    expect(musl?.glibc).toBeUndefined();
    const arm = slot({
      "a.so": library(["libgone.so.1"], { machine: 183 }),
      "b.so": library([]).slice(0, 70),
    });
    expect(await nativeReport([arm], "linux_amd64")).toBeUndefined();
    expect((await nativeReport([arm], "linux_arm64"))?.missing).toHaveLength(1);
    expect(await nativeReport([arm], "darwin_arm64")).toBeUndefined();
  });

  test.skipIf(process.platform !== "linux")(
    "the oldest system is told by the versions that are asked for",
    async () => {
      const shell = realpathSync("/bin/sh");
      const report = await nativeReport(
        [slot({ "sh.so": shell })],
        `linux_${process.arch === "x64" ? "amd64" : "arm64"}`,
      );
      const [, minor] = glibcFloor([shell]);
      expect(report?.glibc).toBe(`2.${minor}`);
      expect(report?.systems.join()).toMatch(/^Debian \d+,Ubuntu \d\d\.\d\d,RHEL \d+$/);
    },
  );

  test("--validate-before-sign refuses what lacks a library, and leaves nothing", async () => {
    using project = folder();
    const root = project.put({ "tree/tool.so": library(["libgone.so.1", "libaway.so.2"]) });
    const manifest = `${HEAD}[[slots]]\nid = "tree"\nsource = "tree/"\ntarget = "bin"\n[[slots]]\nid = "script"\nsource = "run.sh"\ntarget = "bin2/"\n`;
    const text = manifest.replace("bin/run.sh", "bin2/run.sh");
    const options = { platforms: ["linux_amd64"], output: `${root}/out.psp` };
    const message = await problem(() =>
      pack(project, text, { ...options, validateBeforeSign: true }),
    );
    expect(message).toStartWith("PACK_LIBRARY: Slot tree: tool.so needs libgone.so.1");
    expect(message).toContain("Missing too: libaway.so.2");
    expect(await Bun.file(options.output).exists()).toBe(false);
    // Without it the package is made, and the report says so.
    const report = await pack(project, text, options);
    expect(report.outputs[0]?.native?.missing).toHaveLength(2);
  });
});
