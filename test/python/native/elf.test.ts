import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";

import { run } from "../../../lib/base/mod.ts";
import { isElf, parseElf, readElf } from "../../../lib/python/native/elf.ts";
import {
  glibcFloor,
  isCLibrary,
  loaderView,
  resolveLibraries,
} from "../../../lib/python/native/libraries.ts";
import { stripElf } from "../../../lib/python/native/strip.ts";
import { codeOf, scratch } from "../fixture.ts";
import { madeElf } from "./made-elf.ts";

const linux = process.platform === "linux";
const SHELL = "/bin/sh";

describe("parseElf()", () => {
  test("reads names, search paths and kinds", () => {
    const strings = "\0libz.so.1\0$ORIGIN/../lib:/opt\0me.so\0/old\0";
    const at = (text: string) => strings.indexOf(text);
    const elf = parseElf(
      madeElf(
        [
          [1, at("libz")],
          [29, at("$ORIGIN")],
          [14, at("me")],
          [15, at("/old")],
        ],
        strings,
      ),
      "x",
    );
    expect(elf).toMatchObject({
      bits: 64,
      machine: 62,
      kind: "shared",
      needed: ["libz.so.1"],
      soname: "me.so",
      runpath: ["$ORIGIN/../lib", "/opt"],
      rpath: ["/old"],
    });
  });

  const cases: [string, string, () => Uint8Array][] = [
    ["text", "ELF_MAGIC", () => new TextEncoder().encode("#!/bin/sh\n".repeat(20))],
    ["nothing", "ELF_MAGIC", () => new Uint8Array()],
    ["a big-endian file", "ELF_CLASS", () => changed(5, 2)],
    ["an object file", "ELF_TYPE", () => madeElf([], "\0", { type: 1 })],
    ["a name outside the strings", "ELF_STRINGS", () => madeElf([[1, 999]], "\0")],
    ["a name without end", "ELF_STRINGS", () => madeElf([[1, 1]], "\0abc")],
    ["program headers of another size", "ELF_SEGMENTS", () => changed(54, 57)],
    ["program headers beyond the file", "ELF_RANGE", () => changed(35, 255)],
    ["a dynamic section beyond the file", "ELF_RANGE", () => changed(120 + 8 + 2, 255)],
  ];
  test.each(cases)("refuses %s", async (_, code, make) => {
    expect(await codeOf(() => parseElf(make(), "x"))).toBe(code);
  });

  test("random changes of a real program: an answer or a typed error", () => {
    const bytes = linux ? new Uint8Array(readFileSync(SHELL)) : madeElf([[1, 1]], "\0libz.so.1\0");
    const edit = fc.tuple(fc.nat(Math.min(bytes.length, 4096) - 1), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(edit, { minLength: 1, maxLength: 8 }),
        fc.nat(bytes.length),
        (edits, length) => {
          const copy = length % 3 === 0 ? bytes.slice(0, length) : bytes.slice();
          for (const [at, value] of edits) if (at < copy.length) copy[at] = value;
          try {
            parseElf(copy, "x");
            stripElf(copy);
          } catch (error) {
            expect((error as { code?: string }).code).toMatch(/^ELF_/);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

function changed(at: number, value: number): Uint8Array {
  const bytes = madeElf([[1, 1]], "\0libz.so.1\0");
  bytes[at] = value;
  return bytes;
}

test("isElf() says no to short files", () => {
  using folder = scratch();
  writeFileSync(join(folder.path, "x"), "\x7fE");
  expect(isElf(join(folder.path, "x"))).toBe(false);
});

describe.skipIf(!linux)("on this system", () => {
  test("readElf() agrees with what the loader says", async () => {
    const elf = readElf(SHELL);
    expect(elf.kind).toBe("executable");
    expect(elf.interpreter).toMatch(/ld-/);
    expect(elf.needed).toContain("libc.so.6");
    expect(glibcFloor([SHELL])[1]).toBeGreaterThan(0);
  });

  test("resolveLibraries() finds what the loader would load", async () => {
    const program = realpathSync(process.execPath);
    const closure = resolveLibraries(SHELL, [SHELL, program], await loaderView(process.env));
    expect(closure.missing.size).toBe(0);
    for (const [name, path] of closure.libraries) {
      expect(isCLibrary(name)).toBe(false);
      expect(existsSync(path)).toBe(true);
    }
  });

  test("a needed library that is a path is refused, a missing one reported", async () => {
    using folder = scratch();
    const view = { cache: new Map(), folders: [] };
    const file = (needed: string) => {
      const path = join(folder.path, "x.so");
      writeFileSync(path, madeElf([[1, 1]], `\0${needed}\0`));
      return path;
    };
    expect(await codeOf(() => resolveLibraries(file("/etc/evil.so"), [], view))).toBe("ELF_NEEDED");
    const lonely = file("libnowhere.so.9");
    expect([...resolveLibraries(lonely, [], view).missing]).toEqual([
      [lonely, ["libnowhere.so.9"]],
    ]);
  });

  test("$ORIGIN means the folder of the file, and libraries of another machine are passed over", () => {
    using folder = scratch();
    const view = { cache: new Map(), folders: [] };
    const strings = "\0libb.so\0$ORIGIN\0";
    const main = join(realpathSync(folder.path), "main");
    const library = join(realpathSync(folder.path), "libb.so");
    writeFileSync(
      main,
      madeElf(
        [
          [1, 1],
          [29, strings.indexOf("$")],
        ],
        strings,
      ),
    );
    writeFileSync(library, madeElf([], "\0"));
    expect([...resolveLibraries(main, [], view).libraries]).toEqual([["libb.so", library]]);
    writeFileSync(library, madeElf([], "\0", { machine: 183 }));
    expect(resolveLibraries(main, [], view).missing.size).toBe(1);
  });

  test("stripElf() leaves a program that runs, and the same for the loader", async () => {
    const compiler = ["gcc", "cc", "clang"].find((name) => Bun.which(name) !== null);
    if (compiler === undefined) return;
    using folder = scratch();
    const [source, program] = [join(folder.path, "a.c"), join(folder.path, "a")];
    writeFileSync(source, 'int puts(const char*); int main(void){puts("fine");return 0;}');
    await run([compiler, "-g", "-o", program, source]);
    const before = readFileSync(program);
    const after = stripElf(before);
    expect(after?.length).toBeLessThan(before.length);
    expect(parseElf(after ?? new Uint8Array(), "a")).toEqual(parseElf(before, "a"));
    writeFileSync(program, after ?? "");
    expect(new TextDecoder().decode((await run([program])).stdout)).toBe("fine\n");
    expect(stripElf(after ?? new Uint8Array())).toBeUndefined();
  });
});
