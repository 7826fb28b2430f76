import { describe, expect, test } from "bun:test";

import type { Project } from "../../../lib/pack/manifest/project.ts";
import { checkLayout } from "../../../lib/pack/stage/layout.ts";
import type { Member, StagedSlot } from "../../../lib/pack/stage/stage.ts";
import { problem } from "../fixture.ts";

interface Sketch {
  target?: string;
  share?: boolean;
  lifecycle?: string;
  /** Path → mode, `"-> target"` for a link, "/" for a folder. */
  members?: Record<string, number | string>;
}

function slot(
  id: string,
  { target = "", share = false, lifecycle = "runtime", members = { "": 0o755 } }: Sketch,
): StagedSlot {
  const list = Object.entries(members).map(([path, kind]): Member => {
    if (typeof kind === "number") return { path, type: "file", mode: kind };
    return kind === "/"
      ? { path, type: "directory", mode: 0o755 }
      : { path, type: "symlink", mode: 0o777, link: kind.slice(3) };
  });
  const input = {
    id,
    source: id,
    target,
    operations: [],
    share,
    lifecycle,
    content: { kind: "bytes" as const, bytes: new Uint8Array() },
  };
  return { input, members: list, bytes: 0 };
}

function commands(
  argv: string[],
  more: Partial<Project> = {},
): Pick<Project, "execution" | "runtime" | "workenv" | "setup"> {
  return { execution: { argv }, setup: [], ...more };
}

const check = (argv: string[], slots: StagedSlot[], more: Partial<Project> = {}) =>
  checkLayout(commands(argv, more), slots, "linux_amd64");

