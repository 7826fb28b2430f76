import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

import { arrangeTree, tarStream } from "../../../lib/codec/mod.ts";
import { loadProject, packProject } from "../../../lib/pack/mod.ts";
import { decodedSlot, openPackage } from "../../../lib/pspf/mod.ts";
import { type Folder, folder, problem } from "../fixture.ts";

const BASE = {
  package: { name: "demo", version: "1.2.3" },
  execution: { command: "/bin/sh {workenv}/bin/run.sh" },
};
const SLOT = { id: "script", source: "run.sh", target: "bin/run.sh" };

async function load(manifest: unknown) {
  using project = folder();
  const root = project.put({ "m.json": JSON.stringify(manifest) });
  return await loadProject(join(root, "m.json"));
}

async function refusal(manifest: unknown): Promise<string> {
  return await problem(() => load(manifest));
}

async function tar(files: Record<string, string>): Promise<Uint8Array> {
  const entries = Object.entries(files).map(([path, text]) => ({
    path,
    type: "file" as const,
    mode: 0o644,
    size: text.length,
    source: { bytes: new TextEncoder().encode(text) },
  }));
  return await new Response(tarStream(arrangeTree(entries), { mtime: 0 })).bytes();
}

/** Packs one slot and gives back the slot and its decoded bytes. */
async function packed(project: Folder, files: Record<string, string | Uint8Array>, slot: object) {
  const root = project.put({
    ...files,
    "m.json": JSON.stringify({
      ...BASE,
      slots: [{ ...SLOT, ...slot }],
      setup_commands: [{ type: "execute", command: "true" }],
    }),
  });
  const out = join(root, "out.psp");
  await packProject(project.ctx, await loadProject(join(root, "m.json")), {
    output: out,
    keySeed: "test123",
    force: true,
  });
  const pkg = await openPackage(out);
  try {
    const found = pkg.slots[0] as (typeof pkg.slots)[number];
    const bytes = await new Response(decodedSlot(pkg, 0)).bytes();
    return { ...found, text: new TextDecoder().decode(bytes), bytes };
  } finally {
    await pkg.close();
  }
}

describe("a JSON manifest", () => {
  test("joins what the two builders understood", async () => {
    const read = await load({
      ...BASE,
      execution: {
        ...BASE.execution,
        env: { A: "rust" },
        environment: { B: "go" },
        primary_slot: 0,
      },
      slots: [
        { slot: 0, ...SLOT, permissions: "755", lifecycle: "", purpose: null },
        {
          slot: 1,
          ...SLOT,
          id: "assets",
          target: "{workenv}",
          operations: "TAR|GZIP",
          lifecycle: "cached",
        },
      ],
      setup_commands: [
        "true",
        { type: "chmod", path: "{workenv}/bin/*" },
        { type: "write_file", path: "a", content: "b", mode: 493 },
      ],
      runtime: { env: { pass: ["PATH"], unset: ["*"], set: { DEMO: "1" } } },
      workenv: { directories: [{ path: "{workenv}/var" }], env: null },
      cache_validation: { check_file: "x" },
    });
    expect(read.execution?.env).toEqual({ A: "rust", B: "go" });
    expect(read.slots[0]).toMatchObject({
      permissions: 0o755,
      lifecycle: "runtime",
      purpose: "data",
      operations: [],
    });
    expect(read.slots[1]).toMatchObject({
      target: "",
      lifecycle: "cache",
      operations: ["tar", "gzip"],
    });
    expect(read.setup).toEqual([
      { type: "execute", command: "true" },
      { type: "chmod", path: "{workenv}/bin/*", mode: "0700" },
      { type: "write_file", path: "a", content: "b", mode: "0755" },
    ]);
    expect(read.runtime?.env).toEqual({ pass: ["PATH"], unset: ["*"], set: { DEMO: "1" } });
    expect(read.notes).toEqual([
      "cache_validation has no effect: the launcher checks the whole work environment itself",
    ]);
  });

  test.each([
    [
      "a slot number that is not its place",
      { ...BASE, slots: [{ slot: 1, ...SLOT }] },
      "slots[0].slot is 1, and this is slot 0",
    ],
    [
      "$SELF",
      { ...BASE, slots: [{ ...SLOT, source: "$SELF" }] },
      "slots[0].source is $SELF, which no package can hold",
    ],
    [
      "a typing error in operations",
      { ...BASE, slots: [{ ...SLOT, operations: "tgzz" }] },
      "slots[0].operations is wrong",
    ],
    [
      "a missing target",
      { ...BASE, slots: [{ id: "a", source: "b" }] },
      "slots[0].target is missing",
    ],
    [
      "a target outside",
      { ...BASE, slots: [{ ...SLOT, target: "{workenv}/../x" }] },
      "slots[0].target is wrong",
    ],
    [
      "a mode that is none",
      { ...BASE, slots: [{ ...SLOT, permissions: "rwx" }] },
      'slots[0].permissions is "rwx"',
    ],
    [
      "an id that is a path",
      { ...BASE, slots: [{ ...SLOT, id: "../a" }] },
      "slots[0].id must be letters",
    ],
    [
      "an id twice",
      { ...BASE, slots: [SLOT, { ...SLOT, id: "SCRIPT" }] },
      'slots[1].id "SCRIPT" is the id of another slot',
    ],
    ["another format", { ...BASE, format: "ZIP" }, "format must be one of"],
    [
      "a setup command that no launcher ran",
      { ...BASE, setup_commands: [{ type: "teleport" }] },
      "setup_commands[0].type must be one of",
    ],
    [
      "environment rules of another shape",
      { ...BASE, runtime: { env: { pass: "PATH" } } },
      "runtime.env.pass must be an array",
    ],
    ["no command", { ...BASE, execution: {} }, "execution.command is missing"],
  ])("refuses %s", async (_name, manifest, expected) => {
    expect(await refusal(manifest)).toContain(expected);
  });

  test("that is no JSON is an error of its own", async () => {
    using project = folder();
    const root = project.put({ "m.json": "{" });
    expect(await problem(() => loadProject(join(root, "m.json")))).toContain("MANIFEST_JSON");
  });

  test("that says a key twice is refused", async () => {
    using project = folder();
    const root = project.put({ "m.json": '{"package":{"name":"a","name":"b"}}' });
    const said = await problem(() => loadProject(join(root, "m.json")));
    expect(said).toContain("MANIFEST_JSON");
    expect(said).toContain("name");
  });
});

