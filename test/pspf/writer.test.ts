/** What the writer takes, refuses and leaves behind. */
import { describe, expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import fc from "fast-check";

import { quoteWords, run, silentProgress } from "../../lib/base/mod.ts";
import { tarStream } from "../../lib/codec/mod.ts";
import {
  decodedSlot,
  openPackage,
  type SlotInput,
  verifyPackage,
  type WriteOptions,
  writePackage,
} from "../../lib/pspf/mod.ts";
import {
  bytesSlot,
  collect,
  EPOCH,
  options,
  save,
  signer,
  temporaryFolder,
  text,
  thrown,
  treeSlot,
} from "./fixture.ts";

const folder = temporaryFolder();
const path = join(folder, "written.psp");

const write = (slots: SlotInput[], more: Partial<WriteOptions> = {}) =>
  writePackage(path, options(slots, more));
const refusal = (slots: SlotInput[], more: Partial<WriteOptions> = {}) =>
  thrown(() => write(slots, more));

describe("writePackage() refuses", () => {
  test.each<[string, Partial<SlotInput>]>([
    ["PSPF_FIELD", { id: "" }],
    ["PSPF_FIELD", { id: "../x" }],
    ["PSPF_FIELD", { id: "a b" }],
    ["PSPF_FIELD", { id: "x".repeat(256) }],
    ["PSPF_FIELD", { lifecycle: "sometimes" }],
    ["SLOT_PLATFORM", { platform: "beos" }],
    ["SLOT_PLATFORM", { platform: "linux_mips" }],
    ["SLOT_PERMISSIONS", { permissions: "rwx" }],
    ["SLOT_PERMISSIONS", { permissions: "4755" }],
    ["SLOT_PERMISSIONS", { permissions: 0o4755 }],
    ["SLOT_SOURCE", { source: "/home/me/secret" }],
    ["SLOT_SOURCE", { source: "C:\\build" }],
    ["SLOT_SOURCE", { source: "~/x" }],
    ["SLOT_TARGET", { target: "" }],
    ["SLOT_TARGET", { target: "{workenv}" }],
    ["PATH_ESCAPE", { target: "../x" }],
    ["PATH_ESCAPE", { target: "/etc/x" }],
    ["PATH_ESCAPE", { target: "a\\b" }],
    ["PATH_ESCAPE", { target: "a/b\0" }],
    ["PATH_RESERVED", { target: ".sealift/ready" }],
    ["PATH_RESERVED", { target: "{workenv}/.Sealift/x" }],
    ["PSPF_OPERATION", { operations: ["gzip", "tar"] }],
    ["COMPRESSION_LEVEL", { operations: ["gzip"], level: 12 }],
  ])("%s: %o", async (code, change) => {
    expect((await refusal([bytesSlot("slot", "x", change)])).code).toBe(code);
  });

  test("a folder without tar, and names that Windows reserves for Windows", async () => {
    expect((await refusal([treeSlot("t", { a: "b" }, { operations: ["gzip"] })])).code).toBe(
      "SLOT_OPERATIONS",
    );
    const aux = bytesSlot("slot", "x", { target: "aux.txt" });
    await write([aux]);
    expect((await refusal([aux], { platform: { os: "windows", arch: "amd64" } })).code).toBe(
      "PATH_ESCAPE",
    );
  });

  test("targets that collide, unless the slots never meet", async () => {
    const pair = (a: Partial<SlotInput>, b: Partial<SlotInput>) => [
      bytesSlot("a", "1", a),
      bytesSlot("b", "2", b),
    ];
    const collisions: SlotInput[][] = [
      pair({ target: "x/y" }, { target: "x/y" }),
      pair({ target: "x/Y" }, { target: "X/y" }),
      pair({ target: "x" }, { target: "x/y" }),
      pair({ target: "x/y/z" }, { target: "X" }),
      pair({ target: "x", platform: "linux" }, { target: "x", platform: "linux_amd64" }),
      pair({ target: "x" }, { target: "x", platform: "darwin" }),
      pair({ target: "x", lifecycle: "config" }, { target: "x", lifecycle: "persistent" }),
    ];
    for (const slots of collisions) expect((await refusal(slots)).code).toBe("SLOT_COLLISION");
    const apart: SlotInput[][] = [
      pair({ target: "x", platform: "linux" }, { target: "x", platform: "darwin" }),
      pair({ target: "x", platform: "linux_amd64" }, { target: "x", platform: "linux_arm64" }),
      pair({ target: "x", lifecycle: "config" }, { target: "x" }),
      pair({ target: "x", share: true }, { target: "x", share: true }),
      pair({ target: "xy" }, { target: "x" }),
    ];
    for (const slots of apart) await write(slots);
    expect((await refusal([bytesSlot("a", "1"), bytesSlot("A", "2", { target: "b" })])).code).toBe(
      "PSPF_FIELD",
    );
  });

  test.each<[string, Partial<WriteOptions["manifest"]>]>([
    ["package.name", { package: { name: "a/b", version: "1" } }],
    ["package.name", { package: { name: "", version: "1" } }],
    ["package.version", { package: { name: "a", version: "1/2" } }],
    ["package.version", { package: { name: "a", version: "" } }],
    ["package.version", { package: { name: "a", version: "1\n" } }],
    ["execution.argv", { execution: { argv: [] } }],
    ["seal.index.license_id", { sealIndex: { license_id: "LicenseRef-seventeen" } }],
    ["seal.index.source_hash", { sealIndex: { source_hash: "abc" } }],
    ["setup_commands.0", { setup_commands: ["echo"] }],
  ])("a wrong %s, by name", async (field, change) => {
    const manifest = { ...options([]).manifest, ...change };
    const error = await refusal([], { manifest });
    expect(error.code).toBe("PSPF_FIELD");
    expect(error.message).toContain(field);
  });
});

describe("writePackage() proves what it labels (B1, B11)", () => {
  const tar = () =>
    collect(
      tarStream([{ path: "a", type: "file", mode: 0o644, size: 1, source: { bytes: text("a") } }], {
        mtime: EPOCH,
      }),
    );

  test("stored bytes are decoded once, and their size is what comes out", async () => {
    const file = await save(join(folder, "a.tgz"), gzipSync(await tar()));
    const slot = treeSlot(
      "t",
      {},
      { operations: ["tar", "gzip"], content: { kind: "stored", path: file } },
    );
    expect((await write([slot])).slots[0]?.original).toBe(2048);
    expect((await verifyPackage(path)).ok).toBe(true);
    const sized = { ...slot, content: { kind: "stored" as const, path: file, originalSize: 2049 } };
    expect((await refusal([sized])).code).toBe("SLOT_SIZE");
    const small = { ...slot, content: { kind: "stored" as const, path: file, originalSize: 10 } };
    expect((await refusal([small])).code).toBe("SLOT_CONTENT");
  });

  test.each<[string, SlotInput["operations"], () => Promise<Uint8Array>]>([
    ["text as gzip", ["gzip"], async () => text("not gzip at all")],
    ["gzip as zstd", ["zstd"], async () => gzipSync("x")],
    ["a gzip that is cut", ["gzip"], async () => gzipSync("x".repeat(1000)).subarray(0, 20)],
    [
      "a gzip with bytes behind it",
      ["gzip"],
      async () => Buffer.concat([gzipSync("x"), text("tail")]),
    ],
    ["text as tar", ["tar"], async () => text("x".repeat(2000))],
    ["text in gzip as tgz", ["tar", "gzip"], async () => gzipSync("x".repeat(2000))],
  ])("%s is refused", async (_, operations, content) => {
    const file = await save(join(folder, "stored"), await content());
    const slot = bytesSlot("s", "", { operations, content: { kind: "stored", path: file } });
    expect(await refusal([slot])).toMatchObject({ code: "SLOT_CONTENT", exit: 3 });
  });

  test("a tar file given to tar|gzip is compressed, anything else is refused", async () => {
    const slot = bytesSlot("s", await tar(), { operations: ["tar", "gzip"] });
    expect((await write([slot])).slots[0]?.original).toBe(2048);
    expect((await refusal([bytesSlot("s", "no tar", { operations: ["tar", "gzip"] })])).code).toBe(
      "SLOT_CONTENT",
    );
  });

  test("content that is compressed already keeps its layer", async () => {
    const inner = gzipSync("payload");
    await write([bytesSlot("s", inner, { operations: ["gzip"] })]);
    const pkg = await openPackage(path);
    expect(Buffer.compare(await collect(decodedSlot(pkg, 0)), inner)).toBe(0);
    await pkg.close();
  });

  test("a file that changes while it is packed is noticed", async () => {
    const file = await save(join(folder, "moving"), text("before"));
    const first = bytesSlot("a", "", { content: { kind: "file", path: file } });
    const progress = {
      ...silentProgress,
      task: (label: string) => {
        if (label.includes("second")) appendFileSync(file, "after");
        return { advance() {}, done() {} };
      },
    };
    expect((await refusal([first, bytesSlot("second", "x")], { progress })).code).toBe(
      "FILE_CHANGED",
    );
  });
});

describe("writePackage() leaves behind", () => {
  test("the whole file with mode 0755, or the old file and no temporary one", async () => {
    const own = temporaryFolder();
    const out = join(own, "x.psp");
    await writeFile(out, "old");
    const bad = bytesSlot("s", "", { content: { kind: "file", path: join(own, "missing") } });
    expect((await thrown(() => writePackage(out, options([bad])))).code).toBe("FILE_MISSING");
    expect(await readFile(out, "utf8")).toBe("old");
    expect((await thrown(() => writePackage(out, options([], { force: false })))).code).toBe(
      "FILE_EXISTS",
    );
    expect(await readdir(own)).toEqual(["x.psp"]);
    await writePackage(out, options([bytesSlot("a", "b")]));
    expect((await stat(out)).mode & 0o777).toBe(0o755);
    expect(await readdir(own)).toEqual(["x.psp"]);
  });

  test("no path, host or time of the machine (B10)", async () => {
    const file = await save(join(folder, "input.bin"), text("content"));
    await write([
      bytesSlot("s", "", { source: "input.bin", content: { kind: "file", path: file } }),
    ]);
    const bytes = await readFile(path);
    for (const secret of [folder, process.cwd(), (await import("node:os")).hostname()]) {
      if (secret.length > 3) expect(bytes.includes(secret)).toBe(false);
    }
    const pkg = await openPackage(path);
    expect(pkg.metadata.build?.timestamp).toBe("1980-01-01T00:00:00Z");
    expect(pkg.metadata.document).toMatchObject({
      build: { platform: { os: "linux", arch: "amd64", host: "" } },
      verification: { signed: true, integrity_seal: { algorithm: "ed25519" } },
      launcher: { checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
    });
    await pkg.close();
  });

  test("the public key that belongs to the signature (B14)", async () => {
    await write([]);
    const pkg = await openPackage(path);
    expect(pkg.signers).toEqual([signer.publicKey]);
    await pkg.close();
  });

  test("what the index block shall say", async () => {
    const manifest = {
      ...options([]).manifest,
      sealIndex: {
        build_timestamp: 1_700_000_000,
        source_hash: "ab".repeat(32),
        dependency_hash: "cd".repeat(32),
        license_id: "Apache-2.0",
      },
    };
    await write([], { manifest });
    const pkg = await openPackage(path);
    expect(pkg.index.buildTimestamp).toBe(1_700_000_000n);
    expect(pkg.index.bytes.subarray(744, 776).toHex()).toBe("ab".repeat(32));
    expect(pkg.index.bytes.subarray(776, 808).toHex()).toBe("cd".repeat(32));
    expect(new TextDecoder().decode(pkg.index.bytes.subarray(808, 824))).toBe(
      "Apache-2.0\0\0\0\0\0\0",
    );
    await pkg.close();
    expect((await verifyPackage(path)).ok).toBe(true);
  });
});

describe("quoteWords()", () => {
  test("gives text that a POSIX shell splits into the same words", async () => {
    const word = fc
      .string({ unit: "grapheme", maxLength: 12 })
      .filter((text) => !text.includes("\0"));
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 5 }), async (words) => {
        const { stdout } = await run(["sh", "-c", `printf '%s\\0' ${quoteWords(words)}`]);
        expect(new TextDecoder().decode(stdout).split("\0").slice(0, -1)).toEqual(words);
      }),
      { numRuns: 40 },
    );
  });
});
