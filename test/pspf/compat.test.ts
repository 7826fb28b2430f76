/** The profile that the earlier launchers run, against a model of their readers, and the rules that it names. */
import { describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { tarStream, type TreeEntry } from "../../lib/codec/mod.ts";
import {
  decodedSlot,
  type Manifest,
  openPackage,
  type SlotInput,
  verifyPackage,
  writePackage,
} from "../../lib/pspf/mod.ts";
import {
  bytesSlot,
  collect,
  EPOCH,
  options,
  temporaryFolder,
  text,
  thrown,
  treeSlot,
} from "./fixture.ts";
import { upstreamProblems } from "./upstream-readers.ts";

const folder = temporaryFolder();
const path = join(folder, "compat.psp");

const manifest: Manifest = {
  package: { name: "demo", version: "1.2.3", description: "A demonstration" },
  execution: { argv: ["{workenv}/bin/app", "--x=$HOME;y"], env: { MODE: "a b" } },
  setup_commands: [{ type: "execute", command: "{workenv}/bin/app setup" }],
  workenv: { directories: [{ path: "{workenv}/var", mode: "0700" }] },
};
const app = bytesSlot("app", "#!/bin/sh\necho hi\n", {
  target: "bin/app",
  permissions: "0755",
  operations: ["gzip"],
});

async function write(slots: SlotInput[], changed: Partial<Manifest> = {}): Promise<Uint8Array> {
  await writePackage(
    path,
    options(slots, { profile: "flavorpack", manifest: { ...manifest, ...changed } }),
  );
  return new Uint8Array(await readFile(path));
}

const link = (from: string, to: string): TreeEntry => ({
  path: from,
  type: "symlink",
  mode: 0o777,
  size: 0,
  link: to,
});
const file = (name: string, content: string): TreeEntry => ({
  path: name,
  type: "file",
  mode: 0o644,
  size: text(content).length,
  source: { bytes: text(content) },
});
const tree = (entries: TreeEntry[], more: Partial<SlotInput> = {}) =>
  treeSlot(
    "tree",
    {},
    { operations: ["tar", "gzip"], content: { kind: "tree", entries }, ...more },
  );

describe("writePackage() for the earlier launchers", () => {
  test("satisfies the readers of all three", async () => {
    const slots = [
      app,
      tree([file("a", "1"), file("b", "2")]),
      bytesSlot("raw", "0123456789abcdef"),
    ];
    expect(upstreamProblems(await write(slots))).toEqual([]);
  });

  test("is read by ours, verified, and its env stands twice (C7)", async () => {
    const bytes = await write([app, tree([file("x/y", "z")], { target: "data" })]);
    expect((await verifyPackage(path)).ok).toBe(true);
    const pkg = await openPackage(path);
    expect(pkg.sealed).toBe(false);
    expect(await collect(decodedSlot(pkg, 0))).toEqual(text("#!/bin/sh\necho hi\n"));
    const document = pkg.metadata.document as {
      execution: Record<string, unknown>;
      slots: unknown[];
    };
    expect(document.execution.env).toEqual(document.execution.environment);
    expect(document.execution.command).toBe("{workenv}/bin/app --x=$HOME;y");
    expect(document).not.toHaveProperty("seal");
    await pkg.close();
    await write([app, tree([file("x/y", "z")], { target: "data" })]);
    expect(Buffer.compare(bytes, await readFile(path))).toBe(0);
  });

  test("a tree goes below its target and hard links become files (C11, C14)", async () => {
    const entries = [
      file("a", "same"),
      { path: "b", type: "hardlink", mode: 0o644, size: 0, link: "a" } as TreeEntry,
      link("c", "a"),
    ];
    expect(upstreamProblems(await write([app, tree(entries, { target: "lib" })]))).toEqual([]);
    const pkg = await openPackage(path);
    expect(pkg.slots[1]?.target).toBe("");
    const tar = Buffer.from(await collect(decodedSlot(pkg, 1))).toString();
    for (const name of ["lib/a", "lib/b", "lib/c"]) expect(tar).toContain(name);
    await pkg.close();
  });

  test("names the rule that a slot breaks", async () => {
    const cases: Array<[string, SlotInput]> = [
      ["COMPAT_OPERATIONS", bytesSlot("x", "y".repeat(20), { operations: ["zstd"] })],
      ["COMPAT_OPERATIONS", treeSlot("x", { a: "b" }, { operations: ["tar", "xz"] })],
      ["COMPAT_SIZE", bytesSlot("x", "fifteen bytes..")],
      ["COMPAT_LIFECYCLE", bytesSlot("x", "y".repeat(20), { lifecycle: "lazy" })],
      ["COMPAT_PLATFORM", bytesSlot("x", "y".repeat(20), { platform: "linux" })],
      ["COMPAT_SYMLINK", tree([file("d/a", "1"), link("e", "d")])],
      ["COMPAT_SYMLINK", tree([link("e", "nothing")])],
      ["COMPAT_SYMLINK", tree([link("e", "e")])],
    ];
    for (const [code, slot] of cases) {
      const error = await thrown(() => write([app, slot]));
      expect(error).toMatchObject({ code, exit: 3 });
      expect(error.message).toContain(`Slot ${slot.id}`);
    }
  });

  test("judges archives that were made elsewhere", async () => {
    const tar = await collect(
      tarStream(
        [file("a", "1"), { path: "b", type: "hardlink", mode: 0o644, size: 0, link: "a" }],
        { mtime: EPOCH },
      ),
    );
    const archive = join(folder, "made.tgz");
    await writeFile(archive, gzipSync(tar));
    const stored = tree([], { content: { kind: "stored", path: archive } });
    expect((await thrown(() => write([app, stored]))).code).toBe("COMPAT_HARD_LINK");
    expect((await thrown(() => write([app, { ...stored, target: "lib" }]))).code).toBe(
      "COMPAT_TAR_TARGET",
    );
  });

  test.each<[string, Partial<Manifest>]>([
    ["COMPAT_QUOTES", { execution: { argv: ["{workenv}/bin/app", "a b"] } }],
    ["COMPAT_QUOTES", { execution: { command: "{workenv}/bin/app 'a'" } }],
    ["COMPAT_QUOTES", { execution: { argv: ["{workenv}/bin/app", ""] } }],
    ["COMPAT_PLACEHOLDER", { execution: { argv: ["{workenv}/bin/app", "{slot:app}"] } }],
    ["COMPAT_PROGRAM", { execution: { argv: ["{workenv}/lib/app"] } }],
    ["COMPAT_PROGRAM", { execution: { argv: ["bin/app"] } }],
    ["COMPAT_PROGRAM", { execution: { argv: ["{workenv}/bin/other"] }, setup_commands: [] }],
    ["COMPAT_COMMAND", { execution: { command: "  " } }],
    ["COMPAT_ENTRIES", { execution: { argv: ["x"], entries: { a: ["b"] } } }],
    ["COMPAT_SETUP", { setup_commands: ["echo"] }],
    ["COMPAT_SETUP", { setup_commands: [{ type: "chmod", path: "x", mode: "0755" }] }],
    ["COMPAT_SETUP", { setup_commands: [{ type: "execute", argv: ["x"] }] }],
    ["COMPAT_QUOTES", { setup_commands: [{ type: "execute", command: 'sh -c "x"' }] }],
    ["COMPAT_WORKENV_ENV", { workenv: { env: { A: "b" } } }],
    ["COMPAT_METADATA", { package: { name: "a", version: "1", description: "x".repeat(1 << 20) } }],
  ])("%s, case %#", async (code, changed) => {
    expect((await thrown(() => write([app], changed))).code).toBe(code);
  });

  test("a program of the host is found by its base name", async () => {
    for (const program of ["/bin/sh", "sh"]) {
      await write([app], { execution: { argv: [program, "{workenv}/bin/app"] } });
    }
  });
});