describe("operations of a JSON manifest are applied", () => {
  test("to a plain file", async () => {
    using project = folder();
    const slot = await packed(project, { "run.sh": "#!/bin/sh\n" }, { operations: "gzip" });
    expect([slot.operations, slot.text, slot.originalSize]).toEqual([["gzip"], "#!/bin/sh\n", 10]);
    expect(slot.permissions).toBe(0o600);
  });

  test("not a second time to a file that is gzip already", async () => {
    using project = folder();
    const stored = gzipSync("#!/bin/sh\n");
    const slot = await packed(
      project,
      { "run.gz": stored },
      { source: "run.gz", operations: "gzip" },
    );
    expect([slot.size, slot.text]).toEqual([stored.length, "#!/bin/sh\n"]);
  });

  test("to a folder, whose contents go to the target", async () => {
    using project = folder();
    const slot = await packed(
      project,
      { "assets/a.txt": "a" },
      { source: "assets", target: "share/assets", operations: "tgz" },
    );
    expect([slot.operations, slot.target]).toEqual([["tar", "gzip"], "share/assets"]);
    expect(slot.text).toStartWith("a.txt");
  });

  test("to a plain tar, and a finished one is kept; both go to the parent of their target", async () => {
    using project = folder();
    const archive = await tar({ "assets/a.txt": "a" });
    const files = { "a.tar": archive, "a.tgz": gzipSync(archive) };
    const plain = await packed(project, files, {
      source: "a.tar",
      target: "share/assets",
      operations: "tgz",
    });
    const ready = await packed(project, files, {
      source: "a.tgz",
      target: "share/assets",
      operations: "tar.gz",
    });
    expect([plain.target, ready.target]).toEqual(["share", "share"]);
    expect(Buffer.from(plain.bytes)).toEqual(Buffer.from(archive));
    expect(Buffer.from(ready.bytes)).toEqual(Buffer.from(archive));
  });

  test("to a file that is no archive: it becomes the one member of it", async () => {
    using project = folder();
    const slot = await packed(
      project,
      { "run.sh": "#!/bin/sh\n" },
      { target: "{workenv}", operations: "tgz" },
    );
    expect(slot.text).toStartWith("run.sh");
  });

  test.each([
    ["gzip that ends early", { operations: "gzip" }, gzipSync("x".repeat(1000)).subarray(0, 20)],
    [
      "gzip with more behind it",
      { operations: "gzip" },
      Buffer.concat([gzipSync("x"), Buffer.from("junk")]),
    ],
    ["gzip of something else than tar", { operations: "tgz" }, gzipSync("no archive")],
    ["zstd that is none", { operations: "zstd" }, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2])],
  ])("and a lie is an error: %s", async (_name, slot, bytes) => {
    using project = folder();
    const message = await problem(() =>
      packed(project, { "data.bin": bytes }, { ...slot, source: "data.bin" }),
    );
    expect(message).toContain("m.json: Slot script: data.bin is said to be");
  });

  test("and a folder without tar is refused", async () => {
    using project = folder();
    const message = await problem(() =>
      packed(project, { "assets/a": "a" }, { source: "assets", operations: "gzip" }),
    );
    expect(message).toContain("do not begin with tar");
  });
});

test("sources are relative to the manifest, and {workenv} to FLAVOR_WORKENV_BASE", async () => {
  using project = folder();
  const root = project.put({
    "sub/run.sh": "#!/bin/sh\n",
    "base/tool": "#!/bin/sh\n",
    "sub/m.json": JSON.stringify({
      ...BASE,
      slots: [SLOT, { id: "tool", source: "{workenv}/tool", target: "bin/tool" }],
    }),
  });
  const env = { FLAVOR_WORKENV_BASE: join(root, "base") };
  const read = await loadProject(join(root, "sub/m.json"), { env });
  const out = join(root, "out.psp");
  const report = await packProject(project.ctx, read, { output: out, keySeed: "test123" });
  expect(report.outputs[0]?.slots.map((slot) => slot.id)).toEqual(["script", "tool"]);
  const pkg = await openPackage(out);
  await pkg.close();
  // No path of this machine is recorded.
  expect(pkg.metadata.slots.map((slot) => slot.source)).toEqual(["run.sh", "tool"]);
  expect(gunzipSync(gzipSync(pkg.json)).toString()).not.toContain(root);
});
