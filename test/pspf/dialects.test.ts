/** Packages of the earlier writers: all of them open, and `verify` says what their signature leaves open. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";

import { tarStream } from "../../lib/codec/mod.ts";
import {
  decodedSlot,
  extractAll,
  formatOperations,
  openPackage,
  type Package,
  verifyPackage,
} from "../../lib/pspf/mod.ts";
import { collect, EPOCH, save, temporaryFolder, text, thrown } from "./fixture.ts";
import {
  adler32,
  type Dialect,
  type UpstreamOptions,
  upstreamPackage,
  type UpstreamSlot,
} from "./upstream.ts";

const folder = temporaryFolder();
const DIALECTS: Dialect[] = ["go", "rust", "python"];
let counter = 0;

async function write(
  dialect: Dialect,
  slots: UpstreamSlot[],
  options?: UpstreamOptions,
): Promise<string> {
  return save(
    join(folder, `${dialect}-${counter++}.psp`),
    upstreamPackage(dialect, slots, options),
  );
}

async function open<T>(path: string, use: (pkg: Package) => Promise<T> | T): Promise<T> {
  const pkg = await openPackage(path);
  try {
    return await use(pkg);
  } finally {
    await pkg.close();
  }
}

const content = text("#!/bin/sh\necho from another writer\n");
const plain: UpstreamSlot = {
  id: "script",
  target: "bin/app",
  stored: content,
  operations: 0n,
  text: "raw",
  permissions: "0755",
};
const zipped: UpstreamSlot = {
  id: "data",
  target: "data.txt",
  stored: gzipSync(content),
  operations: 0x10n,
  text: "gzip",
  originalSize: content.length,
};

async function tree(target: string): Promise<UpstreamSlot> {
  const tar = await collect(
    tarStream(
      [{ path: "a.txt", type: "file", mode: 0o644, size: 3, source: { bytes: text("abc") } }],
      { mtime: EPOCH },
    ),
  );
  return {
    id: "tree",
    target,
    stored: gzipSync(tar),
    operations: 0x1001n,
    text: "tgz",
    originalSize: tar.length,
  };
}

describe("openPackage() reads what the earlier writers write", () => {
  test.each(DIALECTS)("%s: slots, content, command", async (dialect) => {
    const path = await write(dialect, [plain, zipped, await tree("wheels")]);
    await open(path, async (pkg) => {
      expect(pkg.sealed).toBe(false);
      expect(pkg.metadata.package).toEqual({ name: "other", version: "0.9" });
      expect(pkg.slots.map((slot) => formatOperations(slot.operations))).toEqual([
        "none",
        "gzip",
        "tgz",
      ]);
      expect(pkg.slots.map((slot) => slot.target)).toEqual(["bin/app", "data.txt", "wheels"]);
      expect(pkg.slots[0]?.permissions).toBe(0o755);
      expect(await collect(decodedSlot(pkg, 0))).toEqual(content);
      expect(await collect(decodedSlot(pkg, 1))).toEqual(content);
    });
    expect((await verifyPackage(path)).ok).toBe(true);
  });

  test.each(DIALECTS)("%s: no slots at all", async (dialect) => {
    const path = await write(dialect, []);
    await open(path, (pkg) => expect(pkg.slots).toEqual([]));
    expect((await verifyPackage(path)).ok).toBe(true);
  });

  test("the facts of the Go builder's sample: empty version, null environment, ecdsa-p256, target hash", async () => {
    const slot: UpstreamSlot = {
      ...zipped,
      target: "{workenv}",
      operations: 0x1001n,
      text: "tgz",
      stored: (await tree("")).stored,
    };
    const path = await write("go", [slot]);
    await open(path, (pkg) => {
      expect(pkg.metadata.format_version).toBe("");
      expect(pkg.metadata.execution.env).toEqual({});
      expect(pkg.index.capabilities).toBe(0n);
      expect(pkg.slots[0]?.descriptor.nameHash).toBe(4782840911576006724n);
      expect(pkg.slots[0]?.target).toBe("");
      expect(pkg.slots[0]?.permissions).toBe(0o600);
    });
  });

  test("capabilities of a Go index lie eight bytes later and mean nothing", async () => {
    const path = await write("go", [plain], {
      index: (view) => view.setBigUint64(840, 131n, true),
    });
    expect((await verifyPackage(path)).ok).toBe(true);
  });

  test("environment of the Go builder and env of the others both arrive", async () => {
    const path = await write("go", [plain], {
      json: { execution: { command: "x", env: { A: "env" }, environment: { B: "environment" } } },
    });
    await open(path, (pkg) =>
      expect(pkg.metadata.execution.env).toEqual({ A: "env", B: "environment" }),
    );
  });

  test("sections that are null or absent, cache_validation, unknown keys", async () => {
    const path = await write(
      "python",
      [
        {
          ...plain,
          json: {
            slot: undefined,
            purpose: undefined,
            resolution: undefined,
            lifecycle: undefined,
            size: undefined,
          },
        },
      ],
      {
        json: {
          runtime: null,
          workenv: null,
          setup_commands: null,
          build: null,
          verification: undefined,
          cache_validation: { check_file: "x" },
          future: [1],
        },
      },
    );
    await open(path, (pkg) => {
      expect(pkg.metadata.setup_commands).toEqual([]);
      expect(pkg.metadata.runtime.env.pass).toEqual([]);
      expect(pkg.slots[0]?.lifecycle).toBe("");
    });
  });

  test.each(["persistent", "cached", "volatile", "whatever"])(
    "the lifecycle %s stays a label",
    async (lifecycle) => {
      const path = await write("rust", [{ ...plain, lifecycle }]);
      await open(path, (pkg) => expect(pkg.slots[0]?.lifecycle).toBe(lifecycle));
    },
  );

  test.each(["TAR|GZIP", "tar,gzip", "tar.gz", "TGZ", "", "nonsense"])(
    "operations text %p does not matter, the descriptor does",
    async (spelling) => {
      const path = await write("python", [{ ...(await tree("")), text: spelling }]);
      await open(path, (pkg) => expect(pkg.slots[0]?.operations).toEqual(["tar", "gzip"]));
    },
  );

  test("$SELF slots are empty files (C26)", async () => {
    const self: UpstreamSlot = {
      id: "self",
      target: "self",
      stored: content,
      operations: 0n,
      text: "raw",
      selfRef: true,
    };
    for (const dialect of ["go", "rust"] as const) {
      const path = await write(dialect, [plain, self, zipped]);
      await open(path, async (pkg) => {
        expect(await collect(decodedSlot(pkg, 1))).toEqual(new Uint8Array(0));
        expect(await collect(decodedSlot(pkg, 2))).toEqual(content);
      });
      expect((await verifyPackage(path)).ok).toBe(true);
    }
  });

  test("slots of less than 16 bytes, and none at all, are read (C4)", async () => {
    const path = await write("rust", [
      { ...plain, stored: text("x") },
      { ...plain, id: "none", target: "n", stored: new Uint8Array(0) },
    ]);
    await open(path, async (pkg) => {
      expect(await collect(decodedSlot(pkg, 0))).toEqual(text("x"));
      expect(await collect(decodedSlot(pkg, 1))).toEqual(new Uint8Array(0));
    });
  });

  test("metadata of more than 1 MiB is read (C20)", async () => {
    const path = await write("python", [plain], { json: { build: { note: "x".repeat(3 << 20) } } });
    expect((await verifyPackage(path)).ok).toBe(true);
  });

  test("a doubled checksum prefix of the launcher is understood and compared (B10)", async () => {
    const honest = await verifyPackage(await write("python", [plain]));
    expect(honest.checks.find((check) => check.name === "launcher")?.ok).toBe(true);
    const path = await write("python", [plain]);
    const bytes = new Uint8Array(await readFile(path));
    bytes[5] = (bytes[5] as number) ^ 1;
    await save(path, bytes);
    const verdict = await verifyPackage(path);
    expect(verdict.checks.find((check) => !check.ok)?.code).toBe("SEAL_LAUNCHER");
  });
});

describe("verifyPackage() of the earlier writers", () => {
  test("lists the ranges that the signature does not cover (S1)", async () => {
    const verdict = await verifyPackage(await write("rust", [plain, zipped]));
    expect(verdict.ok).toBe(true);
    expect(verdict.sealed).toBe(false);
    const open = verdict.coverage.ranges
      .filter((range) => !range.covered)
      .map((range) => range.what);
    expect(open).toContain("slot table");
    expect(open).toContain("trailer");
    expect(open).toContain("padding");
    expect(open).not.toContain("slot script");
    const hole = verdict.coverage.ranges.find((range) => range.what === "padding");
    expect((hole?.end ?? 0) - (hole?.start ?? 0)).toBe(8192);
    expect(verdict.coverage.covered).toBeLessThan(verdict.coverage.total);
  });

  test("compares the full SHA-256 of the signed JSON with the slot (S3)", async () => {
    const path = await write("go", [plain]);
    const bytes = new Uint8Array(await readFile(path));
    const at = Buffer.from(bytes).indexOf(Buffer.from(content));
    bytes[at] = (bytes[at] as number) ^ 1;
    // A forger repairs the 64-bit checksum of the unsigned table.
    await save(path, bytes);
    const verdict = await verifyPackage(path);
    expect(verdict.checks.find((check) => check.name === "slot script")).toMatchObject({
      ok: false,
      code: "SEAL_SLOT",
    });
    await open(path, async (pkg) => {
      expect((await thrown(() => collect(decodedSlot(pkg, 0)))).code).toBe("SEAL_SLOT");
    });
  });

  test("falls back to the 64-bit checksum, compares it, and calls the slot not covered", async () => {
    const bare = { ...plain, json: { checksum: "" } };
    const path = await write("rust", [bare]);
    const verdict = await verifyPackage(path);
    expect(verdict.ok).toBe(true);
    expect(verdict.coverage.ranges.find((range) => range.what === "slot script")?.covered).toBe(
      false,
    );
    const bytes = new Uint8Array(await readFile(path));
    bytes[bytes.length - 8201] = (bytes[bytes.length - 8201] as number) ^ 1;
    await save(path, bytes);
    expect((await verifyPackage(path)).ok).toBe(false);
  });

  test("an unsigned package is refused", async () => {
    const path = await write("go", [plain], { unsigned: true });
    expect((await thrown(() => openPackage(path))).code).toBe("SEAL_UNSIGNED");
    const verdict = await verifyPackage(path);
    expect(verdict.checks.find((check) => check.name === "signature")).toMatchObject({
      ok: false,
      code: "SEAL_UNSIGNED",
    });
    expect(verdict.coverage.covered).toBe(0);
  });

  test("the index checksum is always compared, and over all of package_size (S13, C24)", async () => {
    const path = await write("go", [plain]);
    const bytes = new Uint8Array(await readFile(path));
    const index = bytes.subarray(bytes.length - 8196, bytes.length - 4);
    const view = new DataView(index.buffer, index.byteOffset, index.length);
    const original = index.slice();
    original.fill(0, 4, 8);
    expect(view.getUint32(4, true)).toBe(adler32(original));
    // The Go builder zeroes bytes 12..16 instead of 4..8, which shows in files of 4 GiB and more.
    view.setUint32(4, (view.getUint32(4, true) + 1) >>> 0, true);
    await save(path, bytes);
    for (const name of ["CI", "PYTEST_CURRENT_TEST"]) {
      process.env[name] = "1";
      try {
        expect((await thrown(() => verifyPackage(path))).code).toBe("PSPF_CHECKSUM");
      } finally {
        delete process.env[name];
      }
    }
  });
});

describe("extractAll() of the earlier writers", () => {
  test("a tar slot goes to the parent of its target, {workenv}/ is dropped", async () => {
    for (const [target, place] of [
      ["", "a.txt"],
      ["{workenv}", "a.txt"],
      [".", "a.txt"],
      ["wheels", "a.txt"],
      ["home/wheels", "home/a.txt"],
    ] as const) {
      const out = join(folder, `out-${counter++}`);
      const path = await write("go", [await tree(target), plain]);
      await open(path, (pkg) => extractAll(pkg, out));
      expect(existsSync(join(out, place))).toBe(true);
      expect(existsSync(join(out, "bin/app"))).toBe(true);
    }
  });

  test("ids and targets of hostile metadata stay inside (S14, S6)", async () => {
    const ids = await write("rust", [{ ...plain, id: "../evil" }]);
    await open(ids, async (pkg) => {
      expect((await thrown(() => extractAll(pkg, join(folder, "x1"), { by: "id" }))).code).toBe(
        "PATH_ESCAPE",
      );
    });
    for (const target of ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", ".sealift/ready"]) {
      const path = await write("rust", [{ ...plain, target }]);
      await open(path, async (pkg) => {
        expect((await thrown(() => extractAll(pkg, join(folder, "x2")))).code).toMatch(/^PATH_/);
      });
    }
  });

  test("mislabelled slots are errors, never raw bytes (B11, B12)", async () => {
    const asZstd = await write("python", [{ ...zipped, operations: 0x1bn, text: "zstd" }]);
    await open(asZstd, async (pkg) => {
      expect(await thrown(() => collect(decodedSlot(pkg, 0)))).toMatchObject({
        code: "ZSTD_DATA",
        exit: 3,
      });
    });
    const raw = await write("python", [{ ...plain, operations: 0x10n, text: "gzip" }]);
    await open(raw, async (pkg) => {
      const error = await thrown(() => collect(decodedSlot(pkg, 0)));
      expect(error).toMatchObject({ code: "GZIP_DATA", exit: 3 });
      expect(error.message).toContain("slot script");
    });
  });

  test("zstd of the Python writer, which no earlier launcher unpacks, is decoded", async () => {
    const stored = zstdCompressSync(content);
    const path = await write("python", [
      { ...plain, stored, operations: 0x1bn, text: "ZSTD", originalSize: content.length },
    ]);
    await open(path, async (pkg) => expect(await collect(decodedSlot(pkg, 0))).toEqual(content));
  });
});