describe("checkLayout()", () => {
  test("accepts programs of the package and lists those of the target", () => {
    const tree = slot("app", {
      target: "app",
      members: { bin: "/", "bin/run": 0o755, latest: "-> bin", "bin/alias": "-> ./run" },
    });
    const shared = slot("rt", { share: true, members: { bin: "/", "bin/node": 0o755 } });
    const entries = {
      a: ["{slot:rt}/bin/node"],
      b: ["{workenv}/app/latest/alias"],
      c: ["python3"],
    };
    const found = checkLayout(
      { execution: { argv: ["{workenv}//app/./bin/run"], entries }, setup: [] },
      [tree, shared],
      "linux_amd64",
    );
    expect(found.hostPrograms).toEqual(["python3"]);
    expect(
      check(["{slot:file}", "x"], [slot("file", { target: "bin/file" })]).hostPrograms,
    ).toEqual([]);
  });

  test.each([
    [
      "a program that no slot brings",
      ["{workenv}/bin/rnu"],
      slot("a", { target: "bin/run" }),
      "PROGRAM_MISSING: {workenv}/bin/rnu: no slot brings this program | Did you mean {workenv}/bin/run?",
    ],
    [
      "a misspelt placeholder before a program",
      ["{workenb}/bin/run"],
      slot("a", { target: "bin/run" }),
      "PLACEHOLDER: {workenb}/bin/run: the program begins with an unknown placeholder | Did you mean {workenv}?",
    ],
    ["a folder as program", ["{workenv}/bin"], slot("a", { target: "bin/run" }), "PROGRAM_MISSING"],
    [
      "a program without the execute bit",
      ["{workenv}/bin/run"],
      slot("a", { target: "bin/run", members: { "": 0o644 } }),
      "PROGRAM_MODE: {workenv}/bin/run: is packed with mode 0644",
    ],
    [
      "a link in a circle",
      ["{workenv}/a"],
      slot("a", { members: { a: "-> b", b: "-> a" } }),
      "PROGRAM_MISSING",
    ],
    [
      "a slot that does not exist",
      ["{slot:nod}/x"],
      slot("node", { share: true }),
      "PLACEHOLDER: execution: {slot:nod} names no slot of this package | Did you mean {slot:node}?",
    ],
    [
      "a number beyond the slots",
      ["/bin/sh", "{slot:7}"],
      slot("node", {}),
      "{slot:7} names no slot",
    ],
    [
      "a path inside a shared file slot",
      ["{slot:node}/x"],
      slot("node", { share: true }),
      "PROGRAM_MISSING",
    ],
    [
      "the launcher's folder in a tree",
      ["/bin/sh"],
      slot("a", { members: { ".SEALIFT": "/" } }),
      "PATH_RESERVED: Slot a: .SEALIFT lies in .sealift",
    ],
    ["no command", [], slot("a", {}), "COMMAND_EMPTY"],
  ])("refuses %s", async (_name, argv, one, expected) => {
    expect(await problem(() => check(argv, [one]))).toContain(expected);
  });

  test("a bare name is looked for in the bin folder of the package first", () => {
    const tools = slot("tools", { target: "bin", members: { tool: 0o755 } });
    expect(check(["tool"], [tools]).hostPrograms).toEqual([]);
    expect(check(["tool.exe"], [tools]).hostPrograms).toEqual(["tool.exe"]);
  });

  test("on Windows a program may leave out its ending, and needs no mode", async () => {
    const tools = slot("tools", { target: "bin", members: { "Tool.exe": 0o644, "x.cmd": 0o644 } });
    for (const word of ["{workenv}/bin/tool", "{slot:tools}/x", "tool", "{workenv}/bin/tool.EXE"]) {
      expect(checkLayout(commands([word]), [tools], "windows_amd64").hostPrograms).toEqual([]);
    }
    expect(await problem(() => check(["{workenv}/bin/tool"], [tools]))).toContain(
      "PROGRAM_MISSING",
    );
  });

  test("refuses for Windows what it reserves, and only there", async () => {
    for (const name of ["aux.txt", "docs/COM1", "a:b/c?", "trailing."]) {
      const tree = slot("tree", { target: "t", members: { [name]: 0o644 } });
      check(["/bin/sh"], [tree]);
      const found = await problem(() => checkLayout(commands(["x"]), [tree], "windows_amd64"));
      expect(found).toContain("PATH_ESCAPE");
      expect(found).toContain("which Windows reserves");
    }
    const named = slot("nul", {});
    expect(await problem(() => checkLayout(commands(["x"]), [named], "windows_arm64"))).toContain(
      "PATH_ESCAPE",
    );
  });

  test("refuses two slots in one place, also when only case differs or one needs a folder there", async () => {
    const a = slot("a", { target: "bin/run" });
    for (const target of ["bin/run", "BIN/run", "bin/run/more", "bin"]) {
      expect(await problem(() => check(["/bin/sh"], [a, slot("b", { target })]))).toContain(
        "SLOT_COLLISION: Slots a and b both bring",
      );
    }
    const tree = slot("b", { target: "bin", members: { other: 0o644 } });
    expect(check(["/bin/sh"], [a, tree]).hostPrograms).toEqual(["/bin/sh"]);
    // Other places are other folders.
    for (const other of [{ share: true }, { lifecycle: "config" }, { lifecycle: "temp" }]) {
      check(["/bin/sh"], [a, slot("b", { target: "bin/run", ...other })]);
    }
  });

  test("asks for the execute bit only where the system does", async () => {
    const tool = slot("a", { target: "bin/a.exe", members: { "": 0o644 } });
    expect(
      checkLayout(commands(["{workenv}/bin/a.exe"]), [tool], "windows_amd64").hostPrograms,
    ).toEqual([]);
    expect(await problem(() => check(["{workenv}/bin/a.exe"], [tool]))).toContain("PROGRAM_MODE");
  });

  test("says nothing about programs that setup makes", async () => {
    const setup = [{ type: "execute" as const, command: "make-it" }];
    check(["{workenv}/bin/made"], [], { setup });
    const write = [{ type: "write_file" as const, path: "bin/made", content: "#!/bin/sh" }];
    check(["{workenv}/bin/made"], [], { setup: write });
    expect(await problem(() => check(["{workenv}/bin/other"], [], { setup: write }))).toContain(
      "PROGRAM_MISSING",
    );
  });

  test("refuses a setup command that no launcher could split", async () => {
    const setup = [{ type: "execute" as const, command: "make 'it" }];
    expect(await problem(() => check(["/bin/sh"], [], { setup }))).toContain("COMMAND_WORDS");
  });

  test.each([
    "/etc/passwd",
    "{workenv}/../x",
    "a/../../x",
    "{workenv}",
    ".sealift/ready",
    "C:/x",
    "{slot:a}/x",
  ])("refuses setup that writes to %s", async (path) => {
    const setup = [{ type: "write_file" as const, path, content: "" }];
    expect(
      await problem(() => check(["/bin/sh"], [slot("a", { target: "a" })], { setup })),
    ).toContain("SETUP_PATH");
  });
});
