import { describe, expect, test } from "bun:test";

import { cacheFolder, configFolder, dataFolder } from "../../lib/base/mod.ts";

const codeOf = (action: () => unknown) => {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe("cacheFolder(), dataFolder(), configFolder()", () => {
  test.each([
    ["linux", { HOME: "/h" }, "/h/.cache/sealift", "/h/.local/share/sealift", "/h/.config/sealift"],
    [
      "darwin",
      { HOME: "/h" },
      "/h/Library/Caches/sealift",
      "/h/Library/Application Support/sealift",
      "/h/Library/Application Support/sealift",
    ],
    [
      "win32",
      { LOCALAPPDATA: "C:\\L", APPDATA: "C:\\R" },
      "C:\\L\\sealift\\cache",
      "C:\\L\\sealift\\data",
      "C:\\R\\sealift",
    ],
  ])("on %s", (platform, env, cache, data, config) => {
    expect(cacheFolder(env, platform)).toBe(cache);
    expect(dataFolder(env, platform)).toBe(data);
    expect(configFolder(env, platform)).toBe(config);
  });

  test("our own variable comes before XDG, which comes before HOME", () => {
    const env = { HOME: "/h", XDG_CACHE_HOME: "/x", SEALIFT_CACHE: "/own" };
    expect(cacheFolder(env, "linux")).toBe("/own");
    expect(cacheFolder({ ...env, SEALIFT_CACHE: "" }, "linux")).toBe("/x/sealift");
    expect(cacheFolder({ ...env, SEALIFT_CACHE: "", XDG_CACHE_HOME: "" }, "linux")).toBe(
      "/h/.cache/sealift",
    );
    expect(dataFolder({ SEALIFT_DATA: "/d" }, "linux")).toBe("/d");
  });

  test.each([
    { SEALIFT_CACHE: "rel", HOME: "/h" },
    { XDG_CACHE_HOME: "./x", HOME: "/h" },
    { HOME: "h" },
  ])("refuses relative values: %j", (env) => {
    expect(codeOf(() => cacheFolder(env, "linux"))).toBe("CACHE_RELATIVE");
  });

  test("says when there is no home", () => {
    expect(codeOf(() => cacheFolder({}, "linux"))).toBe("CACHE_UNSET");
    expect(codeOf(() => configFolder({ HOME: "" }, "linux"))).toBe("CACHE_UNSET");
  });
});
