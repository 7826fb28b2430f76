/**
 * Programs that find their libraries beside themselves (`$ORIGIN`), as nearly every bundled runtime does, where /proc is not
 * mounted: minimal containers and build roots. The dynamic linker then needs a word from the launcher.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, run } from "../../lib/base/mod.ts";
import { bareRoot } from "../../scripts/bare-root.ts";
import { freshBinary } from "../../scripts/binary.ts";
import { needPackages } from "../support/debian.ts";
import { testIf } from "../support/need.ts";

const MANIFEST = `[package]
name = "origin"
version = "1"
[execution]
argv = ["{workenv}/bin/link"]
[[slots]]
id = "tree"
source = "tree/"
[[setup]]
type = "execute"
command = ["{workenv}/bin/program"]
`;

let binary: string;
let folder: string;

beforeAll(async () => {
  binary = await freshBinary();
  folder = mkdtempSync(join(tmpdir(), "origin-"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function must(argv: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: folder, SEALIFT_CACHE: join(folder, "cache") };
  const { code, stdout, stderr } = await run(argv, { cwd: folder, env });
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${code}\n${text(stderr)}`);
  return text(stdout);
}

const compiler = findProgram("cc");
const sandbox = process.platform === "linux" ? await needPackages(["bubblewrap"]) : "Linux only";
const able = sandbox === true && compiler !== undefined ? true : "a C compiler and bubblewrap";

for (const launcher of ["go", "rust"]) {
  testIf(able)(`${launcher}: libraries beside the program are found without /proc`, async () => {
    const root = join(folder, launcher);
    for (const path of ["tree/bin", "tree/lib"]) mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, "sealift.toml"), MANIFEST);
    writeFileSync(join(root, "library.c"), "int answer(void) { return 42; }\n");
    writeFileSync(
      join(root, "program.c"),
      '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); return 0; }\n',
    );
    const cc = ["cc", "-o"];
    await must([...cc, `${root}/tree/lib/libown.so`, "-shared", "-fPIC", `${root}/library.c`]);
    const rpath = "-Wl,-rpath,$ORIGIN/../lib";
    await must([
      ...[...cc, `${root}/tree/bin/program`, `${root}/program.c`],
      ...[`-L${root}/tree/lib`, "-lown", rpath],
    ]);
    // The folder of the program counts, not that of a link to it.
    await must(["ln", "-s", "bin/program", `${root}/tree/program`]);
    await must(["ln", "-s", "../program", `${root}/tree/bin/link`]);
    const out = join(folder, `${launcher}.psp`);
    await must([binary, "pack", root, "--key-seed", "origin", "--launcher", launcher, "-o", out]);
    const bare = bareRoot({ [out]: "/app.psp" });
    bare.splice(bare.indexOf("--proc"), 2);
    const hostile = ["--setenv", "LD_ORIGIN_PATH", "/elsewhere"];
    expect(await must(["bwrap", ...bare, ...hostile, "/app.psp"])).toBe("42\n");
    const spawned = ["--setenv", "SEALIFT_EXEC", "spawn"];
    expect(await must(["bwrap", ...bare, ...spawned, "/app.psp"])).toBe("42\n");
  });
}
