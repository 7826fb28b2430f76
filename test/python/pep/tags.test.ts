import { describe, expect, test } from "bun:test";

import {
  chooseWheel,
  compatibleTags,
  parseWheelName,
  platformTags,
  rankTags,
  type TagTarget,
} from "../../../lib/python/pep/tags.ts";
import { codeOf } from "../fixture.ts";

const linux = (minor: number, glibc = 28, abiFlags = ""): TagTarget => ({
  implementation: "cpython",
  version: [3, minor],
  abiFlags,
  platforms: platformTags({ os: "linux", machine: "x86_64", libc: "glibc", version: [2, glibc] }),
});

/** What `packaging.tags.sys_tags()` gives for CPython 3.11 on a glibc 2.18 x86-64 Linux, shortened to its distinct steps. */
test("compatibleTags() has the order of packaging.tags", () => {
  const tags = compatibleTags(linux(11, 18));
  expect(tags.slice(0, 5)).toEqual([
    "cp311-cp311-manylinux_2_18_x86_64",
    "cp311-cp311-manylinux_2_17_x86_64",
    "cp311-cp311-manylinux2014_x86_64",
    "cp311-cp311-manylinux_2_16_x86_64",
    "cp311-cp311-manylinux_2_15_x86_64",
  ]);
  const order = [
    "cp311-cp311-linux_x86_64",
    "cp311-abi3-manylinux_2_18_x86_64",
    "cp311-none-linux_x86_64",
    "cp310-abi3-manylinux_2_18_x86_64",
    "cp32-abi3-manylinux1_x86_64",
    "py311-none-manylinux_2_18_x86_64",
    "py3-none-manylinux2014_x86_64",
    "py310-none-linux_x86_64",
    "py30-none-linux_x86_64",
    "cp311-none-any",
    "py311-none-any",
    "py3-none-any",
    "py310-none-any",
    "py30-none-any",
  ];
  const ranks = order.map((tag) => tags.indexOf(tag));
  expect(ranks).not.toContain(-1);
  expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
  expect(tags).not.toContain("cp312-abi3-linux_x86_64");
  expect(tags).not.toContain("cp310-cp310-linux_x86_64");
});

test("a free-threaded interpreter takes no stable-ABI wheels", () => {
  const tags = compatibleTags(linux(13, 28, "t"));
  expect(tags).toContain("cp313-cp313t-manylinux_2_28_x86_64");
  expect(tags.some((tag) => tag.includes("abi3") || tag.includes("-cp313-"))).toBe(false);
});

describe("platformTags()", () => {
  test("musl, macOS and Windows", () => {
    expect(
      platformTags({ os: "linux", machine: "aarch64", libc: "musl", version: [1, 2] }),
    ).toEqual([
      "musllinux_1_2_aarch64",
      "musllinux_1_1_aarch64",
      "musllinux_1_0_aarch64",
      "linux_aarch64",
    ]);
    const mac = platformTags({ os: "darwin", machine: "aarch64", version: [14, 2] });
    expect(mac.slice(0, 3)).toEqual([
      "macosx_14_0_arm64",
      "macosx_14_0_universal2",
      "macosx_13_0_arm64",
    ]);
    expect(mac).toContain("macosx_10_9_universal2");
    expect(platformTags({ os: "darwin", machine: "x86_64", version: [12, 0] })).toContain(
      "macosx_10_9_x86_64",
    );
    expect(platformTags({ os: "windows", machine: "x86_64" })).toEqual(["win_amd64"]);
  });
  test("AArch64 has no manylinux older than 2014", () => {
    const tags = platformTags({ os: "linux", machine: "aarch64", libc: "glibc", version: [2, 20] });
    expect(tags.at(-2)).toBe("manylinux2014_aarch64");
  });
});

describe("chooseWheel()", () => {
  const choose = (files: string[], target = linux(11)) =>
    chooseWheel(
      files.map((file) => ({ file })),
      rankTags(compatibleTags(target)),
    )?.file;

  test("takes the most specific wheel that fits", () => {
    const files = [
      "a-1-py3-none-any.whl",
      "a-1-cp38-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
      "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
      "a-1-cp311-cp311-manylinux_2_34_x86_64.whl",
      "a-1-cp311-cp311-musllinux_1_2_x86_64.whl",
      "a-1-cp312-cp312-manylinux_2_17_x86_64.whl",
    ];
    expect(choose(files)).toBe(files[2]);
    expect(choose(files, linux(11, 17))).toBe(files[1]);
    expect(choose(files, linux(9))).toBe(files[1]);
    expect(choose(files, linux(7))).toBe(files[0]);
  });
  test("prefers the higher build number, and does not depend on the order", () => {
    const files = ["a-1-2-py3-none-any.whl", "a-1-10b-py3-none-any.whl", "a-1-py3-none-any.whl"];
    expect(choose(files)).toBe(files[1]);
    expect(choose([...files].reverse())).toBe(files[1]);
  });
  test("free-threaded, musl and two-version wheels", () => {
    const free = [
      "a-1-cp313-cp313-manylinux_2_17_x86_64.whl",
      "a-1-cp313-cp313t-manylinux_2_17_x86_64.whl",
    ];
    expect(choose(free, linux(13, 28, "t"))).toBe(free[1]);
    expect(choose(free, linux(13))).toBe(free[0]);
    expect(choose(["a-1-cp38-abi3-manylinux_2_17_x86_64.whl"], linux(13, 28, "t"))).toBeUndefined();
    const both = ["a-1-py2.py3-none-any.whl", "a-1-py2-none-any.whl"];
    expect(choose(both, linux(13, 28, "t"))).toBe(both[0]);
    const platforms = platformTags({
      os: "linux",
      machine: "x86_64",
      libc: "musl",
      version: [1, 2],
    });
    const musl: TagTarget = {
      implementation: "cpython",
      version: [3, 12],
      abiFlags: "",
      platforms,
    };
    const wheels = [
      "a-1-cp312-cp312-manylinux_2_17_x86_64.whl",
      "a-1-cp36-abi3-musllinux_1_1_x86_64.whl",
      "a-1-cp312-cp312-musllinux_1_3_x86_64.whl",
    ];
    expect(choose(wheels, musl)).toBe(wheels[1]);
  });
  test("gives nothing when nothing fits", () => {
    expect(choose(["a-1-cp311-cp311-win_amd64.whl", "a-1-py2-none-any.whl"])).toBeUndefined();
  });
});

test("parseWheelName() expands compressed tags and refuses what is no wheel", async () => {
  const wheel = parseWheelName("My_Pkg-1.0.post1-1a-py2.py3-none-any.whl");
  expect(wheel).toEqual({
    name: "my-pkg",
    version: "1.0.post1",
    build: [1, "a"],
    tags: ["py2-none-any", "py3-none-any"],
  });
  const bad = [
    "a.whl",
    "a-1-py3-none.whl",
    "a-1-py3-none-any.zip",
    "a-1-x-py3-none-any.whl",
    "-1-py3-none-any.whl",
    "a-1-py3-none-../x.whl",
  ];
  for (const name of bad) expect(await codeOf(() => parseWheelName(name))).toBe("WHEEL_NAME");
});
